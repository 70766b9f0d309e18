"""Entity tags (RFC 9110, sections 8.8.3 and 13.1), pure.

A tag has two parts, `"<edited>-<shown>"`: a hash of what people edit in a thing, and a hash of the whole answer.
`If-Match` compares the first: what the system writes meanwhile, such as a status, is no reason to refuse an edit.
`If-None-Match` compares both: a reader wants to know of a new status.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.core.errors import DomainError

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_LIST = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_EACH = re.compile(_TAG)


class PreconditionUnreadable(DomainError):
    code = "precondition_unreadable"
    status = 400
    detail = 'If-Match is `*`, or entity tags in quotes with commas between them, such as `"1f0c...-9a2e..."`.'


class PreconditionFailed(DomainError):
    code = "precondition_failed"
    status = 412
    detail = "This was changed since you read it. Read it again, and make your change to what it is now."

    def __init__(self, current: str) -> None:
        super().__init__()
        self.headers = {"ETag": current}  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class EntityTag:
    edited: str
    shown: str

    def __str__(self) -> str:
        return f'"{self.edited}-{self.shown}"'

    def permits_edit(self, if_match: str) -> bool:
        """Whether `If-Match` names this state. Weak tags never do. Raises `PreconditionUnreadable`."""
        if if_match.strip() == "*":
            return True
        if not _LIST.fullmatch(if_match):
            raise PreconditionUnreadable()
        return self.edited in {tag.strip('"').partition("-")[0] for tag in _EACH.findall(if_match)}

    def is_known(self, if_none_match: str) -> bool:
        """Whether `If-None-Match` names this very answer, weakly or strongly."""
        named = {tag.removeprefix("W/") for tag in _EACH.findall(if_none_match)}
        return if_none_match.strip() == "*" or str(self) in named


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def digest_of(values: Mapping[str, Any]) -> str:
    """The hash of plain values by name, whatever their order."""
    return digest(json.dumps(values, sort_keys=True, default=str).encode())
