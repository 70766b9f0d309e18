"""What keys have spent: by the ledger's days for people, and by the calls on record for the counters of budgets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db.models import Sum
from django.utils import timezone
from pydantic_core import from_json
from redis.exceptions import RedisError

from apps.core import tenancy
from apps.core.ids import least_uuid7
from apps.gateway import budgets
from apps.gateway.enums import BudgetPeriod
from apps.gateway.models import ModelCall, VirtualKey
from apps.gateway.recording import STREAM
from apps.usage import counting
from apps.usage.models import UsageDay
from apps.usage.quotas import Counter

log = structlog.get_logger(__name__)

TOGETHER = 100
ON_RECORD_DAYS = 2  # whose calls are summed one by one; the ledger's days before are done


def used_by(keys: Iterable[VirtualKey], now: datetime | None = None) -> dict[UUID, int]:
    """Micro-USD that each key with a budget has spent in its period, by the ledger. A query for each kind of period."""
    moment = now or timezone.now()
    by_period: dict[str, list[VirtualKey]] = {}
    for key in keys:
        if key.budget_micro_usd is not None:
            by_period.setdefault(key.budget_period, []).append(key)
    used: dict[UUID, int] = {}
    for period, those in by_period.items():
        spent = _days([str(key.token_id) for key in those], budgets.began_at(BudgetPeriod(period), moment))
        used |= {key.pk: spent.get(str(key.token_id), 0) for key in those}
    return used


def _days(token_ids: Collection[str], begins: datetime | None, before: datetime | None = None) -> dict[str, int]:
    rows = UsageDay.objects.filter(token__in=token_ids)
    rows = rows.filter(day__gte=begins.date()) if begins else rows
    rows = rows.filter(day__lt=before.date()) if before else rows
    summed = rows.values("token").annotate(spent=Sum("cost_micro_usd")).values_list("token", "spent")
    return {token: int(spent or 0) for token, spent in summed}


def restore() -> int:
    """Make the counters anew that the data plane doubts. Returns how many."""
    redis: Any = counting.client()
    doubted = redis.spop(budgets.DOUBTED, TOGETHER)
    return sum(map(_restored, doubted))


def _restored(doubted: bytes) -> bool:
    organization_id, key_id, period = doubted.decode().split(" ", 2)
    with tenancy.scope(UUID(organization_id)):
        key = VirtualKey.objects.filter(pk=key_id).first()
        if key is None or key.budget_micro_usd is None:
            return False
        counter = Counter(organization_id, budgets.name_of(key_id), period)
        try:
            counting.rebuild(counter, _waiting(counter, key), lambda _, ids: _on_record(key, period, ids))
        except (counting.Unsettled, RedisError):
            with suppress(RedisError):  # the next round tries again
                counting.client().sadd(budgets.DOUBTED, doubted)
            return False
    return True


def _waiting(counter: Counter, key: VirtualKey) -> dict[str, int]:
    """The cost of the key's calls in the period that the sink has not taken, by their ids."""
    found: dict[str, int] = {}
    for raw in counting.waiting_in(STREAM):
        with suppress(KeyError, TypeError, ValueError):
            event: Mapping[str, Any] = from_json(raw)
            at, period = datetime.fromisoformat(event["at"]), BudgetPeriod(key.budget_period)
            is_its = event["organization_id"] == counter.organization_id and event["token"] == str(key.token_id)
            if is_its and budgets.period_name(period, at) == counter.period:
                found[event["id"]] = int(event["cost_micro_usd"] or 0)
    return found


def _on_record(key: VirtualKey, name: str, ids: Collection[str]) -> tuple[int, set[str]]:
    """What the period's calls on record cost, and which of these ids are among them."""
    period, now = BudgetPeriod(key.budget_period), timezone.now()
    calls = ModelCall.objects.filter(token_id=key.token_id)
    stored = {str(pk) for pk in calls.filter(pk__in=list(ids)).values_list("pk", flat=True)}
    if budgets.period_name(period, now) != name:
        return 0, stored  # a period that is over: nobody asks for it any more
    begins, recent = budgets.began_at(period, now), _midnight(now) - timedelta(days=ON_RECORD_DAYS - 1)
    first = recent if begins is None else max(begins, recent)
    one_by_one = calls.filter(pk__gte=least_uuid7(first)).aggregate(spent=Sum("cost_micro_usd"))["spent"] or 0
    token = str(key.token_id)
    before = _days([token], begins, recent).get(token, 0) if begins is None or begins < recent else 0
    return before + one_by_one, stored


def _midnight(now: datetime) -> datetime:
    began = budgets.began_at(BudgetPeriod.DAY, now)
    assert began is not None  # noqa: S101 - a day has a beginning
    return began
