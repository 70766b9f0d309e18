"""Limits in the data plane: the policies of the caller's organization, and the guard against wrong tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Protocol

from apps.core.edge import Answer, Call, Proceed, Snapshot, Stage
from apps.core.errors import NotAuthenticated
from apps.organizations import edge as tokens
from apps.ratelimits import headers, refusals
from apps.ratelimits.engine import AsyncLimiter
from apps.ratelimits.guards.known import INSTALLATION, Watched, in_force
from apps.ratelimits.lasting import LOOKED_AFTER_S, LastingCalls
from apps.ratelimits.matching import SECTION, Asked, Matched, rules_for
from apps.ratelimits.rules import Decision
from apps.ratelimits.seen import Recorder

PREDICTIONS, GATEWAY = "predictions", "gateway"  # apps.ratelimits.enums.Plane, which is Django's

Estimate = Callable[[Call], MutableMapping[str, int]]


class Snapshots(Protocol):
    def get(self, organization_id: str) -> Snapshot | None: ...


class Calls:
    """Tells the limiter what becomes of calls that it let pass, without making them wait for it."""

    def __init__(self, limiter: AsyncLimiter) -> None:
        self._limiter = limiter
        self._settling: set[asyncio.Task[None]] = set()
        self._lasting = LastingCalls()
        self._extending: asyncio.Task[None] | None = None

    def begin(self, decision: Decision) -> None:
        is_lasting = self._lasting.begin(decision, asyncio.get_running_loop().time())
        if is_lasting and (self._extending is None or self._extending.done()):
            self._extending = asyncio.create_task(self._extend(), name="ratelimits.extend")

    def settle(self, decision: Decision, actual: Mapping[int, int]) -> None:
        was_lasting = self._lasting.end(decision)
        if not (was_lasting or actual):
            return
        task = asyncio.create_task(self._limiter.settle(decision, actual))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _extend(self) -> None:
        clock = asyncio.get_running_loop().time
        while self._lasting:
            await asyncio.sleep(LOOKED_AFTER_S)
            await asyncio.gather(*map(self._limiter.extend, self._lasting.due(clock())))


def guard_tokens(limiter: AsyncLimiter, recorder: Recorder, snapshots: Snapshots) -> Stage:
    """Count the wrong tokens of an address; too many are told to wait. Right ones of that address pass.

    Nobody guesses 256 bits, so that a neighbour behind the same address needs not be kept out.
    """

    async def stage(call: Call, proceed: Proceed) -> Answer:
        try:
            return await proceed(call)
        except NotAuthenticated:
            if tokens.claims_somebody(call):
                await count(call)
            raise

    async def count(call: Call) -> None:
        guards = in_force(snapshots.get(INSTALLATION))
        matched = rules_for(guards, Asked(INSTALLATION, Watched.WRONG_TOKENS, address=call.client))
        decision = await _decided(limiter, recorder, INSTALLATION, matched)
        if not decision.is_allowed:
            raise refusals.refused(decision, matched.policies)

    return stage


def limit(limiter: AsyncLimiter, recorder: Recorder, plane: str, estimate: Estimate | None = None) -> Stage:
    """Let an authenticated call pass within its organization's limits of calls of that kind, in one round trip.

    `estimate` says of a call how much of other quantities than requests it is expected to take; what the call's own
    `taken` says once it is answered is settled afterwards. A call that was refused or failed has used none of them.
    """
    calls = Calls(limiter)

    async def stage(call: Call, proceed: Proceed) -> Answer:
        section = call.snapshot.sections.get(SECTION) if call.snapshot else None
        matched = rules_for(section, _asked(call, plane, estimate(call) if estimate else {}))
        if matched.denied:
            raise refusals.denied(matched.denied)
        if not matched.rules:
            return await proceed(call)
        decision = await _decided(limiter, recorder, call.organization_id or "", matched)
        if not decision.is_allowed:
            raise refusals.refused(decision, matched.policies)
        told = headers.fields(decision, matched.policies)
        call.told.extend((name.encode(), value.encode()) for name, value in told)
        actual = _nothing_used(matched)
        calls.begin(decision)
        try:
            answer = await proceed(call)
            actual = _used(call, matched)
            return answer
        finally:
            calls.settle(decision, actual)

    return stage


async def _decided(limiter: AsyncLimiter, recorder: Recorder, organization_id: str, matched: Matched) -> Decision:
    decision = await limiter.decide(matched.rules)
    recorder.add(organization_id, decision, matched.subjects)
    return decision


def _asked(call: Call, plane: str, quantities: Mapping[str, int]) -> Asked:
    return Asked(
        call.organization_id or "",
        plane,
        call.method,
        call.route,
        model=call.model or call.parameters.get("name", ""),
        address=call.client,
        token=call.token_id or "",
        user=call.user_id or "",
        header=lambda name: call.headers.get(name.encode("latin-1", "replace"), b"").decode("latin-1"),
        quantities=quantities,
    )


def _estimated(matched: Matched) -> dict[int, str]:
    """The rules whose quantity was an estimate, by their index."""
    return {
        index: policy.quantity for index, policy in enumerate(matched.policies) if policy.quantity in ("tokens", "cost")
    }


def _nothing_used(matched: Matched) -> dict[int, int]:
    return dict.fromkeys(_estimated(matched), 0)


def _used(call: Call, matched: Matched) -> dict[int, int]:
    """What an answered call says that it used; where it says nothing, the estimate stays."""
    found: dict[str, Any] = call.taken
    return {index: found[name] for index, name in _estimated(matched).items() if name in found}
