from __future__ import annotations

from typing import Any, cast

from django import forms

from apps.core import time_zones
from apps.core.forms import EditForm
from apps.deployments.models import Deployment
from apps.gateway.enums import CacheMode, Strategy
from apps.gateway.forms.upstreams import HeadersField
from apps.gateway.models import ERROR_CLASSES, MOST_ATTEMPTS, PUBLIC_NAME, STRATEGIES, Route, Target, Upstream
from apps.gateway.wording import DAYS

MOST_TARGETS = 20
HOUR = r"([01]\d|2[0-3]):[0-5]\d|24:00"
HOUR_WRONG = {"invalid": "Write it like 08:00."}
EITHER, STREAMED, WHOLE = "", "yes", "no"


class RouteForm(forms.Form):
    """A public name; every field but the name has a default that serves a first route."""

    name = forms.CharField(
        max_length=100, validators=[PUBLIC_NAME], help_text="What programs send as “model”, such as small or team/chat."
    )
    description = forms.CharField(required=False, max_length=300)
    strategy = forms.ChoiceField(label="Among targets of a tier", choices=STRATEGIES, initial=Strategy.WEIGHTED)
    attempts = forms.IntegerField(label="Attempts at most", min_value=1, max_value=MOST_ATTEMPTS, initial=3)
    deadline_ms = forms.IntegerField(label="Deadline of the whole call, in ms", min_value=1, initial=120_000)
    first_byte_ms = forms.IntegerField(label="First byte within, in ms", min_value=1, initial=60_000)
    idle_ms = forms.IntegerField(label="Longest silence, in ms", min_value=1, initial=30_000)
    hedge_after_ms = forms.IntegerField(
        label="Ask a second target after, in ms", required=False, min_value=1, help_text="Empty: never. It costs twice."
    )
    max_request_bytes = forms.IntegerField(label="Largest request, in bytes", min_value=1, initial=4 * 1024 * 1024)
    cache_mode = forms.ChoiceField(
        label="Cache",
        choices=[
            (CacheMode.OFF, "Off"),
            (CacheMode.EXACT, "The same request"),
            (CacheMode.SEMANTIC, "Also a request that means the same"),
        ],
        initial=CacheMode.OFF,
    )
    cache_ttl_s = forms.IntegerField(label="Kept for, in seconds", min_value=1, initial=3_600)
    cache_threshold = forms.FloatField(
        label="Alike from", min_value=0.5, max_value=1, initial=0.95, help_text="0.5 to 1, for what means the same."
    )
    bodies_days = forms.IntegerField(
        label="Keep what is sent and answered, in days",
        required=False,
        min_value=1,
        max_value=90,
        help_text="Redacted. Empty: not kept.",
    )


class RouteEditForm(RouteForm, EditForm):
    def __init__(self, *args: Any, row: Route, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)


