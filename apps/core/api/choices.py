"""A choice whose refusal names what there is to choose from."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


# Without a docstring, which would stand in the API's document at each field that is made of it.
class ToldChoiceField(serializers.ChoiceField):
    default_error_messages = {
        "required": "Name one of: {choices}.",
        "invalid_choice": "“{input}” is none of: {choices}.",
    }

    def fail(self, key: str, **told: Any) -> Any:
        return super().fail(key, choices=", ".join(map(str, self.choices)), **told)
