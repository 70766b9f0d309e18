"""Projects: labels within an organization."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.db.models.signals import pre_save
from django.dispatch import Signal
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.audit.models import AuditEntry
from apps.core import tenancy
from apps.datasets import services as datasets
from apps.datasets.models import Dataset
from apps.deployments import services as deployments
from apps.deployments.models import Deployment
from apps.organizations import errors, labels, services
from apps.organizations.models import Project
from apps.registry.models import Model
from apps.training import services as training
from apps.training.models import TrainingRun
from tests.conftest import actor_of
from tests.factories.serving import make_model_version
from tests.factories.tables import plants_csv, ready_version
from tests.working import run_all

pytestmark = pytest.mark.django_db

PAGES = "/o/acme/settings/projects/"


@pytest.fixture
def project(in_acme: Any, actor: Any) -> Project:
    return services.create_project("Churn", description="Who leaves", by=actor)


@pytest.fixture
def foreign_project(globex: Any, outsider: Any) -> Project:
    with tenancy.scope(globex.pk):
        return services.create_project("Churn", by=actor_of(outsider, "owner"))


@pytest.fixture
def carriers(project: Project, actor: Any) -> dict[str, Any]:
    """One row of each kind that carries the project, by its address in the API."""
    dataset = ready_version("plants", plants_csv(), actor).dataset
    version = make_model_version(dataset_version=dataset.versions.get())
    deployment = deployments.create_deployment("leaving", version, by=actor)
    datasets.update_dataset(dataset, project=project, by=actor)
    Model.objects.filter(pk=version.model_id).update(project=project)
    deployments.label_deployment(deployment, project, by=actor)
    run = training.create_run(
        training.NewRun("plants", dataset.versions.get(), target="species", project=project), by=actor
    )
    return {"datasets": dataset, "models": version.model, "deployments": deployment, "training-runs": run}


def test_a_project_is_made_renamed_and_deleted_by_the_api(api_owner: Any) -> None:
    made = api_owner.post("/api/v1/projects/", {"name": "Churn", "description": "Who leaves"})
    assert (made.status_code, made.json()["name"]) == (201, "Churn"), made.content
    url = made["Location"]
    assert api_owner.get("/api/v1/projects/").json()["results"] == [made.json()]
    assert api_owner.patch(url, {"name": "Leaving"}).json()["name"] == "Leaving"
    assert api_owner.get(url).json()["description"] == "Who leaves"
    assert api_owner.delete(url).status_code == 204
    assert api_owner.get(url).status_code == 404


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x" * 81}, {"name": "x", "description": "x" * 301}])
def test_wrong_fields_are_refused_by_the_api(api_owner: Any, body: dict[str, str]) -> None:
    answer = api_owner.post("/api/v1/projects/", body)
    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} <= {"name", "description"}


def test_a_name_is_given_once_in_an_organization(
    api_owner: Any, as_owner: Any, project: Project, foreign_project: Project
) -> None:
    answer = api_owner.post("/api/v1/projects/", {"name": "Churn"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (409, "name")
    page = as_owner.post(f"{PAGES}new/", {"name": "Churn"})
    assert (page.status_code, page.context["form"].errors["name"][0][:23]) == (422, "There is already a proj")
    assert Project.objects.count() == 1


def test_a_project_is_made_renamed_and_deleted_on_its_pages(as_owner: Any, in_acme: Any) -> None:
    made = as_owner.post(f"{PAGES}new/", {"name": "Churn"})
    project = Project.objects.get()
    assert made["Location"] == f"{PAGES}{project.pk}/"
    form = as_owner.get(f"{PAGES}{project.pk}/edit/").context["form"]
    as_owner.post(f"{PAGES}{project.pk}/edit/", {"name": "Leaving", "seen": form["seen"].value()})
    assert "Leaving" in as_owner.get(f"{PAGES}{project.pk}/").content.decode()
    assert as_owner.post(f"{PAGES}{project.pk}/delete/")["Location"] == PAGES
    assert not Project.objects.exists()
    told = AuditEntry.objects.filter(subject_id=project.pk).order_by("id").values_list("action", flat=True)
    assert list(told) == ["project.created", "project.updated", "project.deleted"]


def test_who_may_only_read_finds_nothing_to_press(as_viewer: Any, project: Project) -> None:
    for path in (PAGES, f"{PAGES}{project.pk}/"):
        page = as_viewer.get(path).content.decode()
        assert "new/" not in page
        assert "delete" not in page
        assert "edit/" not in page
    assert as_viewer.post(f"{PAGES}{project.pk}/delete/").status_code == 403


def test_the_page_of_a_project_tells_what_carries_it(as_viewer: Any, project: Project, carriers: Any) -> None:
    page = as_viewer.get(f"{PAGES}{project.pk}/")
    assert {use.kind.label: use.count for use in page.context["uses"]} == dict.fromkeys(
        ["Datasets", "Training runs", "Models", "Deployments"], 1
    )
    for use in page.context["uses"]:
        rows = as_viewer.get(f"{_list_of(use.kind)}?project={project.pk}").context["page"].rows
        assert [row.project for row in rows] == [project]


def _list_of(kind: labels.Kind) -> str:
    from django.urls import reverse

    return reverse(kind.list_url_name, args=["acme"])


def test_every_relation_to_a_project_is_a_kind_that_its_page_shows() -> None:
    relations = {relation.name for relation in Project._meta.related_objects}
    assert relations == {kind.relation for kind in labels.KINDS}


@pytest.mark.parametrize("kind", labels.KINDS, ids=lambda kind: kind.relation)
def test_lists_are_filtered_by_project_with_counts(
    kind: labels.Kind, as_owner: Any, project: Project, carriers: Any
) -> None:
    page = as_owner.get(_list_of(kind))
    assert page.context["projects"] == [(str(project.pk), "Churn", 1)]
    assert len(page.context["page"].rows) == 1
    for other in (uuid4(), "nonsense"):
        answer = as_owner.get(f"{_list_of(kind)}?project={other}")
        assert (answer.status_code, answer.context["page"].rows) == (200, [])


@pytest.mark.parametrize("area", ["datasets", "models", "training-runs", "deployments"])
def test_the_api_filters_by_project(
    area: str, api_owner: Any, project: Project, carriers: Any, foreign_project: Project
) -> None:
    found = api_owner.get(f"/api/v1/{area}/", {"project": str(project.pk)}).json()["results"]
    assert [(row["id"], row["project"]) for row in found] == [(str(carriers[area].pk), str(project.pk))]
    refused = [api_owner.get(f"/api/v1/{area}/", {"project": str(pk)}) for pk in (foreign_project.pk, uuid4())]
    assert [answer.status_code for answer in refused] == [422, 422]


@pytest.mark.parametrize("area", ["datasets", "models", "deployments"])
def test_s1_another_organizations_project_cannot_be_given_by_an_edit(
    area: str, api_owner: Any, carriers: Any, foreign_project: Project, project: Project
) -> None:
    url = f"/api/v1/{area}/{carriers[area].pk}/"
    answers = [api_owner.patch(url, {"project": str(pk)}) for pk in (foreign_project.pk, uuid4())]
    for answer in answers:
        assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, ["project"])
    first, second = (answer.json()["errors"][0]["code"] for answer in answers)
    assert first == second
    assert api_owner.get(url).json()["project"] == str(project.pk)
    assert api_owner.patch(url, {"project": None}).json()["project"] is None


def test_s1_another_organizations_project_cannot_be_given_when_something_is_made(
    api_owner: Any, carriers: Any, foreign_project: Project
) -> None:
    version = carriers["datasets"].versions.get()
    foreign = {"project": str(foreign_project.pk)}
    bodies = {
        "datasets": {"name": "more", "url": "https://example.com/a.csv"},
        "training-runs": {"name": "more", "dataset_version": str(version.pk), "target": "species"},
        "deployments": {"name": "more", "model_version": str(carriers["models"].versions.get().pk)},
    }
    for area, body in bodies.items():
        answer = api_owner.post(f"/api/v1/{area}/", {**body, **foreign})
        assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, ["project"]), area
    for rows in (Dataset, TrainingRun, Deployment):
        assert rows.objects.count() == 1


def test_s1_another_organizations_project_cannot_be_given_on_a_page(
    as_owner: Any, carriers: Any, foreign_project: Project, project: Project
) -> None:
    dataset, model, deployment = (carriers[area] for area in ("datasets", "models", "deployments"))
    version, foreign = dataset.versions.get(), str(foreign_project.pk)
    file = SimpleUploadedFile("more.csv", b"a,b\n1,2\n")
    forms = {
        "data/new/": {"file": file, "name": "more"},
        f"data/{dataset.pk}/edit/": {"name": "more"},
        "training/new/": {"dataset_version": version.pk, "target": "species", "name": "more", "folds": 5},
        f"models/{model.pk}/edit/": {},
        "deployments/new/": {"model_version": model.versions.get().pk, "name": "more", "replica_count": 1},
        f"deployments/{deployment.pk}/label/": {},
    }
    for path, given in forms.items():
        page = as_owner.post(f"/o/acme/{path}", {**given, "project": foreign})
        assert page.status_code == 422, path
        form = page.context.get("label_form") or page.context["form"]
        assert "Select a valid choice" in form.errors["project"][0], path
    for carrier in (dataset, model, deployment):
        carrier.refresh_from_db()
        assert carrier.project_id == project.pk


def test_projects_are_chosen_where_things_are_made(as_owner: Any, project: Project, actor: Any) -> None:
    file = SimpleUploadedFile("plants.csv", plants_csv().encode())
    as_owner.post("/o/acme/data/new/", {"file": file, "name": "plants", "project": project.pk})
    assert Dataset.objects.get().project == project
    run_all("data")
    version = Dataset.objects.get().versions.get()
    form = as_owner.get(f"/o/acme/training/new/?version={version.pk}").context["form"]
    assert form["project"].value() == project.pk
    given = {"dataset_version": version.pk, "target": "species", "name": "plants", "folds": 2, "candidates": ["linear"]}
    as_owner.post("/o/acme/training/new/", {**given, "project": project.pk})
    assert TrainingRun.objects.get().project == project


@pytest.mark.slow
def test_a_runs_project_goes_on_to_the_model_it_makes_and_from_there_to_its_deployment(
    project: Project, actor: Any
) -> None:
    version = ready_version("plants", plants_csv(), actor)
    new = training.NewRun("plants", version, target="species", candidates=["linear"], folds=2, project=project)
    run = training.create_run(new, by=actor)
    run_all("training")
    run.refresh_from_db()
    made = run.model_version
    assert made is not None, run.job.error_message
    assert made.model.project == project
    assert deployments.create_deployment("plants", made, by=actor).project == project


def test_a_deployment_may_carry_another_project_than_its_model(project: Project, actor: Any) -> None:
    version = make_model_version()
    other = services.create_project("Spring", by=actor)
    Model.objects.update(project=project)
    version.refresh_from_db()
    assert deployments.create_deployment("a", version, by=actor).project == project
    assert deployments.create_deployment("b", version, project=other, by=actor).project == other


def test_relabelling_a_deployment_does_not_roll_it_out_again(project: Project, actor: Any) -> None:
    deployment = deployments.create_deployment("a", make_model_version(), by=actor)
    relabelled = deployments.label_deployment(deployment, project, by=actor)
    assert (relabelled.project, relabelled.generation) == (project, deployment.generation)
    assert AuditEntry.objects.get(action="deployment.labelled").changes == {"project": ["", "Churn"]}
    deployments.label_deployment(deployment, project, by=actor)
    assert AuditEntry.objects.filter(action="deployment.labelled").count() == 1


def test_deleting_a_project_takes_only_the_label_away(as_owner: Any, project: Project, carriers: Any) -> None:
    assert "4 things carry it" in as_owner.get(f"{PAGES}{project.pk}/").content.decode()
    as_owner.post(f"{PAGES}{project.pk}/delete/")
    for carrier in carriers.values():
        carrier.refresh_from_db()
        assert carrier.project is None
    told = AuditEntry.objects.get(action="project.deleted").changes
    assert told == {"name": "Churn", "datasets": 1, "training_runs": 1, "models": 1, "deployments": 1}


def test_lists_of_projects_and_of_what_carries_them_ask_as_often_for_one_as_for_three(
    as_owner: Any, project: Project, carriers: Any, actor: Any
) -> None:
    paths = [PAGES, *(_list_of(kind) for kind in labels.KINDS if kind.relation != "training_runs")]
    as_owner.get(PAGES)
    one = [queries(as_owner, path) for path in paths]
    for name in ("Spring", "Autumn"):
        label = services.create_project(name, by=actor)
        dataset = Dataset.objects.create(name=name, project=label)
        version = make_model_version(name, dataset_version=carriers["datasets"].versions.get())
        Model.objects.filter(pk=version.model_id).update(project=label)
        deployments.create_deployment(name, version, project=label, by=actor)
        assert dataset.project == label
    assert [queries(as_owner, path) for path in paths] == one


def queries(browser: Any, path: str) -> int:
    with CaptureQueriesContext(connection) as asked:
        assert browser.get(path).status_code == 200
    return len(asked)


def test_a_name_is_taken_in_other_letters_too(project: Project, actor: Any) -> None:
    with pytest.raises(errors.ProjectNameTaken):
        services.create_project("cHURN", by=actor)
    assert services.update_project(project, name="CHURN", by=actor).name == "CHURN"


@pytest.mark.django_db(transaction=True)
def test_a_project_deleted_while_something_takes_its_label_leaves_nothing_behind(
    acme: Any, as_owner: Client, actor: Any
) -> None:
    with tenancy.scope(acme.pk):
        project = services.create_project("Churn", by=actor)

    def delete_meanwhile(instance: Dataset, **_: Any) -> None:
        with ThreadPoolExecutor(max_workers=1) as elsewhere:
            elsewhere.submit(_delete, acme, project, actor).result()

    as_owner.raise_request_exception = False
    table = SimpleUploadedFile("plants.csv", plants_csv().encode())
    form = {"name": "plants", "file": table, "project": str(project.pk)}
    with signal_heard(pre_save, delete_meanwhile, sender=Dataset):
        refused = as_owner.post("/o/acme/data/new/", form)
    assert (refused.status_code, "at the same moment" in refused.content.decode()) == (409, True)
    with tenancy.scope(acme.pk):
        assert not Dataset.objects.exists()


def _delete(organization: Any, project: Project, actor: Any) -> None:
    with tenancy.scope(organization.pk):
        services.delete_project(project, by=actor)
    connection.close()


@contextmanager
def signal_heard(signal: Signal, hear: Callable[..., None], **of: Any) -> Iterator[None]:
    signal.connect(hear, **of)
    try:
        yield
    finally:
        signal.disconnect(hear, **of)
