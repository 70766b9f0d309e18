"""The operator's view of runs and models, across organizations."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.core import tenancy
from apps.training.models import TrainingRun
from tests.factories.people import UserFactory

# The console reads through a connection of its own, which sees only what is committed.
pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "console"])


@pytest.fixture
def as_operator(db: None) -> Client:
    client = Client()
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


def test_the_operator_opens_runs_trials_models_and_versions(as_operator: Client, trained: TrainingRun) -> None:
    version = trained.model_version
    assert version is not None
    rows: dict[str, Any] = {
        "training/trainingrun": trained,
        "training/trial": trained.trials.first(),
        "registry/model": version.model,
        "registry/modelversion": version,
    }
    with tenancy.no_scope():
        for place, row in rows.items():
            listed = as_operator.get(f"/admin/{place}/")
            assert str(row.pk) in listed.content.decode(), place
            assert as_operator.get(f"/admin/{place}/{row.pk}/change/").status_code == 200, place
        assert as_operator.get("/admin/training/trainingrun/?job__status__exact=failed").status_code == 200


def test_a_member_is_not_an_operator(as_owner: Client, trained: TrainingRun) -> None:
    assert as_owner.get("/admin/training/trainingrun/").status_code == 302
