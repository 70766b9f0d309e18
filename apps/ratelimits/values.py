"""Values as they are kept and compared: networks, ids, headers, routes. Raises the refusals of `errors`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from uuid import UUID

from apps.core.masking import is_secret_name
from apps.organizations import networks
from apps.organizations.errors import NetworkInvalid
from apps.ratelimits import errors
from apps.ratelimits.enums import Subject
from apps.ratelimits.matching import LONGEST_HEADER

LONGEST_ROUTE = 200
LONGEST_MODEL = 80
MOST_NAMES = 20

_HEADER = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_ROUTE = re.compile(r"(?:(?:GET|HEAD|POST|PUT|PATCH|DELETE) )?/[\x21-\x29\x2b-\x7e]*\*?")


def header_name(text: str) -> str:
    """The name in lower case, as calls are asked for it."""
    name = text.strip().lower()
    if not _HEADER.fullmatch(name):
        raise errors.HeaderNeeded(field="header")
    if is_secret_name(name.replace("-", "_")):
        raise errors.HeaderSecret(field="header", header=name)
    return name


def routes(texts: Sequence[str]) -> list[str]:
    found = _listed("routes", texts, LONGEST_ROUTE)
    for route in found:
        if not _ROUTE.fullmatch(route):
            raise errors.RouteInvalid(field="routes", route=route)
    return found


def models(texts: Sequence[str]) -> list[str]:
    return _listed("models", texts, LONGEST_MODEL)


def _listed(field: str, texts: Sequence[str], longest: int) -> list[str]:
    """Each once, in order, without the empty ones."""
    found = [name for name in dict.fromkeys(" ".join(text.split()) for text in texts) if name]
    if len(found) > MOST_NAMES:
        raise errors.TooManyNames(field=field, limit=MOST_NAMES)
    for name in found:
        if len(name) > longest:
            raise errors.NameTooLong(field=field, name=name[:longest] + "…", limit=longest)
    return found


def entry_value(subject: str, text: str) -> str:
    """The value of an entry as calls are compared with it."""
    value = text.strip()
    match subject:
        case Subject.ADDRESS:
            return network(value)
        case Subject.TOKEN | Subject.USER:
            return _id(value, "token" if subject == Subject.TOKEN else "person")
        case Subject.ROUTE:
            return _path(value)
        case Subject.HEADER | Subject.MODEL if 1 <= len(value) <= LONGEST_HEADER and value.isprintable():
            return value
    raise errors.EntryValueInvalid(
        field="value", value=value[:40], what=subject, hint=f"Give 1 to {LONGEST_HEADER} visible characters."
    )


def network(text: str) -> str:
    """A network as it is written canonically; a bare address is a network of one."""
    try:
        return networks.normalised([text])[0]
    except NetworkInvalid:
        hint = "Write it like 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32."
        raise errors.EntryValueInvalid(
            field="value", value=text[:60], what="address and no network", hint=hint
        ) from None


def _path(text: str) -> str:
    """A route without a method, as the limiter is told it."""
    if _ROUTE.fullmatch(text) and text.startswith("/") and not text.endswith("*"):
        return text
    hint = "Write the path alone as the API reference does, such as /api/v1/jobs/{id}/."
    raise errors.EntryValueInvalid(field="value", value=text[:40], what="route of one path", hint=hint)


def _id(text: str, what: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        hint = "Give its id, which stands on its page and in the API."
        raise errors.EntryValueInvalid(field="value", value=text[:40], what=f"id of a {what}", hint=hint) from None
