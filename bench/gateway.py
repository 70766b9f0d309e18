"""Calls of a model through the gateway beside what people pick and beside next to nothing.

All of them ask the same quick provider for the same chat, kept-alive, and get the same request from a load generator of
its own: the provider itself, a bare ASGI + aiohttp forwarder, the edge with its full pipeline (key, limits, budget,
metering, events), and LiteLLM's proxy with one worker and its master key. Each is one process. What is measured has a
core of its own; provider, load generator and Valkey share the other. Rounds are interleaved, a ratio is the median of
the rounds' ratios, and the first round warms up.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import redis

from apps.core import seals, tokens
from apps.gateway import budgets
from apps.gateway.enums import BudgetPeriod
from apps.usage.quotas import Counter
from bench.report import Row
from bench.serving import call_load, process, publish, server, start_valkey, wait
from workers.supervisor import ports

ROUNDS = 3
SECONDS = 2.0
CLIENTS = (1, 16, 64)
MOST_ERRORS = 0.01
OPEN_CLIENTS = 512
MODEL = "quick"
CHAT = "/v1/chat/completions"
PEER = "ASGI + aiohttp forwarder"
LITELLM = "LiteLLM, one worker"
LITELLM_PACKAGE = "litellm[proxy]"
MEASURED_CORE, OTHER_CORE = {0}, {1}
ASKED = {
    "model": MODEL,
    "messages": [
        {"role": "system", "content": "You answer in one sentence and never guess."},
        {"role": "user", "content": "What does a gateway do between a program and the models that it calls? " * 8},
    ],
    "max_tokens": 200,
    "temperature": 0.2,
}

Figures = dict[str, float]


@dataclass
class Target:
    port: int
    process: psutil.Process
    headers: Mapping[str, str] = field(default_factory=dict)

    def cpu_s(self) -> float:
        return sum(_cpu_s(one) for one in (self.process, *self.process.children(recursive=True)))

    def memory_mb(self) -> float:
        family = [self.process, *self.process.children(recursive=True)]
        return sum(one.memory_info().rss for one in family) / 1e6


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def run() -> list[Row]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-gateway-")))
        targets = _targets(stack, folder)
        load = stack.enter_context(process([sys.executable, "-m", "bench.load"], dict(os.environ), pipes=True))
        os.sched_setaffinity(load.pid, OTHER_CORE)
        rounds = [_round(load, targets, number) for number in range(ROUNDS + 1)][1:]
        rows = [*_closed_rows(rounds), *_stream_rows(load, targets)]
        capacity = {name: median(one[name, 64]["per_second"] for one in rounds) for name in targets}
        return [*rows, *_paced_rows(load, targets, capacity), *_overload_rows(load, targets["edge"], capacity["edge"])]


def _targets(stack: ExitStack, folder: Path) -> dict[str, Target]:
    environment = _environment(stack, folder)
    port, pid = server(stack, folder, "bench.quick_provider", [], environment)
    os.sched_setaffinity(pid, OTHER_CORE)
    upstream = f"http://127.0.0.1:{port}"
    token = _publish(environment, upstream)
    targets = {
        "direct": Target(port, psutil.Process(pid)),
        "forwarder": _started(stack, folder, "bench.forwarder", ["--upstream", upstream], environment),
        "edge": _started(stack, folder, "workers.edge", [], environment),
        "litellm": _litellm(stack, folder, upstream),
    }
    targets["edge"].headers = {"authorization": f"Bearer {token}"}
    return targets


def _started(stack: ExitStack, folder: Path, module: str, arguments: list[str], environment: dict[str, str]) -> Target:
    port, pid = server(stack, folder, module, arguments, environment)
    _pin(pid)
    return Target(port, psutil.Process(pid))


def _pin(pid: int) -> None:
    for thread in psutil.Process(pid).threads():
        os.sched_setaffinity(thread.id, MEASURED_CORE)


def _environment(stack: ExitStack, folder: Path) -> dict[str, str]:
    os.environ["TOKEN_PEPPER"] = secrets.token_hex(16)
    os.environ["SECRET_KEY"] = secrets.token_hex(32)
    os.environ["REDIS_URL"] = start_valkey(stack, folder)
    return {**os.environ, "STATE_DIR": str(folder), "OUTBOUND_ALLOWED_NETWORKS": "127.0.0.0/8"}


def _publish(environment: Mapping[str, str], upstream: str) -> tokens.Token:
    """An organization with a key that has limits and a budget, and one priced route, as the control plane puts them."""
    organization_id, upstream_id = uuid.uuid4(), str(uuid.uuid4())
    token = tokens.generate(organization_id, uuid.uuid4())
    entry = {"hash": tokens.digest(token.secret), "scopes": ["gateway.call"], "expires_at": None}
    sections = {
        "tokens": {token.token_id: entry},
        "limits": _limits(),
        "gateway": {
            "upstreams": {upstream_id: _upstream(str(organization_id), upstream_id, f"{upstream}/v1")},
            "routes": {MODEL: _route(upstream_id)},
            "keys": {token.token_id: _key(organization_id)},
        },
    }
    publish(environment, organization_id, sections)
    return token


def _upstream(organization_id: str, upstream_id: str, base_url: str) -> dict[str, Any]:
    sealed = seals.seal(b"sk-upstream", f"gateway:{organization_id}:{upstream_id}", os.environ["SECRET_KEY"])
    return {
        "name": "provider",
        "kind": "compatible",
        "base_url": base_url,
        "api_version": "",
        "headers": {},
        "keys": [{"id": str(uuid.uuid4()), "sealed": base64.b64encode(sealed).decode()}],
        "most_at_once": None,
        "health": None,
    }


def _route(upstream_id: str) -> dict[str, Any]:
    price = {"from": 0, "input": 400_000, "cached": 100_000, "cache_write": None, "output": 1_600_000, "source": "list"}
    target = {"id": str(uuid.uuid4()), "upstream": upstream_id, "deployment": None, "model": MODEL, "weight": 1}
    return {
        "id": str(uuid.uuid4()),
        "strategy": "weighted",
        "deadline_ms": 60_000,
        "first_byte_ms": 30_000,
        "idle_ms": 30_000,
        "attempts": 3,
        "hedge_after_ms": None,
        "max_request_bytes": 1_000_000,
        "cache": {"mode": "off", "ttl_s": 0, "threshold": 0.9},
        "bodies_days": None,
        "targets": [{**target, "tier": 0, "on": [], "when": {}, "prices": [price]}],
    }


def _key(organization_id: uuid.UUID) -> dict[str, Any]:
    """A key with a budget that it does not reach, whose counter Redis knows."""
    key_id, month = str(uuid.uuid4()), budgets.period_name(BudgetPeriod.MONTH, datetime.now(UTC))
    counter = Counter(str(organization_id), budgets.name_of(key_id), month)
    redis.Redis.from_url(os.environ["REDIS_URL"]).hset(counter.keys[0], "used", 0)
    budget = {"limit": 10**15, "period": "month", "used": 0, "counted": month}
    return {"id": key_id, "routes": [MODEL], "budget": budget, "tags": {"team": "bench"}}


def _limits() -> dict[str, Any]:
    """Two limits that the calls do not reach: of a key's calls and of its tokens in a minute."""
    return {"policies": [_policy("requests"), _policy("tokens")], "allow": [], "deny": []}


