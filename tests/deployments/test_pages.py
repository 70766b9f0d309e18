from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.core import tenancy
from apps.core.actors import Actor
from apps.deployments import services
from apps.deployments.enums import ReplicaStatus
from apps.deployments.models import Deployment
from tests.deployments.replicas import add_replica
from tests.factories.serving import make_model_version

LIST = "/o/acme/deployments/"


@pytest.fixture
def deployment(acme: Any, actor: Actor) -> Deployment:
    with tenancy.scope(acme.pk):
        return services.create_deployment("leaving", make_model_version(), replica_count=2, by=actor)


def text_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_the_empty_list_says_what_a_deployment_is_and_offers_one(as_owner: Client) -> None:
    page = text_of(as_owner.get(LIST))
    assert "No deployments yet" in page
    assert "Deploy a model" in page


def test_the_list_shows_status_and_replicas_and_filters(as_viewer: Client, acme: Any, deployment: Deployment) -> None:
    with tenancy.scope(acme.pk):
        add_replica(deployment, 0, ReplicaStatus.READY, "127.0.0.1:1001")
    page = text_of(as_viewer.get(LIST))
    assert "Starting" in page
    assert "1 of 2" in page
    assert "Deploy a model" not in page
    assert "No deployment matches" in text_of(as_viewer.get(LIST, {"status": "ready"}))


def test_the_list_takes_as_many_queries_for_three_as_for_one(as_owner: Client, acme: Any, actor: Actor) -> None:
    def add(number: int) -> None:
        with tenancy.scope(acme.pk):
            made = services.create_deployment(f"d{number}", make_model_version(f"m{number}"), by=actor)
            add_replica(made, 0, ReplicaStatus.READY, "127.0.0.1:1001")

    add(0)
    as_owner.get(LIST)
    with CaptureQueriesContext(connection) as one:
        as_owner.get(LIST)
    add(1)
    add(2)
    with CaptureQueriesContext(connection) as three:
        assert "d2" in text_of(as_owner.get(LIST))
    assert len(one) == len(three)


def test_the_form_is_prefilled_by_the_version_and_leads_to_the_deployment(as_developer: Client, acme: Any) -> None:
    with tenancy.scope(acme.pk):
        version = make_model_version("Who leaves? 2024")
    form = as_developer.get(f"{LIST}new/", {"version": version.pk}).content.decode()
    assert f'value="{version.pk}" selected' in form
    answer = as_developer.post(f"{LIST}new/", {"model_version": version.pk, "name": "leaving", "replica_count": 1})
    assert answer.status_code == 303
    assert "leaving" in text_of(as_developer.get(answer["Location"]))


def test_an_endpoint_without_a_name_of_its_own_is_called_like_its_model(as_developer: Client, acme: Any) -> None:
    with tenancy.scope(acme.pk):
        version = make_model_version("Who leaves? 2024")
    answer = as_developer.post(f"{LIST}new/", {"model_version": version.pk, "name": "", "replica_count": 1})
    assert answer.status_code == 303
    assert "Who-leaves-2024" in text_of(as_developer.get(answer["Location"]))


def test_a_taken_name_stands_beside_its_field_and_what_was_typed_stays(
    as_owner: Client, deployment: Deployment
) -> None:
    given = {"model_version": deployment.model_version_id, "name": "leaving", "replica_count": 3}
    answer = as_owner.post(f"{LIST}new/", given)
    assert answer.status_code == 422
    assert "There is a deployment <code>leaving</code> already" in answer.content.decode()
    assert 'value="3"' in answer.content.decode()


def test_the_form_without_any_model_says_where_models_come_from(as_owner: Client) -> None:
    assert "There is nothing to deploy yet" in text_of(as_owner.get(f"{LIST}new/"))


def test_the_page_shows_replicas_and_their_problems(as_viewer: Client, acme: Any, deployment: Deployment) -> None:
    with tenancy.scope(acme.pk):
        broken = add_replica(deployment, 0, ReplicaStatus.FAILED)
        broken.last_error, broken.failure_count = "The process was killed by SIGKILL.", 5
        broken.save()
    page = text_of(as_viewer.get(f"{LIST}{deployment.pk}/"))
    assert "The process was killed by SIGKILL. It crashed 5 times in a row" in page
    assert "Settings" not in page.split("Overview", 1)[1].split("Ready replicas")[0]


def test_the_snippets_hold_a_row_that_the_signature_accepts(as_viewer: Client, deployment: Deployment) -> None:
    page = as_viewer.get(f"{LIST}{deployment.pk}/", {"tab": "use"}).content.decode()
    assert "/v2/models/leaving/infer" in page
    assert all(language in page for language in ("curl", "Python", "JavaScript"))
    assert "Ask a developer or owner" in page


def test_a_developer_stops_starts_scales_and_rolls_out(as_developer: Client, acme: Any, deployment: Deployment) -> None:
    with tenancy.scope(acme.pk):
        newer = make_model_version()
    path = f"{LIST}{deployment.pk}/"
    assert as_developer.post(f"{path}stop/").status_code == 303
    assert "Calls are answered with 503" in text_of(as_developer.get(path))
    assert as_developer.post(f"{path}start/").status_code == 303
    assert as_developer.post(f"{path}scale/", {"replica_count": 4}).status_code == 303
    assert as_developer.post(f"{path}roll-out/", {"model_version": newer.pk}).status_code == 303
    with tenancy.scope(acme.pk):
        deployment.refresh_from_db()
    assert (deployment.is_stopped, deployment.replica_count, deployment.model_version_id) == (False, 4, newer.pk)


def test_wrong_settings_stand_beside_their_field(as_owner: Client, deployment: Deployment) -> None:
    path = f"{LIST}{deployment.pk}/"
    scaled = as_owner.post(f"{path}scale/", {"replica_count": 9})
    assert (scaled.status_code, "less than or equal to 8" in scaled.content.decode()) == (422, True)
    rolled = as_owner.post(f"{path}roll-out/", {"model_version": uuid4()})
    assert (rolled.status_code, "not one of the available choices" in rolled.content.decode()) == (422, True)


def test_deleting_asks_for_the_name(as_owner: Client, deployment: Deployment) -> None:
    path = f"{LIST}{deployment.pk}/delete/"
    assert as_owner.post(path, {"confirmation": "something"}).status_code == 422
    assert as_owner.post(path, {"confirmation": "leaving"}).status_code == 303
    assert as_owner.get(f"{LIST}{deployment.pk}/").status_code == 404


WRITES = ("start", "stop", "scale", "roll-out", "delete")


@pytest.mark.parametrize("action", WRITES)
def test_a_viewer_may_change_nothing(action: str, as_viewer: Client, deployment: Deployment) -> None:
    assert as_viewer.post(f"{LIST}{deployment.pk}/{action}/").status_code == 403
    assert as_viewer.get(f"{LIST}new/").status_code == 403


@pytest.mark.parametrize("slug", ["acme", "globex"])
def test_an_outsider_finds_nothing(slug: str, as_outsider: Client, deployment: Deployment) -> None:
    path = f"/o/{slug}/deployments/{deployment.pk}/"
    assert as_outsider.get(path).status_code == 404
    assert {as_outsider.post(f"{path}{action}/").status_code for action in WRITES} == {404}


def test_a_form_without_its_token_is_refused(acme: Any, owner: Any, deployment: Deployment) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(owner)
    assert browser.post(f"{LIST}{deployment.pk}/stop/").status_code == 403
    with tenancy.scope(acme.pk):
        deployment.refresh_from_db()
    assert not deployment.is_stopped
