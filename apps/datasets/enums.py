"""Choices other apps may use too. Imports no Django: the training code runs on these alone."""

from enum import StrEnum


class ColumnKind(StrEnum):
    """What a column holds, decided on every one of its values."""

    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    CATEGORY = "category"
    TEXT = "text"
    ID = "id"


class VersionStatus(StrEnum):
    """How far a version's file has come. `ready` never changes again."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"
