"""One-row predictions: a bare ONNX Runtime call in an ASGI application, a replica, and edge + replica.

All of them run at once on the same model and get the same request. Rounds are interleaved, and a ratio is the median of
the rounds' ratios, so that what else the machine does meets all alike.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import redis

from apps.core import tokens
from bench.model import write_model
from bench.report import Row
from workers.supervisor import ports
from workers.supervisor.valkey import Valkey

ROUNDS = 7
SECONDS = 1.0
CLIENTS = 16
NAME = "leaving"
PATH = f"/v2/models/{NAME}/infer"
PEER = "bare ONNX Runtime, ASGI"
REPLICA_ID = str(uuid.UUID(int=1))

Rounds = list[dict[str, dict[str, float]]]


@dataclass
class Target:
    port: int
    headers: Mapping[str, str] = field(default_factory=dict)


def run() -> list[Row]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-serving-")))
        targets, body = _targets(stack, folder)
        load = stack.enter_context(process([sys.executable, "-m", "bench.load"], dict(os.environ), pipes=True))
        rounds = [_round(load, targets, body, number) for number in range(ROUNDS + 1)]
    return [_row(rounds[1:], figure) for figure in FIGURES]  # the first round warms up


def _targets(stack: ExitStack, folder: Path) -> tuple[dict[str, Target], str]:
    model, signature, body = write_model(folder)
    environment = _environment(stack, folder)
    common = ["--model", str(model)]
    bare, _ = server(stack, folder, "bench.bare", common, environment)
    identity = ["--signature", str(signature), "--name", NAME, "--version", "1", "--replica-id", REPLICA_ID]
    replica, _ = server(stack, folder, "workers.replica", [*common, *identity], environment)
    token = _publish(environment, json.loads(signature.read_text()), replica)
    edge, _ = server(stack, folder, "workers.edge", [], environment)
    targets = {
        "bare": Target(bare),
        "replica": Target(replica),
        "edge": Target(edge, {"authorization": f"Bearer {token}"}),
    }
    return targets, body


def _environment(stack: ExitStack, folder: Path) -> dict[str, str]:
    url = start_valkey(stack, folder)
    os.environ["TOKEN_PEPPER"] = secrets.token_hex(16)
    return {**os.environ, "REDIS_URL": url, "STATE_DIR": str(folder)}


def start_valkey(stack: ExitStack, folder: Path) -> str:
    """A private Valkey; its URL."""
    valkey = Valkey(folder / "valkey", ports.choose(set()), secrets.token_hex(16))
    valkey.prepare()
    stack.enter_context(process(valkey.program().command, dict(os.environ)))
    client = redis.Redis.from_url(valkey.url)
    wait(lambda: _answers(client))
    return valkey.url


def _publish(environment: Mapping[str, str], signature: dict[str, Any], port: int) -> tokens.Token:
    """Put one organization with a token and a deployment into Redis, as the control plane does."""
    organization_id = uuid.uuid4()
    token = tokens.generate(organization_id, uuid.uuid4())
    entry = {"hash": tokens.digest(token.secret), "scopes": ["predictions.create"], "expires_at": None}
    deployment = {
        "deployment_id": str(uuid.uuid4()),
        "model_version_id": str(uuid.uuid4()),
        "version": 1,
        "signature": signature,
        "replicas": [{"id": REPLICA_ID, "address": f"127.0.0.1:{port}"}],
    }
    publish(environment, organization_id, {"tokens": {token.token_id: entry}, "deployments": {NAME: deployment}})
    return token


def publish(environment: Mapping[str, str], organization_id: uuid.UUID, sections: Mapping[str, Any]) -> None:
    """Put an organization's snapshot where an edge finds it when it starts."""
    snapshot = {"version": 1, "organization_id": str(organization_id), "sections": sections}
    client = redis.Redis.from_url(environment["REDIS_URL"])
    client.set(f"snapshot:{organization_id}", json.dumps(snapshot))
    client.sadd("snapshots", str(organization_id))


def server(
    stack: ExitStack, folder: Path, module: str, arguments: list[str], environment: dict[str, str]
) -> tuple[int, int]:
    """Start a server of ours; its port and process id."""
    ready = folder / f"{module}.json"
    command = [sys.executable, "-m", module, *arguments, "--port", "0", "--ready-file", str(ready)]
    stack.enter_context(process(command, environment))
    wait(ready.exists)
    told = json.loads(ready.read_text())
    return int(told["port"]), int(told["pid"])


@contextmanager
def process(
    command: Sequence[str], environment: dict[str, str], *, pipes: bool = False
) -> Iterator[subprocess.Popen[str]]:
    channel = subprocess.PIPE if pipes else subprocess.DEVNULL
    process = subprocess.Popen(
        command, env=environment, stdin=channel, stdout=channel, stderr=None if pipes else channel, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def wait(is_true: Any, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > deadline:
            raise TimeoutError("a process of the benchmark did not become ready")
        time.sleep(0.02)


def _round(load: Any, targets: Mapping[str, Target], body: str, number: int) -> dict[str, dict[str, float]]:
    """Each target once with one client and once with many, beginning with another one each time."""
    names = list(targets)
    names = names[number % len(names) :] + names[: number % len(names)]
    figures: dict[str, dict[str, float]] = {name: {} for name in names}
    for clients in (1, CLIENTS):
        for name in names:
            answer = _ask(load, targets[name], body, clients)
            assert not answer["errors"], f"{name} answered {answer['errors']} calls with an error"
            figures[name] |= {f"{key}_{clients}": value for key, value in answer.items()}
    return figures


def _ask(load: Any, target: Target, body: str, clients: int) -> dict[str, Any]:
    job = {"port": target.port, "path": PATH, "headers": dict(target.headers), "body": body}
    return call_load(load, {**job, "clients": clients, "seconds": SECONDS})


def call_load(load: Any, job: Mapping[str, Any]) -> dict[str, Any]:
    """Have the load generator do a job."""
    load.stdin.write(json.dumps(job) + "\n")
    load.stdin.flush()
    figures: dict[str, Any] = json.loads(load.stdout.readline())
    return figures


@dataclass(frozen=True)
class Figure:
    """What is compared, and the most that its ratio to the bare call may be."""

    target: str
    what: str
    key: str
    unit: str
    most: float | None = None


FIGURES = (
    Figure("replica", "replica alone, one client, p50", "p50_us_1", "us", most=1.3),
    Figure("edge", "edge + replica, one client, p50", "p50_us_1", "us", most=2.5),
    Figure("replica", f"replica alone, {CLIENTS} clients", f"per_second_{CLIENTS}", "requests/s"),
    Figure("edge", f"edge + replica, {CLIENTS} clients", f"per_second_{CLIENTS}", "requests/s"),
)


def _row(rounds: Rounds, figure: Figure) -> Row:
    values = [one[figure.target][figure.key] for one in rounds]
    peer_values = [one["bare"][figure.key] for one in rounds]
    ratio = median(value / peer for value, peer in zip(values, peer_values, strict=True))
    bar = f"<= {figure.most}" if figure.most else ""
    is_met = None if figure.most is None else ratio <= figure.most
    return Row(figure.what, median(values), figure.unit, PEER, median(peer_values), ratio, bar, is_met)
