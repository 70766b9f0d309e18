from __future__ import annotations

from django import forms

from apps.organizations.enums import Role


class MemberForm(forms.Form):
    email = forms.EmailField(label="E-mail", help_text="Somebody who has already signed up.")
    role = forms.ChoiceField(choices=Role.choices, initial=Role.DEVELOPER)
