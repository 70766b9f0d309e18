from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from apps.datasets.models import DatasetVersion
from tests.working import run_all

CUSTOMERS = b"""customer_id,age,plan,since,monthly,churned
C-01,34,basic,2023-01-05,19.5,false
C-02,51,plus,2022-11-30,49.0,false
C-03,27,basic,2024-02-14,19.5,true
C-04,63,plus,2021-07-01,,false
C-05,41,premium,2020-03-09,99.0,true
C-06,38,basic,2023-08-21,24.5,false
"""


@pytest.fixture
def csv_file() -> Callable[..., SimpleUploadedFile]:
    def made(content: bytes = CUSTOMERS, name: str = "customers.csv") -> SimpleUploadedFile:
        return SimpleUploadedFile(name, content, content_type="text/csv")

    return made


@pytest.fixture
def work() -> Callable[[], int]:
    """Does what a worker would: runs the jobs that wait in the queue of data. Returns how many there were."""

    def worked() -> int:
        return run_all("data")

    return worked


@pytest.fixture
def churn(in_acme: Any, actor: Any, csv_file: Any, work: Any) -> DatasetVersion:
    """A ready version of a small table, in acme."""
    from apps.datasets import services

    version = services.create_dataset("churn", csv_file(), by=actor)
    work()
    version.refresh_from_db()
    return version
