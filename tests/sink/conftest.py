from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from pydantic_core import to_json

from apps.core import entries
from apps.core.ids import uuid7
from tests.edge.plane import PATIENCE_S, PrivateValkey, wait_until


def usage_event(organization_id: Any, **changes: Any) -> dict[str, Any]:
    return {
        "id": str(uuid7()),
        "organization_id": str(organization_id),
        "meter": "predictions",
        "quantity": 1,
        "cost_micro_usd": None,
        "at": datetime.now(UTC).isoformat(),
        "dimensions": {"model": "leaving", "token": None},
        **changes,
    }


def call_event(organization_id: Any, **changes: Any) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "organization_id": str(organization_id),
        "request_id": "req_1",
        "at": datetime.now(UTC).isoformat(),
        "method": "POST",
        "path": "/v2/models/leaving/infer",
        "route": "/v2/models/{name}/infer",
        "status": 200,
        "latency_us": 1500,
        "request_bytes": 10,
        "response_bytes": 20,
        "token": str(uuid.uuid4()),
        "deployment": str(uuid.uuid4()),
        "replica": None,
        "model": "leaving",
        "error_code": "",
        "client": "127.0.0.1",
        **changes,
    }


def model_event(organization_id: Any, **changes: Any) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "organization_id": str(organization_id),
        "request_id": "req_1",
        "at": datetime.now(UTC).isoformat(),
        "face": "chat",
        "route": "chat",
        "status": 200,
        "is_stream": True,
        "latency_us": 1500,
        "first_token_us": 700,
        "input_tokens": 7,
        "output_tokens": 3,
        "is_estimated": False,
        "cost_micro_usd": 12,
        "attempts": [],
        "tags": {},
        "request_bytes": 10,
        "response_bytes": 20,
        **changes,
    }


def body_event(organization_id: Any, **changes: Any) -> dict[str, Any]:
    return {
        "id": str(uuid7()),
        "organization_id": str(organization_id),
        "expires_at": datetime.now(UTC).isoformat(),
        "request": "{}",
        "response": "{}",
        **changes,
    }


def token_event(row: Any, **changes: Any) -> dict[str, Any]:
    return {
        "token": str(row.pk),
        "organization_id": str(row.organization_id),
        "at": datetime.now(UTC).isoformat(),
        "client": "203.0.113.7",
        "agent": "curl/8.0",
        **changes,
    }


@dataclass
class Sinks:
    """A private Valkey, and sinks between it and the test's database."""

    valkey: PrivateValkey
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        variables = {**os.environ, "REDIS_URL": self.valkey.url, **environment}
        process = subprocess.Popen([sys.executable, "-m", "workers.sink"], env=variables)
        self.processes.append(process)
        return process

    def append(self, stream: str, *events: Any) -> None:
        with self.valkey.client.pipeline(transaction=False) as pipe:
            for event in events:
                pipe.xadd(stream, {"e": event if isinstance(event, bytes) else to_json(event)})
            pipe.execute()

    def append_as_one(self, stream: str, *events: Any) -> None:
        _, command = entries.appending((stream, to_json(event)) for event in events)
        self.valkey.client.execute_command(*command)

    def rows(self, organization_id: Any, table: str = "usage_usageevent") -> list[dict[str, Any]]:
        """What the organization sees, by the runtime role under row-level security."""
        with psycopg.connect(os.environ["DATABASE_URL"], row_factory=dict_row) as connection:
            connection.execute("SELECT set_config('app.tenant', %s, true)", [str(organization_id)])
            return connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608

    def wait_until_stored(self) -> None:
        """Until the streams are empty: each event is committed, or with the dead."""
        streams = ("events:usage", "events:calls", "events:tokens", "events:models", "events:bodies")
        wait_until(lambda: not any(self.valkey.client.xlen(stream) for stream in streams), "empty streams")

    def dead(self) -> list[dict[bytes, bytes]]:
        return [fields for _, fields in self.valkey.client.xrange("events:dead")]

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait(PATIENCE_S)
        self.valkey.kill()


@pytest.fixture
def sinks(tmp_path: Path, transactional_db: None) -> Iterator[Sinks]:
    sinks = Sinks(PrivateValkey(tmp_path))
    yield sinks
    sinks.close()
