from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, cast

from django import forms
from django.utils import timezone

from apps.core.actors import Actor
from apps.core.errors import DomainError
from apps.core.forms import EditForm, GridRow
from apps.organizations import networks
from apps.organizations.enums import TokenKind
from apps.organizations.permissions import AREAS, TABLE
from apps.organizations.role_table import VERBS

DAYS = ("7", "30", "90", "365")
ON_A_DATE = "date"
LIFETIMES = [*((days, f"{days} days") for days in DAYS), (ON_A_DATE, "On a date …")]
LAST_DAY = date.max - timedelta(days=1)  # that has a day after it
UNCHANGED = ""
OVERLAPS = [("0", "At once"), ("1", "In an hour"), ("24", "In a day"), ("72", "In 3 days"), ("168", "In a week")]
KINDS = [
    (TokenKind.PERSONAL, "Mine: acts for me, and loses what I lose"),
    (TokenKind.ORGANIZATION, "The organization's: stays when I leave"),
]
PRESETS = [("predict", "Predict only"), ("read", "Read everything"), ("everything", "Everything I may")]


class NetworksField(forms.CharField):
    """Networks, one on a line or with commas between them; a list."""

    def __init__(self) -> None:
        super().__init__(
            label="Only from these networks",
            required=False,
            widget=forms.Textarea(
                attrs={"rows": 3, "placeholder": "203.0.113.0/24\n2001:db8::/32", "spellcheck": "false"}
            ),
            help_text="One a line, 20 at most. Empty allows every address.",
        )

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return (super().to_python(value) or "").replace(",", " ").split()

    def clean(self, value: Any) -> list[str]:
        """Refused here already, so that it is told together with what is wrong elsewhere in the form."""
        try:
            return networks.normalised(super().clean(value))
        except DomainError as error:
            raise forms.ValidationError(error.message) from None


class TokenForm(forms.Form):
    """A new token of `actor`. Dates end in `zone`."""

    name = forms.CharField(max_length=80, help_text="Where it will be used, such as “nightly scoring”.")
    kind = forms.ChoiceField(label="Whose it is", choices=KINDS, widget=forms.RadioSelect, initial=TokenKind.PERSONAL)
    scopes = forms.MultipleChoiceField(
        label="What it may do", error_messages={"required": "Choose at least one scope."}
    )
    lifetime = forms.ChoiceField(label="Ends after", choices=LIFETIMES, initial="90")
    expires_at = forms.DateField(
        label="Last day",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="A year from now at most.",
    )
    allowed_networks = NetworksField()

    def __init__(self, *args: Any, actor: Actor, zone: tzinfo, preset: str = "predict", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._zone = zone
        held = [permission for permission in TABLE if actor.can(permission)]
        scopes = cast("forms.MultipleChoiceField", self.fields["scopes"])
        scopes.choices = [(permission, permission) for permission in held]
        scopes.initial = _preset(preset, held)
        if not actor.can("organization_tokens.write"):
            del self.fields["kind"]

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        lifetime, day = given.pop("lifetime", UNCHANGED), given.pop("expires_at", None)
        if lifetime == ON_A_DATE and not day and "expires_at" not in self.errors:
            self.add_error("expires_at", "Choose the last day.")
        given["expires_at"] = _end(lifetime, day, self._zone)
        return given

    def grid(self) -> list[GridRow]:
        """The scopes as `choice_grid` draws them: by area those to read, those to write, and others by their names."""
        offered = [value for value, _ in cast("Any", self.fields["scopes"]).choices]
        return [row for area, note in AREAS.items() if any((row := _grid_row(area, note, offered)).cells)]


class TokenEditForm(EditForm):
    name = forms.CharField(max_length=80)
    allowed_networks = NetworksField()


class RotationForm(forms.Form):
    overlap_hours = forms.TypedChoiceField(
        label="The present secret stops",
        choices=OVERLAPS,
        initial="24",
        coerce=lambda hours: timedelta(hours=int(hours)),
    )
    lifetime = forms.ChoiceField(
        label="The token ends",
        choices=[(UNCHANGED, "As before"), *((days, f"In {days} days") for days in DAYS)],
        required=False,
    )

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        lifetime = given.pop("lifetime", UNCHANGED)
        return {"overlap": given.get("overlap_hours"), "expires_at": _end(lifetime, None, UTC)}


def _grid_row(area: str, note: str, offered: Sequence[str]) -> GridRow:
    actions = [permission.partition(".")[2] for permission in offered if permission.startswith(f"{area}.")]
    cells = [[(f"{area}.{action}", "")] if action in actions else [] for action in ("read", "write")]
    others = [(f"{area}.{action}", VERBS[action]) for action in actions if action not in ("read", "write")]
    return GridRow(area.replace("_", " ").capitalize(), note, [*cells, others])


def _preset(name: str, held: list[str]) -> list[str]:
    """The scopes that a preset checks; to predict is all that most tokens need."""
    match name:
        case "everything":
            return held
        case "read":
            return [permission for permission in held if permission.endswith(".read")]
        case _:
            return [permission for permission in held if permission == "predictions.create"]


def _end(lifetime: str, day: date | None, zone: tzinfo) -> datetime | None:
    """The moment that a choice of lifetime means; a day counts to its end."""
    if lifetime == ON_A_DATE:
        return datetime.combine(min(day, LAST_DAY) + timedelta(days=1), time(), zone) if day else None
    return timezone.now() + timedelta(days=int(lifetime)) if lifetime else None
