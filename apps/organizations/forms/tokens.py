from __future__ import annotations

from typing import Any, cast

from django import forms

from apps.core.actors import Actor


class TokenForm(forms.Form):
    name = forms.CharField(max_length=80, help_text="Where it will be used, such as “nightly scoring”.")
    scopes = forms.MultipleChoiceField(widget=forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        held = sorted(actor.permissions)
        scopes = cast("forms.MultipleChoiceField", self.fields["scopes"])
        scopes.choices = [(scope, scope) for scope in held]
        scopes.initial = [s for s in held if s.endswith(".read") or s == "predictions.create"]