class TargetForm(forms.Form):
    """One target. A row without a place is no target; what was a target goes when its place is taken away."""

    id = forms.UUIDField(required=False, widget=forms.HiddenInput)
    place = forms.ChoiceField(label="Answers", required=False)
    model = forms.CharField(label="Its name for the model", required=False, max_length=120)
    tier = forms.IntegerField(min_value=0, max_value=9, initial=0, required=False, help_text="0 is tried first.")
    weight = forms.IntegerField(min_value=0, max_value=10_000, initial=100, required=False)
    on = forms.MultipleChoiceField(
        label="Gets only these failures of earlier tiers",
        required=False,
        choices=ERROR_CLASSES,
        widget=forms.CheckboxSelectMultiple,
        help_text="None chosen: whatever may do better elsewhere.",
    )
    min_tokens = forms.IntegerField(label="From this many tokens", required=False, min_value=0)
    max_tokens = forms.IntegerField(label="Up to this many tokens", required=False, min_value=0)
    streamed = forms.ChoiceField(
        label="Answer", required=False, choices=[(EITHER, "Either"), (STREAMED, "Streamed only"), (WHOLE, "Whole only")]
    )
    begins = forms.RegexField(HOUR, label="From", required=False, error_messages=HOUR_WRONG, help_text="Such as 08:00.")
    ends = forms.RegexField(HOUR, label="Until", required=False, error_messages=HOUR_WRONG, help_text="Up to 24:00.")
    time_zone = forms.CharField(label="Time zone", required=False, max_length=60, help_text="Empty: UTC.")
    days = forms.TypedMultipleChoiceField(
        label="Only on",
        required=False,
        coerce=int,
        choices=list(enumerate(DAYS)),
        widget=forms.CheckboxSelectMultiple,
        help_text="None chosen: every day.",
    )
    headers = HeadersField()

    def __init__(self, *args: Any, places: list[tuple[str, str]], targets: dict[Any, Target], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._targets = targets
        cast("forms.ChoiceField", self.fields["place"]).choices = [("", "Choose who answers"), *places]
        self.fields["headers"].label, self.fields["headers"].help_text = "Only with these headers", "One a line."

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        if given.get("place", "").startswith("upstream:") and not given.get("model"):
            self.add_error("model", "Say what it calls the model.")
        for name, other in (("begins", "ends"), ("ends", "begins")):
            if given.get(other) and name in given and not given[name]:
                self.add_error(name, "Say both, from when and until when.")
        if given.get("time_zone") and not time_zones.exists(given["time_zone"]):
            self.add_error("time_zone", "There is no such zone. Write it like Europe/Berlin.")
        return given

    def target(self) -> dict[str, Any]:
        """What the service takes."""
        given = self.cleaned_data
        kind, _, place_id = given["place"].partition(":")
        places = {"upstream": None, "deployment": None, kind: _place(kind, place_id)}
        counts = {"tier": given["tier"] or 0, "weight": 100 if given["weight"] is None else given["weight"]}
        known = {"id": given["id"]} if given["id"] in self._targets else {}
        return {**known, **places, **counts, "model": given["model"], "on": given["on"], "when": self._when()}

    def _when(self) -> dict[str, Any]:
        given = self.cleaned_data
        told = {name: given[name] for name in ("min_tokens", "max_tokens") if given[name] is not None}
        told |= {name: given[name] for name in ("headers", "days", "time_zone") if given[name]}
        if given["streamed"]:
            told["is_stream"] = given["streamed"] == STREAMED
        if given["begins"]:
            told["hours"] = [given["begins"], given["ends"]]
        return told


Targets = forms.formset_factory(TargetForm, extra=1, max_num=MOST_TARGETS, absolute_max=MOST_TARGETS)


def target_forms(data: Any = None, route: Route | None = None) -> Any:
    """The targets of `route` and an empty row; with `data`, those that were typed."""
    targets = {} if route is None else {target.pk: target for target in route.targets.order_by("tier", "pk")}
    initial = [_initial(target) for target in targets.values()]
    return Targets(data, prefix="targets", initial=initial, form_kwargs={"places": _places(), "targets": targets})


def with_another_row(data: Any) -> Any:
    """What was typed, with one row more."""
    typed = data.copy()
    typed["targets-TOTAL_FORMS"] = str(min(int(typed.get("targets-TOTAL_FORMS", "1")) + 1, MOST_TARGETS))
    return typed


def chosen_targets(rows: Any) -> list[dict[str, Any]]:
    return [row.target() for row in rows if row.cleaned_data.get("place")]


def _places() -> list[tuple[str, str]]:
    upstreams = [(f"upstream:{one.pk}", one.name) for one in Upstream.objects.order_by("name")]
    return upstreams + [
        (f"deployment:{one.pk}", f"Deployment {one.name}") for one in Deployment.objects.order_by("name")
    ]


def _place(kind: str, place_id: str) -> Any:
    return (Upstream if kind == "upstream" else Deployment).objects.get(pk=place_id)


def _initial(target: Target) -> dict[str, Any]:
    when, streamed = target.when, {True: STREAMED, False: WHOLE}
    return {
        "id": target.pk,
        "place": f"upstream:{target.upstream_id}" if target.upstream_id else f"deployment:{target.deployment_id}",
        "model": target.model,
        "tier": target.tier,
        "weight": target.weight,
        "on": target.on,
        "min_tokens": when.get("min_tokens"),
        "max_tokens": when.get("max_tokens"),
        "streamed": streamed.get(when.get("is_stream"), EITHER),
        "begins": when.get("hours", ("", ""))[0],
        "ends": when.get("hours", ("", ""))[1],
        "days": when.get("days", []),
        "time_zone": when.get("time_zone", ""),
        "headers": when.get("headers", {}),
    }
