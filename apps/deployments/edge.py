"""Predictions in the data plane: the Open Inference Protocol in front of an organization's replicas."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote

import structlog
from pydantic_core import from_json

from apps.core.edge import Answer, Call, Snapshot, json_answer
from apps.core.errors import DomainError
from apps.deployments.balancing import Health, choose
from apps.deployments.connections import Connections, ReplicaUnreachable, Reply, Request
from apps.deployments.protocol import ModelNotFound, RefusedByReplica, model_metadata

METER = "predictions"
ATTEMPTS = 3
ATTEMPT_TIMEOUT_S = 20.0
DEADLINE_S = 30.0

log = structlog.get_logger(__name__)


class NoReplica(DomainError):
    code = "no_replica"
    status = 503
    detail = "The deployment `{name}` has no running replica. Start it, or try again when it is ready."
    headers = {"Retry-After": "5"}


class ReplicasFailed(DomainError):
    code = "replicas_failed"
    status = 503
    detail = "No replica of `{name}` could answer. Try again; if it lasts, look at the deployment's replicas."
    headers = {"Retry-After": "2"}


class DeadlineExceeded(DomainError):
    code = "deadline_exceeded"
    status = 504
    detail = "No replica of `{name}` answered within {seconds:g} seconds. Send fewer rows at a time, or add replicas."


@dataclass(eq=False)
class Replica:
    """One replica as the edge knows it."""

    id: str
    connections: Connections
    health: Health = field(default_factory=Health)


@dataclass(eq=False)
class Endpoint:
    """One deployment, ready to be called."""

    name: str
    deployment_id: str
    version: str
    signature: dict[str, Any]
    replicas: list[Replica]

    @cached_property
    def infer_path(self) -> str:
        return f"/v2/models/{quote(self.name, safe='')}/infer"


class Fleet:
    """The endpoints of every organization, kept to what the snapshots say.

    A replica keeps its connections and its health for as long as a snapshot names it under the same address.
    """

    def __init__(self) -> None:
        self._endpoints: dict[str, dict[str, Endpoint]] = {}

    def apply(self, snapshot: Snapshot) -> None:
        before = self._endpoints.get(snapshot.organization_id, {})
        known = {(r.id, r.connections.address): r for endpoint in before.values() for r in endpoint.replicas}
        section = snapshot.sections.get("deployments", {})
        self._endpoints[snapshot.organization_id] = {
            name: _endpoint(name, entry, known) for name, entry in section.items()
        }
        for gone in known.values():
            gone.connections.close()

    def has(self, call: Call) -> bool:
        """Whether the organization has a deployment of the name in the path."""
        return call.parameters["name"] in self._endpoints.get(call.organization_id or "", {})

    def endpoint(self, call: Call) -> Endpoint:
        """The endpoint that the call's path names, in the caller's own organization and version."""
        name, version = call.parameters["name"], call.parameters.get("version")
        call.model = name
        endpoint = self._endpoints.get(call.organization_id or "", {}).get(name)
        if endpoint is None or version not in (None, endpoint.version):
            raise ModelNotFound(name=name)
        call.dimensions["deployment"] = endpoint.deployment_id
        return endpoint

    async def infer(self, call: Call) -> Answer:
        """Let a replica check and predict, and count its rows.

        The replica decodes the input anyway, so it is the one to check it: the edge hands the refusal on.
        """
        endpoint = self.endpoint(call)
        reply = await _call_replicas(endpoint, call)
        if reply.status != 200:
            raise _refusal(endpoint, reply)
        call.quantities[METER] = reply.row_count
        return Answer(200, [(b"content-type", b"application/json")], reply.body)

    async def serve(self, call: Call, name: str) -> Answer:
        """The same for a call whose path does not name the deployment."""
        call.parameters = {"name": name}
        return await self.infer(call)

    async def metadata(self, call: Call) -> Answer:
        endpoint = self.endpoint(call)
        return json_answer(model_metadata(endpoint.name, endpoint.version, endpoint.signature))

    async def ready(self, call: Call) -> Answer:
        """Whether a replica is there that was not found broken."""
        endpoint = self.endpoint(call)
        now = asyncio.get_running_loop().time()
        is_ready = any(replica.health.is_available(now) for replica in endpoint.replicas)
        return json_answer({"name": endpoint.name, "ready": is_ready}, 200 if is_ready else 503)

    def close(self) -> None:
        for endpoints in self._endpoints.values():
            for endpoint in endpoints.values():
                for replica in endpoint.replicas:
                    replica.connections.close()


Known = dict[tuple[str, str], Replica]


def _endpoint(name: str, entry: dict[str, Any], known: Known) -> Endpoint:
    replicas = [_replica(item["id"], item["address"], known) for item in entry["replicas"]]
    return Endpoint(name, entry["deployment_id"], str(entry["version"]), entry["signature"], replicas)


def _replica(replica_id: str, address: str, known: Known) -> Replica:
    if (replica_id, address) in known:
        return known.pop((replica_id, address))
    return Replica(replica_id, Connections(address))


def _refusal(endpoint: Endpoint, reply: Reply) -> DomainError:
    try:
        return RefusedByReplica(reply.status, from_json(reply.body))
    except (ValueError, KeyError, TypeError):
        # Somebody else listens where a replica was.
        return ReplicasFailed(name=endpoint.name)


async def _call_replicas(endpoint: Endpoint, call: Call) -> Reply:
    """Send the call to a replica, and to others when that one fails: a prediction may be made twice."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + DEADLINE_S
    request = Request(endpoint.infer_path, call.request_id, call.body)
    tried: list[Replica] = []
    while len(tried) < ATTEMPTS and (replica := choose(endpoint.replicas, clock(), tried)):
        request.timeout_s = min(ATTEMPT_TIMEOUT_S, deadline - clock())
        if request.timeout_s <= 0:
            break
        tried.append(replica)
        call.dimensions["replica"] = request.replica_id = replica.id
        if reply := await _attempt(replica, request):
            return reply
    if not tried:
        raise NoReplica(name=endpoint.name)
    if clock() >= deadline:
        raise DeadlineExceeded(name=endpoint.name, seconds=DEADLINE_S)
    raise ReplicasFailed(name=endpoint.name)


async def _attempt(replica: Replica, request: Request) -> Reply | None:
    """The replica's reply, or None, with the failure on its record."""
    clock = asyncio.get_running_loop().time
    started = clock()
    health = replica.health
    health.in_flight += 1
    try:
        reply = await replica.connections.request(request)
    except ReplicaUnreachable as error:
        log.warning("replica_unreachable", replica=replica.id, error=repr(error))
        health.fail(clock(), is_unreachable=True)
        return None
    finally:
        health.in_flight -= 1
    if reply.status >= 500:
        log.warning("replica_failed", replica=replica.id, status=reply.status)
        health.fail(clock(), is_unreachable=False)
        return None
    now = clock()
    health.succeed(now - started, now)
    return reply
