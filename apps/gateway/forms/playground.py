from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from django import forms

from apps.gateway.snippets import EXAMPLE

MOST_TOKENS = 100_000


class PlaygroundForm(forms.Form):
    """A call to try, as the chat face takes it."""

    route = forms.ChoiceField()
    system = forms.CharField(
        label="System message", required=False, widget=forms.Textarea(attrs={"rows": 2}), max_length=100_000
    )
    user = forms.CharField(
        label="Message",
        widget=forms.Textarea(attrs={"rows": 4}),
        max_length=100_000,
        initial=EXAMPLE,
    )
    temperature = forms.FloatField(required=False, min_value=0, max_value=2, help_text="0 to 2. Empty: the model's.")
    max_tokens = forms.IntegerField(
        label="Most tokens", required=False, min_value=1, max_value=MOST_TOKENS, initial=256
    )

    def __init__(self, *args: Any, names: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast("forms.ChoiceField", self.fields["route"]).choices = [(name, name) for name in names]

    def body(self) -> dict[str, Any]:
        """The valid form as the body of a chat completion, without what was left empty."""
        given = self.cleaned_data
        messages = [("system", given["system"]), ("user", given["user"])]
        options = {name: given[name] for name in ("temperature", "max_tokens") if given[name] is not None}
        asked = [{"role": role, "content": text} for role, text in messages if text]
        return {"model": given["route"], "messages": asked, **options}
