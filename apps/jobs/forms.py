from __future__ import annotations

import json
import re
from typing import Any

from django import forms
from django.utils import timezone
from rest_framework import serializers

from apps.jobs.api.serializers import JsonObjectField
from apps.jobs.enums import DEFAULT_PRIORITY, HIGHEST_PRIORITY, KIND, MAX_INPUT_BYTES, MAX_TAGS, TAG
from apps.jobs.models import Job
from apps.jobs.services import Wishes


class TagsField(forms.CharField):
    """Words with spaces or commas between them; a list."""

    def prepare_value(self, value: Any) -> Any:
        return " ".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        tags = sorted(set((super().clean(value) or "").replace(",", " ").split()))
        for tag in tags:
            if not re.match(TAG, tag):
                raise forms.ValidationError(
                    f"`{tag}` is no tag: small letters, digits and . _ : / - between them, 50 at most."
                )
        if len(tags) > MAX_TAGS:
            raise forms.ValidationError(f"At most {MAX_TAGS} tags.")
        return tags


class InputField(forms.CharField):
    """A JSON object; a dict."""

    widget = forms.Textarea(attrs={"rows": 6, "spellcheck": "false", "class": "input mono", "placeholder": "{}"})

    def prepare_value(self, value: Any) -> Any:
        return json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict) else value

    def clean(self, value: Any) -> dict[str, Any]:
        try:
            given = json.loads(super().clean(value) or "{}")
        except json.JSONDecodeError as error:
            message = f"Line {error.lineno}, column {error.colno}: {error.msg.lower()}."
            raise forms.ValidationError(message) from None
        except RecursionError:
            raise forms.ValidationError("It is nested too deep.") from None
        if not isinstance(given, dict):
            raise forms.ValidationError('Write a JSON object, such as `{"epochs": 10}`.')
        return self._kept(given)

    @staticmethod
    def _kept(given: dict[str, Any]) -> dict[str, Any]:
        try:
            return JsonObjectField(max_bytes=MAX_INPUT_BYTES).run_validation(given)
        except serializers.ValidationError as error:
            raise forms.ValidationError([str(one) for one in error.detail]) from None


class JobForm(forms.Form):
    """A new job of the organization's own kinds. `run_at` is in the person's zone."""

    kind = forms.CharField(
        max_length=60,
        help_text="What your process asks for, such as nightly-train. A new one begins with its first job.",
        widget=forms.TextInput(attrs={"placeholder": "nightly-train", "spellcheck": "false", "autocomplete": "off"}),
    )
    name = forms.CharField(max_length=200, required=False, help_text="What people read. The kind, if empty.")
    input = InputField(required=False, help_text="A JSON object that your process is given.")
    priority = forms.IntegerField(
        min_value=0,
        max_value=HIGHEST_PRIORITY,
        initial=DEFAULT_PRIORITY,
        help_text=f"0 to {HIGHEST_PRIORITY}; a higher one goes first.",
    )
    run_at = forms.DateTimeField(
        required=False,
        label="Not before",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": 1}),
    )
    tags = TagsField(required=False, help_text="With spaces between them. The list can be narrowed to each.")

    def __init__(self, *args: Any, like: Job | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = timezone.get_current_timezone_name()
        self.fields["run_at"].help_text = f"In your time zone, {zone}. Empty: as soon as a process is free."
        if like is not None:
            tags = [mark.tag for mark in like.tags.all()]
            self.initial.update(kind=like.kind, name=like.label, input=like.input, tags=tags, priority=like.priority)

    def clean_kind(self) -> str:
        kind: str = self.cleaned_data["kind"]
        if not re.match(KIND, kind):
            raise forms.ValidationError("Small letters, digits, dots and dashes; it begins with a letter or digit.")
        return kind

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        wishes = Wishes(
            priority=given.get("priority", DEFAULT_PRIORITY), run_at=given.get("run_at"), tags=given.get("tags", ())
        )
        kind = given.get("kind", "")
        return {"kind": kind, "input": given.get("input"), "label": given.get("name", ""), "wishes": wishes}
