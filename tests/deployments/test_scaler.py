"""The scaler with real replicas: processes that serve a real model over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.core import tenancy
from apps.core.actors import Actor
from apps.deployments import services
from apps.deployments.models import Deployment, Replica
from apps.deployments.probing import Prober
from apps.deployments.runtimes.process import ProcessRuntime
from tests.factories.serving import make_model_version
from workers.scaler.leadership import Leadership, Listed
from workers.scaler.scaler import Scaler

DEADLINE_S = 60
pytestmark = pytest.mark.slow


class Conductor:
    """Ticks a scaler in the test's own transaction until something is so."""

    def __init__(self, state_dir: Path) -> None:
        self.runtime = ProcessRuntime(state_dir)
        self.scaler = Scaler(self.runtime, Prober())

    def tick(self) -> None:
        with tenancy.no_scope(), connection.cursor() as cursor:
            cursor.execute("SELECT * FROM deployments_generations()")
            listed = {row[0]: Listed(row[1], row[2]) for row in cursor.fetchall()}
            self.scaler.tick(listed, timezone.now())

    def until(self, condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + DEADLINE_S
        while not (found := condition()):
            assert time.monotonic() < deadline, "it never happened"
            self.tick()
            time.sleep(0.05)
        return found

    def pids(self) -> dict[str, int]:
        return {str(replica): running.pid for replica, running in self.runtime.look().items() if running.pid}


@pytest.fixture
def conductor(in_acme: Any, tmp_path: Path) -> Iterator[Conductor]:
    conductor = Conductor(tmp_path)
    yield conductor
    conductor.runtime.close()
    for replica_id in conductor.runtime.look():
        conductor.runtime.kill(replica_id)


def deploy(actor: Actor, replica_count: int = 1) -> Deployment:
    return services.create_deployment("leaving", make_model_version(), replica_count=replica_count, by=actor)


def is_ready(deployment: Deployment) -> bool:
    deployment.refresh_from_db()
    return deployment.status == "ready"


def published(organization_id: Any) -> dict[str, Any]:
    client = redis.Redis.from_url(settings.REDIS_URL)
    return json.loads(client.get(f"snapshot:{organization_id}") or "{}").get("sections", {}).get("deployments", {})


def test_replicas_start_answer_and_are_published(conductor: Conductor, actor: Actor) -> None:
    deployment = deploy(actor, replica_count=2)
    conductor.until(lambda: is_ready(deployment))
    replicas = list(deployment.replicas.all())
    assert [(replica.index, replica.status) for replica in replicas] == [(0, "ready"), (1, "ready")]
    conductor.tick()
    entry = published(deployment.organization_id)["leaving"]
    assert sorted(one["address"] for one in entry["replicas"]) == sorted(replica.address for replica in replicas)


def test_a_replica_knows_none_of_the_installations_secrets(conductor: Conductor, actor: Actor) -> None:
    deployment = deploy(actor)
    conductor.until(lambda: is_ready(deployment))
    (pid,) = conductor.pids().values()
    assert not {"DATABASE_URL", "REDIS_URL", "SECRET_KEY", "TOKEN_PEPPER"} & psutil.Process(pid).environ().keys()


def test_a_killed_replica_is_replaced_and_says_why(conductor: Conductor, actor: Actor) -> None:
    deployment = deploy(actor, replica_count=2)
    conductor.until(lambda: is_ready(deployment))
    victim = deployment.replicas.get(index=0)
    os.kill(victim.pid, signal.SIGKILL)
    conductor.until(lambda: deployment.replicas.filter(index=0, restart_count=1).exists())
    conductor.until(lambda: is_ready(deployment))
    replaced = deployment.replicas.get(index=0)
    assert replaced.pk == victim.pk
    assert replaced.pid != victim.pid
    assert "SIGKILL" in replaced.last_error
    assert deployment.replicas.get(index=1).restart_count == 0


def test_a_replica_that_hangs_loses_its_calls(conductor: Conductor, actor: Actor) -> None:
    deployment = deploy(actor)
    conductor.until(lambda: is_ready(deployment))
    (pid,) = conductor.pids().values()
    os.kill(pid, signal.SIGSTOP)
    try:
        conductor.until(lambda: deployment.replicas.filter(status="unhealthy").exists())
        conductor.tick()
        assert published(deployment.organization_id)["leaving"]["replicas"] == []
    finally:
        os.kill(pid, signal.SIGCONT)
    conductor.until(lambda: is_ready(deployment))


def test_a_model_that_cannot_be_loaded_fails_with_its_reason(conductor: Conductor, actor: Actor) -> None:
    deployment = deploy(actor)
    version = deployment.model_version
    (Path(settings.STORAGES["default"]["OPTIONS"]["location"]) / version.artifact_path).write_bytes(b"not a model")
    conductor.until(lambda: deployment.replicas.filter(status="failed").exists())
    deployment.refresh_from_db()
    assert deployment.status == "failed"
    assert "SHA-256" in deployment.replicas.get().last_error


def test_a_roll_out_never_leaves_callers_without_a_replica(conductor: Conductor, actor: Actor) -> None:
    deployment = deploy(actor, replica_count=2)
    conductor.until(lambda: is_ready(deployment))
    conductor.tick()
    newer = make_model_version()
    services.change_model_version(deployment, newer, by=actor)
    seen = []

    def is_rolled_out() -> bool:
        entry = published(deployment.organization_id)["leaving"]
        seen.append((entry["version"], len(entry["replicas"])))
        deployment.refresh_from_db()
        return deployment.serving_version_id == newer.pk and deployment.replicas.count() == 2

    conductor.until(is_rolled_out)
    assert set(seen) == {(1, 2), (2, 2)}
    assert seen == sorted(seen)
    assert {replica.model_version_id for replica in deployment.replicas.all()} == {newer.pk}


def test_scaling_down_ends_the_surplus_process(conductor: Conductor, actor: Actor) -> None:
    deployment = deploy(actor, replica_count=2)
    conductor.until(lambda: is_ready(deployment))
    pids = set(conductor.pids().values())
    services.scale_deployment(deployment, 1, by=actor)
    conductor.until(lambda: deployment.replicas.count() == 1)
    gone = pids - set(conductor.pids().values())
    assert len(gone) == 1
    assert not any(psutil.pid_exists(pid) for pid in gone)


def test_stopping_ends_every_process_and_starting_brings_them_back(conductor: Conductor, actor: Actor) -> None:
    deployment = deploy(actor)
    conductor.until(lambda: is_ready(deployment))
    services.stop_deployment(deployment, by=actor)
    conductor.until(lambda: not Replica.objects.exists())
    assert conductor.runtime.look() == {}
    services.start_deployment(deployment, by=actor)
    conductor.until(lambda: is_ready(deployment))


def test_deleting_ends_every_process(conductor: Conductor, actor: Actor, tmp_path: Path) -> None:
    deployment = deploy(actor)
    conductor.until(lambda: is_ready(deployment))
    (pid,) = conductor.pids().values()
    services.delete_deployment(deployment, by=actor)
    conductor.until(lambda: conductor.runtime.look() == {})
    assert not psutil.pid_exists(pid)
    assert list((tmp_path / "run" / "replicas").iterdir()) == []


def test_a_new_scaler_adopts_what_a_killed_one_left_running(conductor: Conductor, actor: Actor, tmp_path: Path) -> None:
    deployment = deploy(actor)
    conductor.until(lambda: is_ready(deployment))
    before = conductor.pids()
    successor = Conductor(tmp_path)
    successor.runtime.adopt()
    successor.tick()
    assert successor.pids() == before
    deployment.refresh_from_db()
    assert (deployment.status, deployment.replicas.get().restart_count) == ("ready", 0)
    os.kill(next(iter(before.values())), signal.SIGKILL)
    conductor.runtime.look()  # the parent, which is still here, takes note of the end
    successor.until(lambda: deployment.replicas.filter(restart_count=1, status="ready").exists())
    successor.runtime.kill(deployment.replicas.get().pk)
    successor.runtime.close()


def test_a_tick_in_which_nothing_happened_asks_the_database_nothing(
    conductor: Conductor, actor: Actor, django_assert_num_queries: Any
) -> None:
    deployment = deploy(actor)
    conductor.until(lambda: is_ready(deployment))
    conductor.tick()
    listed = {deployment.pk: Listed(deployment.organization_id, deployment.generation)}
    with django_assert_num_queries(0):
        conductor.scaler.tick(listed, timezone.now())


def test_one_of_two_leads_until_its_connection_ends(db: None) -> None:
    first, second = (Leadership(os.environ["DATABASE_URL"]) for _ in range(2))
    assert first.acquire()
    assert not second.acquire()
    first.release()
    deadline = time.monotonic() + DEADLINE_S
    while not second.acquire():
        assert time.monotonic() < deadline
    second.release()


@contextmanager
def scaler_process() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-m", "workers.scaler"], env=os.environ)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.1)


@pytest.mark.django_db(transaction=True)
def test_two_scaler_processes_start_each_replica_once_and_take_over_from_each_other(acme: Any, actor: Actor) -> None:
    with tenancy.scope(acme.pk):
        deployment = deploy(actor, replica_count=2)
        with scaler_process() as first, scaler_process() as second:
            wait_for(lambda: is_ready(deployment))
            pids = set(deployment.replicas.values_list("pid", flat=True))
            assert replica_processes() == pids
            leader = first if any(one.pid in pids for one in psutil.Process(first.pid).children()) else second
            leader.kill()
            leader.wait()
            victim = pids.pop()
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda: deployment.replicas.filter(restart_count=1, status="ready").exists())
            assert pids < replica_processes()
            services.delete_deployment(deployment, by=actor)
            wait_for(lambda: not replica_processes())


def replica_processes() -> set[int]:
    """Living replicas of this test's state folder."""
    return {
        process.pid
        for process in psutil.process_iter(["cmdline", "status"])
        if "workers.replica" in (process.info["cmdline"] or ())
        and any(str(settings.STATE_DIR) in part for part in process.info["cmdline"])
        and process.info["status"] != psutil.STATUS_ZOMBIE
    }
