"""`python -m bench.webhook_load WHAT FILE`: inside of private services, tell events and watch them arrive."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from statistics import quantiles
from typing import Any

import django

from tests.stand_ins import receiver
from tests.stand_ins.receiver import Receiver, answering
from workers.supervisor import programs
from workers.supervisor.state import ROOT

ROUNDS = 3
TENANTS, ENDPOINTS = 4, 5
EVENTS = 20  # for each tenant, to each of its endpoints
SINGLE_EVENTS = 30
DEAD_ENDPOINTS = 10
KILLS = 5
TICK_S = 1.0


def main() -> None:
    what, path = sys.argv[1:]
    subprocess.run([sys.executable, "manage.py", "migrate", "--database", "owner", "-v", "0"], cwd=ROOT, check=True)
    django.setup()
    Path(path).write_text(json.dumps({"rates": rates, "kills": kills}[what]()))


def rates() -> list[dict[str, dict[str, float]]]:
    with receiver.running() as far_end, receiver.running() as dead_end, worker():
        dead_end.answer = dead_end.silent
        tenants = [tenant(f"tenant-{n}", [f"{far_end.url}/{n}/{e}" for e in range(ENDPOINTS)]) for n in range(TENANTS)]
        dead = tenant("dead", [f"{dead_end.url}/{e}" for e in range(DEAD_ENDPOINTS)])
        switch(dead, on=False)
        rounds = [measured_round(tenants, dead, far_end, dead_end, number) for number in range(ROUNDS + 1)]
    return rounds[1:]  # the first round warms up


def measured_round(
    tenants: list[Any], dead: Any, far_end: Receiver, dead_end: Receiver, number: int
) -> dict[str, dict[str, float]]:
    """Once with dead endpoints and once without, beginning with the other one each time."""
    figures = {}
    for name in ("alone", "beside") if number % 2 else ("beside", "alone"):
        if name == "beside":
            called = len(dead_end.received)
            switch(dead, on=True)
            tell(dead, EVENTS)
            until(lambda called=called: len(dead_end.received) > called)
        figures[name] = measured(tenants, far_end)
        if name == "beside":
            switch(dead, on=False)
            until(lambda: not in_flight(dead))
    return figures


def measured(tenants: list[Any], far_end: Receiver) -> dict[str, float]:
    return {"per_second": rate(tenants, far_end), **delays(tenants[0], far_end)}


def rate(tenants: list[Any], far_end: Receiver) -> float:
    arrivals = arrivals_at(far_end)
    for one in tenants:
        tell(one, EVENTS)
    until(lambda: len(arrivals) == TENANTS * EVENTS * ENDPOINTS)
    until(lambda: not any(in_flight(one) for one in tenants))
    return (len(arrivals) - 1) / (arrivals[-1] - arrivals[0])


def delays(organization: Any, far_end: Receiver) -> dict[str, float]:
    """From the commit of one event to the first request about it, in milliseconds."""
    found = []
    for _ in range(SINGLE_EVENTS):
        arrivals = arrivals_at(far_end)
        committed_at = tell(organization, 1)
        until(lambda arrivals=arrivals: len(arrivals) == ENDPOINTS)
        until(lambda: not in_flight(organization))
        found.append((arrivals[0] - committed_at) * 1000)
    parts = quantiles(found, n=20)
    return {"p50_ms": parts[9], "p95_ms": parts[18]}


def kills() -> dict[str, int]:
    """Kill the worker each time that a tenth more has arrived; another takes what the dead one's lease gives back."""
    with receiver.running() as far_end:
        organization = tenant("tenant", [f"{far_end.url}/{number}" for number in range(20)])
        tell(organization, 10)
        for number in range(1, KILLS + 1):
            with worker():
                until(lambda least=number * 20: len(arrived(far_end)) >= least, ringing=True)
        with worker():
            until(lambda: not open_deliveries(organization), ringing=True)
        return {
            "kills": KILLS,
            "told": 200,
            "arrived": len(arrived(far_end)),
            "requests": len(far_end.received),
        }


def arrived(far_end: Receiver) -> set[tuple[str, str]]:
    return {(one.path, one.headers["webhook-id"]) for one in list(far_end.received)}


def arrivals_at(far_end: Receiver) -> list[float]:
    """When each request of from now on arrives."""
    moments: list[float] = []
    thanks = answering(200, b"thanks")

    def answer(handler: BaseHTTPRequestHandler) -> None:
        moments.append(time.monotonic())
        thanks(handler)

    far_end.answer = answer
    return moments


def tenant(name: str, urls: list[str]) -> Any:
    from apps.accounts.models import User
    from apps.core import tenancy
    from apps.core.actors import SYSTEM
    from apps.notifications.services import webhooks
    from apps.organizations.services import create_organization

    organization = create_organization(name, User.objects.create_user(f"{name}@example.test"))
    with tenancy.scope(organization.pk):
        for url in urls:
            webhooks.create_endpoint(url, by=SYSTEM)
    return organization


def tell(organization: Any, times: int) -> float:
    """Tell that many events in one transaction; when it was committed."""
    from django.db import transaction

    from apps.core import tenancy
    from apps.notifications.webhooks import outbox

    committed: list[float] = []
    with tenancy.scope(organization.pk), transaction.atomic():
        transaction.on_commit(lambda: committed.append(time.monotonic()))
        for number in range(times):
            outbox.enqueue("job.succeeded", {"number": number, "name": "Train churn"})
    return committed[0]


def switch(organization: Any, *, on: bool) -> None:
    from apps.core import tenancy
    from apps.core.actors import SYSTEM
    from apps.notifications.models import WebhookEndpoint
    from apps.notifications.services import webhooks

    with tenancy.scope(organization.pk):
        for endpoint in WebhookEndpoint.objects.all():
            (webhooks.enable_endpoint if on else webhooks.disable_endpoint)(endpoint, by=SYSTEM)


def in_flight(organization: Any) -> bool:
    from apps.core import tenancy
    from apps.notifications.models import DeliveryAttempt

    with tenancy.scope(organization.pk):
        return DeliveryAttempt.objects.filter(finished_at__isnull=True).exists()


def open_deliveries(organization: Any) -> int:
    from apps.core import tenancy
    from apps.notifications.models import Delivery
    from apps.notifications.webhooks.enums import OPEN

    with tenancy.scope(organization.pk):
        return Delivery.objects.filter(status__in=OPEN).count()


@contextmanager
def worker() -> Iterator[None]:
    """The process that sends, as an installation runs it; killed at the block's end."""
    command = [sys.executable, *programs.worker("errands", programs.ERRANDS, at_once=16, pool="threads")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def until(is_true: Callable[[], Any], *, ringing: bool = False, seconds: float = 300) -> None:
    """Wait for it; with `ringing` the worker is told to look every second, as the clock does."""
    from apps.notifications.webhooks import doorbell

    deadline, next_ring = time.monotonic() + seconds, time.monotonic()
    while not is_true():
        now = time.monotonic()
        if now > deadline:
            raise TimeoutError("the deliveries did not arrive")
        if ringing and now >= next_ring:
            doorbell.ring()
            next_ring = now + TICK_S
        time.sleep(0.002)


main()
