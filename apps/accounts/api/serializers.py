from __future__ import annotations

from rest_framework import serializers

# A token of ours has some 500 characters; a longer text is none.
TOKEN_MAX_CHARS = 4096


class CredentialsSerializer(serializers.Serializer):
    email = serializers.EmailField()
    password = serializers.CharField(max_length=4096, trim_whitespace=False, style={"input_type": "password"})
    code = serializers.CharField(
        max_length=64, default="", allow_blank=True, help_text="Of the second factor, if the account has one."
    )


class RefreshSerializer(serializers.Serializer):
    refresh = serializers.CharField(max_length=TOKEN_MAX_CHARS)


class PairSerializer(serializers.Serializer):
    access = serializers.CharField(help_text="For `Authorization: Bearer` of each call.")
    refresh = serializers.CharField(help_text="For the next pair, once. Sent a second time, it ends them all.")
    expires_in = serializers.IntegerField(help_text="Seconds that the access token lasts.")
    token_type = serializers.CharField()
