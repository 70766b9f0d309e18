from __future__ import annotations

from typing import Any, cast

from django import forms

from apps.core.actors import Actor
from apps.organizations import queries
from apps.organizations.enums import Role
from apps.organizations.models import Invitation


class InvitationForm(forms.Form):
    email = forms.EmailField(
        label="Email",
        max_length=Invitation._meta.get_field("email").max_length,
        help_text="They get a link that works for seven days, for this address.",
    )
    role = forms.ChoiceField(initial=Role.DEVELOPER)

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast("forms.ChoiceField", self.fields["role"]).choices = queries.roles_within(actor)


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices)
