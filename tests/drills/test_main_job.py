"""The main job on a whole installation, left alone and with a process killed in its middle."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import pytest

from apps.console.sample import data
from apps.console.sample.client import ApiRefused, Client, wait_until
from tests.e2e.installation import Installation

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("installation")]


def metered(api: Client) -> int:
    meters = api.get("/api/v1/usage/?range=24h&meter=predictions")["meters"]
    return sum(meter["quantity"] for meter in meters)


def train(installation: Installation, name: str) -> dict[str, Any]:
    api = installation.api()
    dataset = api.get("/api/v1/datasets/")["results"][0]
    body = {
        "name": name,
        "dataset_version": dataset["latest_version"]["id"],
        "target": data.TARGET,
        "candidates": ["lightgbm", "extra_trees"],
        "folds": 3,
    }
    return api.post("/api/v1/training-runs/", body)


def inference_request(installation: Installation) -> dict[str, Any]:
    curl = installation.sample["curl"]
    return json.loads(curl[curl.index("-d ") + 3 :].strip("'"))


class Caller(threading.Thread):
    """Asks for predictions until it is stopped, through the edge; counts the answers."""

    def __init__(self, installation: Installation) -> None:
        super().__init__(daemon=True)
        self.edge = installation.edge()
        self.body = json.dumps(inference_request(installation)).encode()
        self.answers: list[int] = []
        self.stopping = threading.Event()

    def run(self) -> None:
        headers = {"Authorization": f"Bearer {self.edge.token}", "Content-Type": "application/json"}
        while not self.stopping.wait(0.02):
            connection = http.client.HTTPConnection(urlsplit(self.edge.base_url).netloc, timeout=30)
            connection.request("POST", f"/v2/models/{data.NAME}/infer", self.body, headers)
            self.answers.append(connection.getresponse().status)
            connection.close()

    def stop(self) -> int:
        """How many predictions were answered."""
        self.stopping.set()
        self.join()
        return self.answers.count(HTTPStatus.OK)


def test_the_first_start_ran_the_main_job(installation: Installation) -> None:
    sample = installation.sample
    assert set(sample) == {"url", "operator", "acme", "globex", "curl"}
    assert set(sample["acme"]["users"]) == set(sample["acme"]["token"]) == {"owner", "developer", "analyst"}
    assert set(sample["globex"]["users"]) == set(sample["globex"]["token"]) == {"outsider"}
    answer = subprocess.run(sample["curl"], shell=True, capture_output=True, check=True)  # noqa: S602 - as a person would
    assert json.loads(answer.stdout)["model_name"] == data.NAME


def test_the_outsider_cannot_call_the_model(installation: Installation) -> None:
    outsider = installation.edge("outsider", "globex")
    with pytest.raises(ApiRefused, match="404"):
        outsider.post(f"/v2/models/{data.NAME}/infer", inference_request(installation))


@pytest.mark.parametrize(
    "victim", ["trainer", "runner", "worker", "replica", "sink", "web", "valkey", "postgres", "scaler", "beat"]
)
def test_p2_the_main_job_ends_once_when_a_process_is_killed_in_its_middle(
    installation: Installation, victim: str
) -> None:
    api = installation.api()
    before = wait_until(lambda: metered(api), seconds=30, reason="nothing metered")
    caller = Caller(installation)
    caller.start()
    run = train(installation, f"killed-{victim}")
    wait_until(
        lambda: api.get(f"/api/v1/jobs/{run['job']}/")["progress"] > 0.2, seconds=60, reason="The run did not start"
    )
    installation.kill(installation.replicas()[0] if victim == "replica" else victim)
    api.wait_for_job(run["job"], lambda share, step: None)
    answered = caller.stop()

    assert set(caller.answers) == {HTTPStatus.OK}
    job = api.get(f"/api/v1/jobs/{run['job']}/")
    ends = [change["status"] for change in job["transitions"] if change["status"] == "succeeded"]
    assert ends == ["succeeded"]
    assert job["attempt"] == (2 if victim == "trainer" else job["attempt"])
    versions = [
        version for version in api.get("/api/v1/model-versions/")["results"] if version["training_run_id"] == run["id"]
    ]
    assert len(versions) == 1
    wait_until(
        lambda: metered(api) == before + answered,
        seconds=60,
        reason=f"{answered} predictions were answered and {metered(api) - before} metered",
    )


def test_starting_again_loses_nothing(installation: Installation) -> None:
    api = installation.api()
    before = metered(api)
    datasets = api.get("/api/v1/datasets/")["results"]
    assert installation.stop() == 0
    installation.start()
    assert metered(installation.api()) == before
    assert installation.api().get("/api/v1/datasets/")["results"] == datasets
    installation.edge().post(f"/v2/models/{data.NAME}/infer", inference_request(installation))
