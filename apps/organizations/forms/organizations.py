from __future__ import annotations

from typing import Any, cast

from django import forms
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.http import urlencode

from apps.core import time_zones
from apps.core.forms import EditForm
from apps.organizations import queries
from apps.organizations.errors import ConfirmationMismatch
from apps.organizations.models import Membership, Organization


def _checked(other: str, current: str = "") -> dict[str, str]:
    """Attributes of an input that tells while typing whether the address is free; `other` is sent along."""
    return {
        "hx-get": f"{reverse('invitations:address-check')}?{urlencode({'current': current})}",
        "hx-trigger": "input changed delay:300ms",
        "hx-target": "#address-check",
        "hx-include": f"[name='{other}']",
        "hx-sync": "closest form:replace",
        "autocomplete": "off",
        "spellcheck": "false",
    }


def _address_field(**options: Any) -> forms.CharField:
    column = Organization._meta.get_field("slug")
    return forms.CharField(
        label="Address", min_length=2, max_length=column.max_length, validators=column.validators, **options
    )


class NewOrganizationForm(forms.Form):
    name = forms.CharField(max_length=80, help_text="Your team or company. You can change it later.")
    slug = _address_field(required=False, help_text="Stands in every link. Left empty, it is made from the name.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].widget.attrs |= _checked("slug")
        self.fields["slug"].widget.attrs |= _checked("name")


class OrganizationForm(EditForm):
    name = forms.CharField(max_length=80)
    slug = _address_field(help_text="Links and programs that use the old address stop working at once.")
    time_zone = forms.ChoiceField(help_text="For members who have not chosen one of their own in their profile.")
    requires_second_factor = forms.BooleanField(
        required=False,
        label="Require two-factor of every member",
        help_text="Members without it are asked to set it up before they can go on. API tokens keep working.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        organization = cast("Organization", self.row)
        self.fields["slug"].widget.attrs |= _checked("slug", current=organization.slug)
        # A zone that was set by the API may be one of the old names, which the list leaves out.
        now = ("Now", [(organization.time_zone, organization.time_zone)])
        cast("forms.ChoiceField", self.fields["time_zone"]).choices = [now, *time_zones.choices()]


class AddressCheckForm(forms.Form):
    """What is typed into a form with an address, as far as it is typed."""

    name = forms.CharField(required=False, max_length=80)
    slug = _address_field(required=False)

    @property
    def address(self) -> str:
        """The address that would be taken."""
        given = self.cleaned_data
        return given.get("slug") or (queries.slug_of(given["name"]) if given.get("name") else "")


class TransferForm(forms.Form):
    confirmation = forms.CharField()

    def __init__(self, *args: Any, organization: Organization, members: QuerySet[Membership], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.organization = organization
        self.fields["member"] = MemberField(members, label="New owner", empty_label="Choose a member")
        self.fields["confirmation"].label = f"Type {organization.name} to confirm"

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        if given.pop("confirmation", self.organization.name) != self.organization.name:
            self.add_error("confirmation", ConfirmationMismatch(name=self.organization.name).message)
        return given


class MemberField(forms.ModelChoiceField):
    def label_from_instance(self, member: Any) -> str:
        return f"{member.user.email} ({member.get_role_display()})"
