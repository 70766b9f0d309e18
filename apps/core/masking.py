"""Keeps secrets out of what is logged: by the name they stand under, and by how they look. Imports no Django."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"

_SECRET_NAMES = re.compile(
    r"(\w+[_-])*(authorization|cookies?|credentials?|pass(word|wd|phrase)\d*|pepper|secrets?|token|csrf\w*|recovery_codes?"
    r"|session_?id|(api|access|private|secret|session|signing)_?key)",
    re.IGNORECASE,
)
_SECRET_TEXTS: list[tuple[re.Pattern[str], str]] = [
    (re.compile(r"\b(my_[0-9a-f]{64}\.)[A-Za-z0-9_-]+"), rf"\1{MASK}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"), MASK),
    (re.compile(r"\b(Bearer|Basic)\s+(?!my_)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"(\w://[^\s:/@]*:)[^\s/@]+@"), rf"\1{MASK}@"),
]


def masked(value: Any) -> Any:
    """`value` as it may be shown: whatever stands under a secret's name is gone, and every text is masked."""
    match value:
        case str():
            return masked_text(value)
        case bytes():
            return masked_text(value.decode("utf-8", "replace"))
        case Mapping():
            return {key: MASK if item and is_secret_name(key) else masked(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [masked(item) for item in value]
        case int() | float() | None:
            return value
        case _:
            return masked_text(str(value))


def masked_text(text: str) -> str:
    """`text` without API tokens' secrets, signed tokens, credentials of a header or of an address."""
    for pattern, replacement in _SECRET_TEXTS:
        text = pattern.sub(replacement, text)
    return text


def is_secret_name(name: Any) -> bool:
    return isinstance(name, str) and _SECRET_NAMES.fullmatch(name) is not None
