from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from apps.core.api.choices import ToldChoiceField
from apps.core.time_ranges import HOUR
from apps.ratelimits import wording
from apps.ratelimits.models import Entry, Policy
from apps.ratelimits.queries import RANGES
from apps.ratelimits.services import COLUMNS

EXAMPLE = {
    "name": "Each key",
    "subject": ["token"],
    "quantity": "requests",
    "limit": 100,
    "window_s": 60,
    "planes": ["predictions"],
}
SHOWN: dict[str, Any] = {
    "id": "01977f2c-5d4e-7a31-8b7e-0c1d2e3f4a5b",
    "description": "100 requests a minute for each API token",
    "header": "",
    "algorithm": "gcra",
    "burst": None,
    "is_shadow": False,
    "away": "local",
    "routes": [],
    "models": [],
    "paused_because": "",
    "created_at": "2026-11-23T09:30:00Z",
}
ENTRY_EXAMPLE = {"kind": "deny", "subject": "address", "value": "203.0.113.0/24", "reason": "Scrapes our endpoint"}
COLUMN_HELP = {
    "subject": {"help_text": "For whom it counts. Several are counted together: each combination by itself."},
    "header": {"help_text": "Which header, where `subject` names `header`."},
    "quantity": {"help_text": "What is counted; `cost` in millionths of a dollar."},
    "algorithm": {
        "help_text": "`gcra` lets calls pass evenly after a burst; `window` never more than the limit in any window."
    },
    "limit": {"help_text": "From 1 to 10^12 in a window; of calls at once up to 10,000."},
    "window_s": {
        "help_text": "From a second to 31 days. Of calls at once: for how long one that breaks off still counts, and "
        "one that is asked about and neither extended nor settled."
    },
    "burst": {"help_text": "How much of `gcra` may be used at once; as much as the limit without it."},
    "is_shadow": {"help_text": "False: enforced. True: in shadow, where it counts and refuses nothing."},
    "away": {"help_text": "What becomes of calls while the limiter's memory cannot be asked."},
    "planes": {"help_text": "Which calls it limits; `check` are those that your own services ask about."},
    "routes": {"help_text": "Such as `POST /api/v1/jobs/` or `/api/v1/*`; none means all."},
    "models": {"help_text": "Names of endpoints; none means all."},
}


@extend_schema_serializer(
    examples=[OpenApiExample("100 requests a minute for each key", {**EXAMPLE, **SHOWN}, response_only=True)]
)
class PolicySerializer(serializers.ModelSerializer):
    description = serializers.SerializerMethodField(help_text="What it says, in words.")

    class Meta:
        model = Policy
        fields = ["id", *COLUMNS, "description", "paused_at", "paused_because", "created_at"]
        extra_kwargs = COLUMN_HELP

    def get_description(self, policy: Policy) -> str:
        return wording.in_words(policy)


@extend_schema_serializer(examples=[OpenApiExample("100 requests a minute for each key", EXAMPLE, request_only=True)])
class NewPolicySerializer(serializers.ModelSerializer):
    serializer_choice_field = ToldChoiceField

    class Meta:
        model = Policy
        fields = COLUMNS
        extra_kwargs = COLUMN_HELP


@extend_schema_serializer(examples=[OpenApiExample("Raise the limit", {"limit": 200}, request_only=True)])
class PolicyChangesSerializer(NewPolicySerializer):
    pass


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A denied network",
            {
                "id": "01977f2c-5d4e-7a31-8b7e-0c1d2e3f4a5c",
                **ENTRY_EXAMPLE,
                "header": "",
                "ends_at": None,
                "created_at": "2026-11-23T09:30:00Z",
            },
            response_only=True,
        )
    ]
)
class EntrySerializer(serializers.ModelSerializer):
    class Meta:
        model = Entry
        fields = ["id", "kind", "subject", "header", "value", "reason", "ends_at", "created_at"]


@extend_schema_serializer(examples=[OpenApiExample("A denied network", ENTRY_EXAMPLE, request_only=True)])
class NewEntrySerializer(serializers.ModelSerializer):
    serializer_choice_field = ToldChoiceField

    class Meta:
        model = Entry
        fields = ["kind", "subject", "header", "value", "reason", "ends_at"]
        extra_kwargs = {
            "kind": {"help_text": "`deny` refuses with 403, `allow` leaves the plan's limits alone."},
            "value": {
                "help_text": "An address or network, the id of a token or person, or a text that has to be the same."
            },
        }


class EntryChangesSerializer(serializers.ModelSerializer):
    serializer_choice_field = ToldChoiceField

    class Meta:
        model = Entry
        fields = ["kind", "reason", "ends_at"]


class CountsSerializer(serializers.Serializer):
    passed = serializers.IntegerField()
    refused = serializers.IntegerField()
    would_refuse = serializers.IntegerField(help_text="What a shadow policy counted and let pass.")
    least_headroom = serializers.FloatField(
        allow_null=True, help_text="The smallest share of the limit that was left, from 0 to 1; null without a call."
    )


class SeenPolicySerializer(serializers.Serializer):
    policy = serializers.CharField(source="policy.pk", help_text="Its id; of a limit of the plan a word.")
    name = serializers.CharField(source="policy.name")
    description = serializers.SerializerMethodField()
    limit = serializers.IntegerField(source="policy.limit")
    is_of_plan = serializers.BooleanField(help_text="Whether it comes with the plan.")
    last_hour = CountsSerializer(source="counts")

    def get_description(self, row: object) -> str:
        return wording.in_words(row.policy)  # type: ignore[attr-defined]


class LimitedSerializer(serializers.Serializer):
    policy = serializers.CharField(source="policy.pk")
    names = serializers.ListField(
        child=serializers.CharField(), help_text="Who, in the order of the policy's subjects: tokens by their names."
    )
    refused = serializers.IntegerField(help_text="How often, since they were last left in peace for an hour.")
    last_at = serializers.DateTimeField()


class LimitsSerializer(serializers.Serializer):
    limited_now = LimitedSerializer(many=True, help_text="Who was refused within the last minute.")
    policies = SeenPolicySerializer(many=True)


class HistoryQuerySerializer(serializers.Serializer):
    policy = serializers.CharField(max_length=40, help_text="The id of a policy, or of a limit of the plan.")
    range = serializers.ChoiceField(choices=list(RANGES), default=HOUR.name)


class HistoryStepSerializer(CountsSerializer):
    at = serializers.DateTimeField(help_text="Beginning of the step, in UTC.")


class HistorySerializer(serializers.Serializer):
    step_seconds = serializers.IntegerField()
    steps = HistoryStepSerializer(many=True)
