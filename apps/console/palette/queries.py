"""What the palette answers, across all apps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.console.palette import objects, options, places
from apps.console.palette.options import Group, Option
from apps.core.actors import Actor

PLACE_LIMIT = 6
OBJECT_LIMIT = 5
RECENT_LIMIT = 5


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: the actor inside the organization, and the organizations the person belongs to."""

    organization: Any
    actor: Actor
    organizations: Sequence[Any]

    def pages(self) -> list[Option]:
        return places.opened(places.PAGES, self.organization, self.actor)

    def actions(self) -> list[Option]:
        opened = places.opened(places.ACTIONS, self.organization, self.actor)
        return [*opened, *places.switches(self.organizations, self.organization)]

    def help_pages(self) -> list[Option]:
        return places.opened(places.HELP, self.organization, self.actor)


def answers(visitor: Visitor, query: str) -> list[Group]:
    """What is called so, at most a handful of each kind; the group with the best name first, pages before rows."""
    commands = [*visitor.actions(), *places.BUTTONS]
    groups = [
        options.ranked("Pages", [*visitor.pages(), *visitor.help_pages()], query, PLACE_LIMIT),
        options.ranked("Actions", commands, query, PLACE_LIMIT),
        *(
            options.ranked(kind.heading, kind.found(query, visitor.organization), query, OBJECT_LIMIT)
            for kind in objects.readable(visitor.actor)
        ),
    ]
    return sorted((group for group in groups if group.hits), key=lambda group: group.rank)


def suggestions(visitor: Visitor, recent: Sequence[str]) -> list[Group]:
    """What is offered before anything is typed; `recent` are the keys of what was chosen last, newest first."""
    pages = places.opened(places.NAVIGATION, visitor.organization, visitor.actor)
    groups = [
        options.listed("Recent", _recent(visitor, recent)),
        options.listed("Pages", pages),
        options.listed("Actions", [*visitor.actions(), *places.BUTTONS]),
        options.listed("Help", visitor.help_pages()),
    ]
    return [group for group in groups if group.hits]


def _recent(visitor: Visitor, keys: Sequence[str]) -> list[Option]:
    """The options behind the keys, those that are gone or hidden by now left out."""
    fixed = [*visitor.pages(), *visitor.actions(), *visitor.help_pages()]
    found = {option.key: option for option in [*fixed, *_rows(visitor, keys)]}
    return [found[key] for key in dict.fromkeys(keys) if key in found][:RECENT_LIMIT]


def _rows(visitor: Visitor, keys: Sequence[str]) -> Iterable[Option]:
    for kind in objects.readable(visitor.actor):
        yield from kind.known(list(_ids(kind.key, keys)), visitor.organization)


def _ids(kind: str, keys: Sequence[str]) -> Iterable[UUID]:
    for key in keys:
        name, _, text = key.partition(":")
        try:
            if name == kind:
                yield UUID(text)
        except ValueError:
            continue
