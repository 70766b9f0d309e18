from __future__ import annotations

from typing import Any, cast

from django import forms

from apps.core.actors import Actor
from apps.organizations.enums import Role
from apps.organizations.models import Organization


class NewOrganizationForm(forms.Form):
    name = forms.CharField(max_length=80, help_text="Your team or company. You can change it later.")


class OrganizationForm(forms.ModelForm):
    class Meta:
        model = Organization
        fields = ["name"]


class MemberForm(forms.Form):
    email = forms.EmailField(label="E-mail", help_text="Somebody who has already signed up.")
    role = forms.ChoiceField(choices=Role.choices, initial=Role.DEVELOPER)


class TokenForm(forms.Form):
    name = forms.CharField(max_length=80, help_text="Where it will be used, such as “nightly scoring”.")
    scopes = forms.MultipleChoiceField(widget=forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        held = sorted(actor.permissions)
        scopes = cast("forms.MultipleChoiceField", self.fields["scopes"])
        scopes.choices = [(scope, scope) for scope in held]
        scopes.initial = [s for s in held if s.endswith(".read") or s == "predictions.create"]
