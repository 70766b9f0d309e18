"""Whether a secret of the installation can be guessed. Imports no Django: settings ask before Django runs."""

from __future__ import annotations

MIN_CHARS = 32
MIN_DIFFERENT_CHARS = 10
TELLTALES = ("changeme", "change-me", "change_me", "django-insecure", "example", "insecure", "your-secret")


def weakness(secret: str) -> str:
    """What is wrong with `secret`, in words behind "it"; empty when nothing is."""
    if len(secret) < MIN_CHARS:
        return f"has fewer than {MIN_CHARS} characters"
    if len(set(secret)) < MIN_DIFFERENT_CHARS:
        return "repeats the same few characters"
    if any(word in secret.lower() for word in TELLTALES):
        return "is a placeholder"
    return ""
