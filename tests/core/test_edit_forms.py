"""A page's form does not overwrite what somebody else changed since it was opened."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django import forms
from django.db import connections, transaction

from apps.core import tenancy
from apps.core.forms import EditForm, submit_edit
from apps.datasets.models import Dataset
from apps.datasets.services import update_dataset
from apps.deployments import services as deployments
from apps.organizations import services
from apps.organizations.forms.projects import ProjectForm
from apps.organizations.models import Organization, Project
from apps.registry.models import Model
from tests.factories.serving import make_model_version


@pytest.fixture
def project(in_acme: Any, actor: Any) -> Project:
    return services.create_project("Churn", description="Who leaves", by=actor)


def opened(project: Project) -> str:
    """What a form that is opened now carries."""
    return ProjectForm(row=Project.objects.get(pk=project.pk))["seen"].value()


def typed(project: Project, **given: str) -> ProjectForm:
    return ProjectForm(given, row=Project.objects.get(pk=project.pk))


@pytest.mark.django_db
def test_a_form_opens_with_the_values_of_its_row(project: Project) -> None:
    form = ProjectForm(row=project)
    assert (form["name"].value(), form["description"].value()) == ("Churn", "Who leaves")
    assert 'type="hidden"' in str(form["seen"])


@pytest.mark.django_db
def test_what_was_changed_meanwhile_is_shown_beside_what_was_typed(project: Project, actor: Any) -> None:
    seen = opened(project)
    services.update_project(project, name="Leaving", by=actor)
    form = typed(project, name="Staying", description="Who leaves", seen=seen)
    assert submit_edit(form, lambda **given: services.update_project(project, **given, by=actor)) is None
    assert form.non_field_errors() == [
        "Somebody changed this since you opened it. Name is now “Leaving”. Save again to put yours in its place."
    ]
    assert form["name"].value() == "Staying"
    assert Project.objects.get().name == "Leaving"

    again = typed(project, name="Staying", description="Who leaves", seen=form["seen"].value())
    assert submit_edit(again, lambda **given: services.update_project(project, **given, by=actor))
    assert Project.objects.get().name == "Staying"


@pytest.mark.django_db
def test_a_third_change_is_shown_as_well(project: Project, actor: Any) -> None:
    seen = opened(project)
    services.update_project(project, name="Leaving", by=actor)
    form = typed(project, name="Staying", seen=seen)
    submit_edit(form, lambda **given: services.update_project(project, **given, by=actor))
    services.update_project(project, name="Gone", by=actor)
    again = typed(project, name="Staying", seen=form["seen"].value())
    assert submit_edit(again, lambda **given: services.update_project(project, **given, by=actor)) is None
    assert "Name is now “Gone”. Description is now “Who leaves”." in again.non_field_errors()[0]


@pytest.mark.django_db
def test_the_same_change_made_by_two_is_no_conflict(project: Project, actor: Any) -> None:
    seen = opened(project)
    services.update_project(project, name="Leaving", by=actor)
    form = typed(project, name="Leaving", description="Who leaves", seen=seen)
    assert submit_edit(form, lambda **given: services.update_project(project, **given, by=actor))


@pytest.mark.django_db
def test_a_script_that_has_seen_nothing_may_edit(project: Project, actor: Any) -> None:
    form = typed(project, name="Leaving")
    assert submit_edit(form, lambda **given: services.update_project(project, **given, by=actor))


@pytest.mark.django_db
def test_what_was_deleted_meanwhile_is_told(project: Project, actor: Any) -> None:
    form = typed(project, name="Leaving", seen=opened(project))
    services.delete_project(project, by=actor)
    assert submit_edit(form, lambda **given: services.update_project(form.row, **given, by=actor)) is None
    assert "deleted or never existed" in form.non_field_errors()[0]


@pytest.mark.django_db
def test_fields_that_are_no_columns_are_not_compared(project: Project) -> None:
    class WithConsent(EditForm):
        name = forms.CharField()
        consent = forms.BooleanField(required=False)

    assert WithConsent(row=project).columns == ["name"]


@pytest.mark.django_db(transaction=True)
def test_of_two_forms_saved_at_once_one_comes_back(project: Project, acme: Any, actor: Any) -> None:
    seen, saved = opened(project), {}
    both_typed = threading.Barrier(2)

    def save(name: str) -> None:
        with tenancy.scope(acme.pk):
            form = typed(project, name=name, seen=seen)
            both_typed.wait()
            with transaction.atomic():
                updated = submit_edit(form, lambda **given: services.update_project(form.row, **given, by=actor))
            saved[name] = updated is not None
        connections.close_all()

    threads = [threading.Thread(target=save, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(saved.values()) == [False, True]
    assert saved[Project.objects.get().name]


@pytest.fixture
def places(project: Project, actor: Any) -> dict[str, tuple[str, str, dict[str, Any], Any]]:
    """Each page that edits: where its form is, where it is sent, what is typed, and what another person does."""
    version = make_model_version()
    deployment = deployments.create_deployment("leaving", version, by=actor)
    dataset = version.dataset_version.dataset
    token, _ = services.create_token("ci", ["datasets.read"], by=actor)
    settings = f"/o/acme/deployments/{deployment.pk}/?tab=settings"
    detail = f"/o/acme/deployments/{deployment.pk}/"

    def rename() -> None:
        update_dataset(Dataset.objects.get(), name="renamed", by=actor)

    return {
        "project": (
            f"/o/acme/settings/projects/{project.pk}/edit/",
            f"/o/acme/settings/projects/{project.pk}/edit/",
            {"name": "mine"},
            lambda: services.update_project(project, name="theirs", by=actor),
        ),
        "organization": (
            "/o/acme/settings/",
            "/o/acme/settings/",
            {"name": "mine", "slug": "acme", "time_zone": "UTC"},
            lambda: services.update_organization(Organization.objects.get(), name="theirs", by=actor),
        ),
        "token": (
            f"/o/acme/settings/tokens/{token.pk}/edit/",
            f"/o/acme/settings/tokens/{token.pk}/edit/",
            {"name": "mine"},
            lambda: services.edit_token(token, "theirs", [], by=actor),
        ),
        "dataset": (
            f"/o/acme/data/{dataset.pk}/edit/",
            f"/o/acme/data/{dataset.pk}/edit/",
            {"name": "mine"},
            rename,
        ),
        "model": (
            f"/o/acme/models/{version.model_id}/edit/",
            f"/o/acme/models/{version.model_id}/edit/",
            {"description": "mine"},
            lambda: Model.objects.update(description="theirs"),
        ),
        "replicas": (
            settings,
            f"{detail}scale/",
            {"replica_count": 3},
            lambda: deployments.scale_deployment(deployment, 2, by=actor),
        ),
        "version": (
            settings,
            f"{detail}roll-out/",
            {"model_version": version.pk},
            lambda: deployments.change_model_version(deployment, make_model_version(), by=actor),
        ),
        "label": (
            settings,
            f"{detail}label/",
            {},
            lambda: deployments.label_deployment(deployment, project, by=actor),
        ),
    }


FORM_OF = {"replicas": "scale_form", "version": "version_form", "label": "label_form"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "place", ["project", "organization", "token", "dataset", "model", "replicas", "version", "label"]
)
def test_every_page_that_edits_refuses_to_overwrite(place: str, places: Any, as_owner: Any) -> None:
    shown_at, sent_to, given, others_change = places[place]
    name = FORM_OF.get(place, "form")
    page = as_owner.get(shown_at)
    seen = page.context[name]["seen"].value()
    assert f'value="{seen}"' in page.content.decode()
    others_change()
    refused = as_owner.post(sent_to, {**given, "seen": seen})
    assert refused.status_code == 422
    assert "Somebody changed this since you opened it." in refused.content.decode()
    seen_now = refused.context[name]["seen"].value()
    assert f'value="{seen_now}"' in refused.content.decode()
    assert as_owner.post(sent_to, {**given, "seen": seen_now}).status_code == 303
