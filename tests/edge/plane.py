"""The data plane's processes as tests start, publish to, call and kill them."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from apps.core import entries, tokens
from tests.replica.models import SIGNATURE, ModelFiles, infer_request
from workers.supervisor import ports
from workers.supervisor.valkey import Valkey

PATIENCE_S = 30.0
PERSON = "0190a6c0-0000-7000-8000-00000000000a"
MODEL = "leaving"
INFER = f"/v2/models/{MODEL}/infer"


def wait_until(is_true: Callable[[], Any], what: str) -> Any:
    """Wait for what has to come; the patience is for slow machines and decides nothing."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := is_true()):
        if time.monotonic() > deadline:
            raise AssertionError(f"never seen: {what}")
        time.sleep(0.02)
    return found


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """One server process of ours, on a free port."""

    def __init__(self, folder: Path, module: str, *arguments: str, **environment: str) -> None:
        self._ready = folder / f"{uuid.uuid4()}.json"
        command = [sys.executable, "-m", module, *arguments, "--port", "0", "--ready-file", str(self._ready)]
        self.process = subprocess.Popen(command, env={**os.environ, **environment})
        wait_until(lambda: self._ready.exists() or self.process.poll() is not None, f"{module} ready")
        assert self.process.poll() is None, f"{module} ended at once"
        self.port: int = json.loads(self._ready.read_text())["port"]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            connection.request(method, path, data, dict(headers or {}))
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())
        finally:
            connection.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE_S)


class PrivateValkey:
    """A Valkey that a test may kill and start again on the same port and data."""

    def __init__(self, folder: Path) -> None:
        self._valkey = Valkey(folder / "valkey", ports.choose(set()), "private")
        self._valkey.prepare()
        self.url = self._valkey.url
        self.client = redis.Redis.from_url(self.url)
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._valkey.program().command, stdout=subprocess.DEVNULL)
        wait_until(self._answers, "Valkey answering")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Let it hang: connections stay open and nothing is answered."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def events(self, stream: str) -> list[dict[str, Any]]:
        return [json.loads(event) for _, fields in self.client.xrange(stream) for event in entries.events(fields)]

    def _answers(self) -> bool:
        with suppress(redis.RedisError):
            return bool(self.client.ping())
        return False


@dataclass
class Tenant:
    """An organization as the control plane publishes it."""

    valkey: PrivateValkey
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    version: int = 0
    tokens: dict[str, Any] = field(default_factory=dict)
    deployments: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=dict)
    gateway: dict[str, Any] = field(default_factory=dict)

    def token(self, *scopes: str, expires_at: float | None = None, networks: Sequence[str] = ()) -> tokens.Token:
        token = tokens.generate(uuid.UUID(self.id), uuid.uuid4())
        self.tokens[token.token_id] = {
            "hash": tokens.digest(token.secret),
            "scopes": list(scopes),
            "expires_at": expires_at,
            "networks": list(networks),
            "user": PERSON,
            "previous": None,
        }
        return token

    def rotate(self, token: tokens.Token, previous_expires_at: float) -> tokens.Token:
        """A new secret for the token; the present one works until then."""
        entry = self.tokens[token.token_id]
        entry["previous"] = {"hash": entry["hash"], "expires_at": previous_expires_at}
        rotated = tokens.Token(token.organization_id, token.token_id, secrets.token_urlsafe(32))
        entry["hash"] = tokens.digest(rotated.secret)
        return rotated

    def deploy(self, *replicas: Replica, name: str = MODEL) -> str:
        deployment_id = str(uuid.uuid4())
        self.deployments[name] = {
            "deployment_id": deployment_id,
            "model_version_id": str(uuid.uuid4()),
            "version": 1,
            "signature": SIGNATURE,
            "replicas": [{"id": replica.id, "address": replica.server.address} for replica in replicas],
        }
        return deployment_id

    def publish(self, version: int | None = None) -> None:
        self.version = version or self.version + 1
        sections = {"tokens": self.tokens, "deployments": self.deployments, "limits": self.limits}
        sections |= {"usage": self.usage, "gateway": self.gateway}
        snapshot = {"version": self.version, "organization_id": self.id, "sections": sections}
        with self.valkey.client.pipeline(transaction=True) as pipe:
            pipe.set(f"snapshot:{self.id}", json.dumps(snapshot))
            pipe.sadd("snapshots", self.id)
            pipe.publish("snapshots", self.id)
            pipe.execute()


class Replica:
    def __init__(self, folder: Path, files: ModelFiles) -> None:
        self.id = str(uuid.uuid4())
        self._folder, self._files = folder, files
        self.server = self._start()

    def _start(self) -> Server:
        model, signature = str(self._files.model), str(self._files.signature)
        identity = ["--name", MODEL, "--version", "1", "--replica-id", self.id]
        return Server(self._folder, "workers.replica", "--model", model, "--signature", signature, *identity)


class Plane:
    """A private Valkey, an edge, and what a test adds."""

    def __init__(self, folder: Path, files: ModelFiles) -> None:
        self.folder, self.files = folder, files
        self.valkey = PrivateValkey(folder)
        self.acme = Tenant(self.valkey)
        self.token = self.acme.token("predictions.create")
        self.servers: list[Server] = []
        self.replicas: list[Replica] = []

    def start_edge(self, **environment: str) -> Server:
        places = {"REDIS_URL": self.valkey.url, "STATE_DIR": str(self.folder)}
        self.edge = Server(self.folder, "workers.edge", **{**places, **environment})
        self.servers.append(self.edge)
        return self.edge

    def start_replica(self) -> Replica:
        replica = Replica(self.folder, self.files)
        self.servers.append(replica.server)
        return replica

    def infer(self, body: Any = None, token: Any = None, path: str = INFER, **headers: str) -> Reply:
        headers = {"authorization": f"Bearer {token or self.token}", **headers}
        return self.edge.call("POST", path, infer_request() if body is None else body, headers)

    def close(self) -> None:
        for server in self.servers:
            server.kill()
        self.valkey.kill()


def made_plane(folder: Path, files: ModelFiles) -> Iterator[Plane]:
    plane = Plane(folder, files)
    yield plane
    plane.close()
