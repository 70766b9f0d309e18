from __future__ import annotations

from typing import Any, cast

from django import forms
from django.conf import settings

from apps.core.forms import EditForm
from apps.gateway.enums import Kind
from apps.gateway.models import KINDS, Upstream

# What new upstreams may start from: a title, and what it fills in.
PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("OpenAI", {"name": "OpenAI", "kind": Kind.OPENAI, "base_url": "https://api.openai.com/v1"}),
    "azure": ("Azure", {"name": "Azure", "kind": Kind.AZURE, "api_version": "2024-10-21"}),
    "anthropic": (
        "Anthropic",
        {"name": "Anthropic", "kind": Kind.ANTHROPIC, "base_url": "https://api.anthropic.com"},
    ),
    "gemini": (
        "Gemini",
        {"name": "Gemini", "kind": Kind.GEMINI, "base_url": "https://generativelanguage.googleapis.com"},
    ),
    "mistral": ("Mistral", {"name": "Mistral", "kind": Kind.COMPATIBLE, "base_url": "https://api.mistral.ai/v1"}),
    "ollama": ("Ollama", {"name": "Ollama", "kind": Kind.COMPATIBLE, "base_url": "http://ollama.example.com:11434/v1"}),
    "vllm": ("vLLM", {"name": "vLLM", "kind": Kind.COMPATIBLE, "base_url": "http://vllm.example.com:8000/v1"}),
    "compatible": ("Another OpenAI-compatible", {"kind": Kind.COMPATIBLE}),
    "json": ("HTTP JSON", {"kind": Kind.JSON}),
}


class HeadersField(forms.CharField):
    """Headers, one on a line as `name: value`; a mapping."""

    def __init__(self) -> None:
        widget = forms.Textarea(attrs={"rows": 2, "placeholder": "x-team: search", "spellcheck": "false"})
        super().__init__(required=False, widget=widget, help_text="Sent with each call. One a line. Never a key.")

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(f"{name}: {text}" for name, text in value.items()) if isinstance(value, dict) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)

    def to_python(self, value: Any) -> Any:
        lines = [line for line in (super().to_python(value) or "").splitlines() if line.strip()]
        if wrong := next((line for line in lines if ":" not in line), ""):
            raise forms.ValidationError("“%(line)s” is not of the form name: value.", params={"line": wrong})
        return {name.strip(): text.strip() for name, _, text in (line.partition(":") for line in lines)}


class UpstreamFields(forms.Form):
    name = forms.CharField(max_length=80, help_text="What your routes and calls call it.")
    kind = forms.ChoiceField(choices=KINDS)
    base_url = forms.CharField(
        label="Address", required=False, max_length=500, help_text="The base URL. Leave it empty for the local model."
    )
    api_version = forms.CharField(label="API version", required=False, max_length=40, help_text="Azure alone needs it.")
    headers = HeadersField()
    most_at_once = forms.IntegerField(
        label="Most calls at once", required=False, min_value=1, help_text="Empty: no limit."
    )
    health_path = forms.CharField(
        label="Path of its health check",
        required=False,
        max_length=200,
        help_text="Asked regularly, such as /health. Empty: only calls tell.",
    )
    health_interval_s = forms.IntegerField(label="Asked every, in seconds", min_value=5, initial=30)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not settings.LLM_URL:
            kind = cast("forms.ChoiceField", self.fields["kind"])
            kind.choices = [(value, label) for value, label in KINDS if value != Kind.LOCAL]


class UpstreamForm(UpstreamFields):
    secret = forms.CharField(
        label="Key",
        required=False,
        max_length=4_000,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Typed this once and sealed: nobody reads it back. More can be added later.",
    )


class UpstreamEditForm(UpstreamFields, EditForm):
    def __init__(self, *args: Any, row: Upstream, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)


class SecretForm(forms.Form):
    name = forms.CharField(max_length=80)
    secret = forms.CharField(label="Key", max_length=4_000, widget=forms.PasswordInput(attrs={"autocomplete": "off"}))
