"""What was read of one stream at once: which events may become rows, and which never will."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from apps.core import entries
from workers.sink.doorbell import Bell
from workers.sink.tables import MalformedEvent, Rows, Table

Read = tuple[bytes, Mapping[bytes, bytes] | None]  # the entry's id in its stream, and its fields unless it was deleted
NO_ROWS = Rows([], set())


@dataclass(slots=True)
class Entry:
    """An entry of a stream: its events with their rows, and those that are refused, with the reason."""

    id: bytes
    count: int
    events: list[bytes]
    rows: Rows
    refused: list[tuple[bytes, str]] = field(default_factory=list)

    @classmethod
    def of(cls, table: Table, entry_id: bytes, fields: Mapping[bytes, bytes]) -> Entry:
        events = entries.events(fields)
        if not events:
            return cls(entry_id, 0, [], NO_ROWS, [(b"", "there is no field `e`")])
        try:
            return cls(entry_id, len(events), events, table.rows(events))
        except MalformedEvent:
            return cls._sifted(table, entry_id, events)

    @classmethod
    def _sifted(cls, table: Table, entry_id: bytes, events: Sequence[bytes]) -> Entry:
        fitting, refused = [], []
        for event in events:
            try:
                table.rows([event])
                fitting.append(event)
            except MalformedEvent as error:
                refused.append((event, str(error)))
        return cls(entry_id, len(events), fitting, table.rows(fitting), refused)

    def refuse(self, event: bytes, reason: str) -> None:
        self.refused.append((event, reason))


Part = tuple[Entry, bytes, str]  # an event of it, and its line


@dataclass(slots=True)
class Batch:
    """`gone` are the entries that an erasure took out of the stream since they were read."""

    table: Table
    entries: list[Entry] = field(default_factory=list)
    gone: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, table: Table, found: Sequence[Read]) -> Batch:
        batch = cls(table)
        for entry_id, fields in found:
            if fields:
                batch.entries.append(Entry.of(table, entry_id, fields))
            else:
                batch.gone.append(entry_id)
        return batch

    @property
    def is_empty(self) -> bool:
        return not (self.entries or self.gone)

    @property
    def bells(self) -> set[Bell]:
        return {(one, self.table.topic) for entry in self.entries for one in entry.rows.organizations}

    @property
    def lines(self) -> list[str]:
        return [line for entry in self.entries for line in entry.rows.lines]

    @property
    def parts(self) -> list[Part]:
        """Each event by itself."""
        return [(entry, *part) for entry in self.entries for part in zip(entry.events, entry.rows.lines, strict=True)]
