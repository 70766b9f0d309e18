"""Bodies in which a member that is misspelt is refused by its name instead of passed over."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


# Without a docstring, which would stand in the API's document at each that is made of it.
class StrictSerializer(serializers.Serializer):
    default_error_messages = {"unknown": "There is no such member. There are: {known}."}

    def to_internal_value(self, data: Any) -> Any:
        told = super().to_internal_value(data)
        if unknown := set(data) - set(self.fields):
            message = self.error_messages["unknown"].format(known=", ".join(self.fields))
            raise serializers.ValidationError({name: [message] for name in sorted(unknown)})
        return told