def _policy(quantity: str) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "name": f"{quantity} of a key",
        "subject": ["token"],
        "header": "",
        "quantity": quantity,
        "algorithm": "gcra",
        "limit": 10**9,
        "window_ms": 60_000,
        "burst": 10**9,
        "is_shadow": False,
        "away": "local",
        "planes": ["gateway"],
        "routes": [],
        "models": [],
    }


def _litellm(stack: ExitStack, folder: Path, upstream: str) -> Target:
    key, port = f"sk-{secrets.token_hex(16)}", ports.choose(set())
    parameters = {"model": f"openai/{MODEL}", "api_base": f"{upstream}/v1", "api_key": "sk-upstream"}
    configuration = folder / "litellm.json"  # JSON is YAML
    models = [{"model_name": MODEL, "litellm_params": parameters}]
    configuration.write_text(json.dumps({"model_list": models, "general_settings": {"master_key": key}}))
    command = [_installed_litellm() / "litellm", "--config", configuration, "--host", "127.0.0.1"]
    arguments = ["--port", str(port), "--num_workers", "1"]
    quiet = {**os.environ, "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    started = stack.enter_context(process([*map(str, command), *arguments], quiet))
    wait(lambda: _is_listening(port), 120)
    _pin(started.pid)
    return Target(port, psutil.Process(started.pid), {"authorization": f"Bearer {key}"})


def _installed_litellm() -> Path:
    """The folder of its commands, in an environment of its own that later runs find again."""
    place = Path(tempfile.gettempdir()) / "modelyard-litellm"
    if not (place / "bin" / "litellm").exists():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([place / "bin" / "pip", "install", "--quiet", LITELLM_PACKAGE], check=True)
    return place / "bin"


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _round(load: Any, targets: Mapping[str, Target], number: int) -> dict[tuple[str, int], Figures]:
    """Each target with each number of clients, beginning with another target each time."""
    names = list(targets)
    names = names[number % len(names) :] + names[: number % len(names)]
    return {(name, clients): _closed(load, targets[name], clients) for clients in CLIENTS for name in names}


def _closed(load: Any, target: Target, clients: int, **asked: Any) -> Figures:
    """Figures of a target whose clients ask again as soon as they are answered. Nearly all answers have to be good."""
    figures = _measured(load, target, {"clients": clients, "seconds": SECONDS}, **asked)
    assert figures["errors"] <= MOST_ERRORS * sum(figures["statuses"].values()), figures["statuses"]
    return figures


def _measured(load: Any, target: Target, job: Mapping[str, Any], **asked: Any) -> Any:
    """What the load generator found, with the CPU of an answered request and the memory."""
    headers, body = dict(target.headers), json.dumps({**ASKED, **asked})
    before = target.cpu_s()
    figures = call_load(load, {"port": target.port, "path": CHAT, "headers": headers, "body": body, **job})
    answered = sum(figures["statuses"].values())
    return {**figures, "cpu_us": (target.cpu_s() - before) / answered * 1e6, "memory_mb": target.memory_mb()}


def _closed_rows(rounds: list[dict[tuple[str, int], Figures]]) -> list[Row]:
    rows = []
    for clients in CLIENTS:
        for key, unit in (("per_second", "requests/s"), ("p50_us", "us"), ("p95_us", "us"), ("p99_us", "us")):
            rows += [_row(rounds, name, clients, key, unit) for name in ("direct", "edge", "litellm")]
        rows += [_row(rounds, name, clients, "cpu_us", "us CPU") for name in ("edge", "litellm")]
        rows.append(_row(rounds, "edge", clients, "per_second", "requests/s", "litellm"))
    rows += [_row(rounds, name, CLIENTS[-1], "memory_mb", "MB") for name in ("edge", "litellm")]
    return rows


# The promises: what is compared with whom, at how many clients, and the ratio to keep.
BARS = {
    ("edge", "litellm", "per_second", 16): (">=", 20.0),
    ("edge", "forwarder", "cpu_us", 16): ("<=", 3.0),
}


def _row(
    rounds: Sequence[Mapping[tuple[str, int], Figures]],
    name: str,
    clients: int,
    key: str,
    unit: str,
    peer: str = "forwarder",
) -> Row:
    values, peers = ([one[who, clients][key] for one in rounds] for who in (name, peer))
    ratio = median(value / other for value, other in zip(values, peers, strict=True))
    what = f"{name}, {clients} clients, {key.removesuffix('_us').replace('_', ' ')}"
    return _told(what, median(values), unit, peer, median(peers), ratio, BARS.get((name, peer, key, clients)))


def _told(
    what: str, value: float, unit: str, peer: str, peer_value: float, ratio: float, bar: tuple[str, float] | None
) -> Row:
    is_met = None if bar is None else ratio >= bar[1] if bar[0] == ">=" else ratio <= bar[1]
    words = "" if bar is None else f"{bar[0]} {bar[1]}"
    return Row(
        what, value, unit, {"forwarder": PEER, "litellm": LITELLM}.get(peer, peer), peer_value, ratio, words, is_met
    )


def _stream_rows(load: Any, targets: Mapping[str, Target]) -> list[Row]:
    """Streams of some 40 events: how many a second, and what one costs."""
    found = [
        {(name, 16): _closed(load, target, 16, stream=True) for name, target in targets.items()} for _ in range(ROUNDS)
    ]
    rows = [
        _row(found[1:], name, 16, key, unit)
        for key, unit in (("per_second", "streams/s"), ("p50_us", "us"), ("cpu_us", "us CPU"))
        for name in ("edge", "litellm")
    ]
    return [replace(row, what=f"streamed: {row.what}") for row in rows]


def _paced_rows(load: Any, targets: Mapping[str, Target], capacity: Mapping[str, float]) -> list[Row]:
    """At half of what the forwarder can do, come what may."""
    job = {"clients": OPEN_CLIENTS, "seconds": SECONDS, "rate": capacity["forwarder"] / 2}
    found = [{name: _measured(load, targets[name], job) for name in ("forwarder", "edge")} for _ in range(ROUNDS)][1:]
    rows = []
    for key in ("p50_us", "p95_us", "p99_us", "errors"):
        ours, theirs = ([one[name][key] for one in found] for name in ("edge", "forwarder"))
        ratio = median(our / (their or 1) for our, their in zip(ours, theirs, strict=True))
        bar = ("<=", 1.5) if key == "p50_us" else None
        what = f"edge at half the forwarder's capacity, {key.removesuffix('_us')}"
        rows.append(
            _told(what, median(ours), "calls" if key == "errors" else "us", "forwarder", median(theirs), ratio, bar)
        )
    return rows


def _overload_rows(load: Any, edge: Target, capacity: float) -> list[Row]:
    """At twice what it can do: what it answers well, beside what it answered when nobody asked for more."""
    job = {"clients": OPEN_CLIENTS, "seconds": 2 * SECONDS, "rate": 2 * capacity}
    found = [_measured(load, edge, job) for _ in range(ROUNDS)][1:]
    good = median(one["good_per_second"] for one in found)
    refused = median(one["statuses"].get("503", 0) / sum(one["statuses"].values()) for one in found)
    other = max(one["errors"] - one["statuses"].get("503", 0) for one in found)
    return [
        _told(
            "edge at twice its capacity, answered",
            good,
            "requests/s",
            "its peak",
            capacity,
            good / capacity,
            (">=", 0.8),
        ),
        _told("the same, answered with 503", refused * 100, "%", "none", 0, 0, None),
        _told("the same, other errors", other, "calls", "none", 0, 0, None),
        _told("the same, p50 of what was answered", median(one["p50_us"] for one in found), "us", "none", 0, 0, None),
    ]
