from __future__ import annotations

from django import forms

from apps.organizations.models import Organization


class NewOrganizationForm(forms.Form):
    name = forms.CharField(max_length=80, help_text="Your team or company. You can change it later.")


class OrganizationForm(forms.ModelForm):
    class Meta:
        model = Organization
        fields = ["name"]
