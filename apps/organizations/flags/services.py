"""What operators do with features. Each act leaves a line: in the organization's trail, or in the console's history."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from apps.core import operators
from apps.core.actors import Actor
from apps.organizations.flags import lookup
from apps.organizations.flags.errors import FlagObsolete, WrongPercentage
from apps.organizations.flags.known import KNOWN
from apps.organizations.models import FeatureFlag, FlagChoice, Organization
from apps.organizations.services.trail import tell


def declare_flags(using: str = "default") -> None:
    """Write down the features that the code knows. What an operator set stays; descriptions follow the code."""
    rows = [
        FeatureFlag(name=flag.name, description=flag.description, percentage=flag.percentage) for flag in KNOWN.values()
    ]
    FeatureFlag.objects.using(using).bulk_create(
        rows, update_conflicts=True, unique_fields=["name"], update_fields=["description"]
    )


@transaction.atomic
def set_flag(flag: FeatureFlag, percentage: int, *, by: Actor) -> FeatureFlag:
    """Give a feature to this share of the organizations, to all (100) or none (0); chosen ones keep what they have.

    Raises `OperatorNeeded`, `FlagObsolete`, `WrongPercentage`.
    """
    operators.operator_id(by)
    _require_known(flag.name)
    if not 0 <= percentage <= 100:
        raise WrongPercentage(field="percentage")
    flag = FeatureFlag.objects.select_for_update().get(pk=flag.pk)
    if flag.percentage == percentage:
        return flag
    message = f"From {flag.percentage} % to {percentage} % of the organizations"
    flag.percentage, flag.changed_at, flag.changed_by_label = percentage, timezone.now(), by.label[:200]
    flag.save(update_fields=["percentage", "changed_at", "changed_by_label"])
    operators.note(by, flag, message)
    transaction.on_commit(lookup.forget)
    return flag


@transaction.atomic
def choose_flag(name: str, organization: Organization, is_on: bool | None, *, by: Actor) -> None:
    """Switch a feature on or off for the organization in scope, whatever the others have; None: as all others.

    Raises `OperatorNeeded`, `FlagObsolete`.
    """
    operators.operator_id(by)
    _require_known(name)
    before = FlagChoice.objects.select_for_update().filter(flag=name).first()
    if (before.is_on if before else None) == is_on:
        return
    if is_on is None:
        FlagChoice.objects.filter(flag=name).delete()
    else:
        FlagChoice.objects.update_or_create(flag=name, defaults={"is_on": is_on})
    change = [_word(before.is_on if before else None), _word(is_on)]
    tell(by, "organization.feature_switched", organization, {KNOWN[name].title: change})
    transaction.on_commit(lookup.forget)


def _require_known(name: str) -> None:
    if name not in KNOWN:
        raise FlagObsolete(name=name)


def _word(is_on: bool | None) -> str:
    return {True: "on", False: "off", None: "as everybody"}[is_on]
