"""What can be done with datasets, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from apps.audit.models import AuditEntry
from apps.core import storage
from apps.core.errors import StorageUnavailable
from apps.core.ids import uuid7
from apps.core.outbound import client as outbound
from apps.datasets import errors, ingestion, services
from apps.datasets.models import Dataset, DatasetVersion
from apps.jobs import services as jobs
from apps.jobs.enums import Status
from apps.jobs.models import Job
from apps.registry.models import Model, ModelVersion
from tests.datasets.conftest import CUSTOMERS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("in_acme")]


def stored_files() -> list[Path]:
    return [path for path in Path(default_storage.path("")).rglob("*") if path.is_file()]


@pytest.fixture(autouse=True)
def own_storage(settings: Any, tmp_path: Path) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path / "objects")},
        },
    }


def test_an_upload_becomes_a_ready_version_with_its_columns(churn: DatasetVersion) -> None:
    assert (churn.status, churn.number, churn.row_count, churn.column_count) == ("ready", 1, 6, 6)
    kinds = dict(churn.columns.values_list("name", "kind"))
    assert kinds == {
        "customer_id": "id",
        "age": "integer",
        "plan": "category",
        "since": "date",
        "monthly": "float",
        "churned": "boolean",
    }
    assert churn.columns.get(name="monthly").missing_count == 1
    age = churn.columns.get(name="age")
    assert (age.minimum, age.maximum, age.distinct_count) == (27, 63, 6)
    assert churn.source_size_bytes == len(CUSTOMERS)
    assert len(stored_files()) == 2


def test_everything_stored_lies_in_the_organizations_folder(churn: DatasetVersion) -> None:
    organization = str(churn.organization_id)
    assert churn.source_path.startswith(f"{organization}/datasets/{churn.dataset_id}/")
    assert churn.parquet_path.startswith(f"{organization}/datasets/{churn.dataset_id}/")


def test_the_job_tells_which_version_it_made(churn: DatasetVersion) -> None:
    job = Job.objects.get(pk=churn.job_id)
    assert (job.status, job.progress, job.subject_id) == (Status.SUCCEEDED, 1, churn.dataset_id)
    assert job.result == {"version": str(churn.pk), "number": 1, "row_count": 6}


def test_the_same_bytes_again_are_the_same_version(churn: DatasetVersion, actor: Any, csv_file: Any, work: Any) -> None:
    before = stored_files()
    again = services.add_version(churn.dataset, csv_file(name="copy.csv"), by=actor)
    assert again == churn
    assert (work(), stored_files()) == (0, before)


def test_other_bytes_are_the_next_version(churn: DatasetVersion, actor: Any, csv_file: Any, work: Any) -> None:
    version = services.add_version(churn.dataset, csv_file(CUSTOMERS + b"C-07,20,basic,2024-01-01,5,true\n"), by=actor)
    work()
    version.refresh_from_db()
    assert (version.number, version.status, version.row_count) == (2, "ready", 7)


def test_the_same_bytes_in_another_dataset_are_its_own_version(
    churn: DatasetVersion, actor: Any, csv_file: Any, work: Any
) -> None:
    other = services.create_dataset("other", csv_file(), by=actor)
    services.delete_dataset(churn.dataset, by=actor)
    assert work() == 1
    other.refresh_from_db()
    assert other.is_ready


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", errors.EmptyFile),
        (b"  \n \n", errors.EmptyFile),
        (b"PK\x03\x04" + b"\x00" * 100, errors.NotCsv),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), errors.NotCsv),
        ("a,b\n1,2\n".encode("utf-16"), errors.WrongEncoding),
        (b'{"a": 1}', errors.NotCsv),
    ],
)
def test_what_is_no_csv_from_its_first_bytes_is_refused_at_once(
    content: bytes, error: Any, actor: Any, csv_file: Any
) -> None:
    with pytest.raises(error) as refused:
        services.create_dataset("bad", csv_file(content), by=actor)
    assert refused.value.field == "file"
    assert not Dataset.objects.exists()
    assert stored_files() == []


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"a,b\n1,2\n1,2,3\n", "dataset_ragged", "Line 3 has 3 fields"),
        (b"a,b\n", "dataset_without_rows", "no rows"),
        (b"name\ncaf\xe9\n", "dataset_wrong_encoding", "not UTF-8"),
        (b"a,a\n1,2\n", "dataset_duplicate_column_name", "both named"),
        (b'a,b\n"x,2\n', "dataset_bad_quoting", "Line 2"),
    ],
)
def test_what_reading_finds_fails_the_version_with_the_reason(
    content: bytes, code: str, words: str, actor: Any, csv_file: Any, work: Any
) -> None:
    version = services.create_dataset("bad", csv_file(content), by=actor)
    work()
    version.refresh_from_db()
    assert (version.status, version.error_code) == ("failed", code)
    assert words in version.error_message
    job = Job.objects.get(pk=version.job_id)
    assert (job.status, job.error_code) == (Status.FAILED, code)


def test_the_bytes_of_a_failed_version_are_read_again(actor: Any, csv_file: Any, work: Any) -> None:
    version = services.create_dataset("cancelled", csv_file(), by=actor)
    jobs.cancel_job(Job.objects.get(pk=version.job_id), by=actor)
    version.refresh_from_db()
    assert (version.status, version.error_code) == ("failed", "job_cancelled")
    again = services.add_version(version.dataset, csv_file(), by=actor)
    assert (again.pk, again.status, again.error_message) == (version.pk, "pending", "")
    work()
    again.refresh_from_db()
    assert again.is_ready


def test_retrying_the_job_reads_the_version_again(actor: Any, csv_file: Any, work: Any) -> None:
    version = services.create_dataset("cancelled", csv_file(), by=actor)
    job = jobs.cancel_job(Job.objects.get(pk=version.job_id), by=actor)
    jobs.retry_job(job, by=actor)
    work()
    version.refresh_from_db()
    assert (version.status, version.error_code) == ("ready", "")


def test_a_job_that_died_fails_its_version(
    actor: Any, csv_file: Any, work: Any, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr(ingestion, "read_csv", broken)
    version = services.create_dataset("unlucky", csv_file(), by=actor)
    Job.objects.update(max_attempts=1)
    work()
    version.refresh_from_db()
    assert (version.status, version.error_code) == ("failed", "unexpected")
    assert "on our side" in version.error_message
    assert "fire" not in version.error_message


def test_no_scratch_is_left_behind(churn: DatasetVersion) -> None:
    scratch = Path(django_settings.STATE_DIR) / "scratch"
    assert list(scratch.iterdir()) == []


def test_a_name_is_taken_once_in_any_case(churn: DatasetVersion, actor: Any, csv_file: Any) -> None:
    with pytest.raises(errors.DatasetNameTaken) as refused:
        services.create_dataset("Churn", csv_file(b"a,b\n1,2\n"), by=actor)
    assert (refused.value.field, refused.value.status) == ("name", 409)
    assert len(stored_files()) == 2


def test_a_file_above_the_limit_is_refused(actor: Any, csv_file: Any, settings: Any) -> None:
    settings.UPLOAD_MAX_BYTES = 10
    with pytest.raises(errors.DatasetTooLarge):
        services.create_dataset("large", csv_file(), by=actor)
    assert stored_files() == []


def test_storage_that_fails_leaves_no_dataset(actor: Any, csv_file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise StorageUnavailable

    monkeypatch.setattr(storage, "store", full)
    with pytest.raises(StorageUnavailable):
        services.create_dataset("unstored", csv_file(), by=actor)
    assert not Dataset.objects.exists()


def test_a_version_that_cannot_be_written_down_leaves_no_file(
    actor: Any, csv_file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(jobs, "submit_job", refused)
    with pytest.raises(RuntimeError):
        services.create_dataset("unwritten", csv_file(), by=actor)
    assert stored_files() == []


def test_every_write_is_in_the_trail(churn: DatasetVersion, actor: Any) -> None:
    services.update_dataset(churn.dataset, description="Customers", by=actor)
    services.delete_dataset(churn.dataset, by=actor)
    actions = AuditEntry.objects.filter(subject_id=churn.dataset_id).order_by("id").values_list("action", flat=True)
    assert list(actions) == ["dataset.created", "dataset.version_added", "dataset.updated", "dataset.deleted"]


def test_an_update_that_changes_nothing_is_not_in_the_trail(churn: DatasetVersion, actor: Any) -> None:
    services.update_dataset(churn.dataset, name="churn", by=actor)
    assert not AuditEntry.objects.filter(action="dataset.updated").exists()


def test_deleting_a_dataset_deletes_its_files(
    churn: DatasetVersion, actor: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        services.delete_dataset(churn.dataset, by=actor)
    assert not DatasetVersion.objects.exists()
    assert stored_files() == []


def test_deleting_a_dataset_stops_its_reading(actor: Any, csv_file: Any, work: Any) -> None:
    version = services.create_dataset("unwanted", csv_file(), by=actor)
    services.delete_dataset(version.dataset, by=actor)
    assert work() == 0
    assert Job.objects.get(pk=version.job_id).status == Status.CANCELLED


def test_a_dataset_that_a_model_was_made_from_stays(churn: DatasetVersion, actor: Any) -> None:
    ModelVersion.objects.create(
        model=Model.objects.create(name="churn", task="binary"),
        number=1,
        algorithm="lightgbm",
        target="churned",
        dataset_version=churn,
        training_run_id=uuid7(),
        artifact_path="none",
        artifact_sha256="0" * 64,
        size_bytes=1,
        signature={},
        compared_row_count=6,
        largest_difference=0.0,
    )
    with pytest.raises(errors.DatasetInUse) as refused:
        services.delete_dataset(churn.dataset, by=actor)
    assert (refused.value.status, refused.value.params["count"]) == (409, 1)
    assert Dataset.objects.get() == churn.dataset
    assert not AuditEntry.objects.filter(action="dataset.deleted").exists()


class FakeInternet:
    """Serves bytes in place of `outbound.download`."""

    def __init__(self, content: bytes, status: int = 200) -> None:
        self.content, self.status = content, status

    def __call__(self, url: str, write: Any, **_: Any) -> outbound.Answer:
        for start in range(0, len(self.content), 50):
            write(self.content[start : start + 50])
        return outbound.Answer(self.status, {}, b"")


URL = "https://data.example/tables/customers.csv?signature=secret"


def test_a_url_is_fetched_by_the_job_and_its_secret_forgotten(
    actor: Any, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "download", FakeInternet(CUSTOMERS))
    version = services.create_dataset("fetched", URL, by=actor)
    assert (version.source_name, version.content_hash) == ("customers.csv", None)
    work()
    version.refresh_from_db()
    assert (version.status, version.row_count) == ("ready", 6)
    assert version.source_url == "https://data.example/tables/customers.csv"
    assert not AuditEntry.objects.filter(changes__icontains="secret").exists()
    assert not Job.objects.filter(input__icontains="secret").exists()


def test_a_url_that_gives_known_bytes_leaves_one_version(
    churn: DatasetVersion, actor: Any, work: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "download", FakeInternet(CUSTOMERS))
    job_id = services.add_version(churn.dataset, URL, by=actor).job_id
    work()
    assert list(churn.dataset.versions.all()) == [churn]
    assert UUID(Job.objects.get(pk=job_id).result["version"]) == churn.pk


def test_a_url_that_answers_an_error_fails_the_version(actor: Any, work: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "download", FakeInternet(b"<html>gone</html>", 404))
    version = services.create_dataset("gone", URL, by=actor)
    work()
    version.refresh_from_db()
    assert (version.status, version.error_code) == ("failed", "dataset_source_not_served")
    assert "404" in version.error_message


def test_a_private_address_is_refused_at_once(actor: Any, settings: Any) -> None:
    settings.OUTBOUND_ALLOWED_NETWORKS = []
    with pytest.raises(outbound.AddressRefused):
        services.create_dataset("inner", "http://169.254.169.254/latest/meta-data/", by=actor)
    assert not Dataset.objects.exists()


def test_a_name_with_a_private_address_fails_the_version_without_being_called(
    actor: Any, work: Any, settings: Any
) -> None:
    settings.OUTBOUND_ALLOWED_NETWORKS = []
    version = services.create_dataset("inner", "http://localhost/customers.csv", by=actor)
    work()
    version.refresh_from_db()
    assert (version.status, version.error_code) == ("failed", "url_address_refused")


def test_what_is_no_url_is_refused_at_once(actor: Any) -> None:
    with pytest.raises(outbound.InvalidUrl):
        services.create_dataset("nowhere", "ftp://example.com/a.csv", by=actor)
    assert not Dataset.objects.exists()


def test_a_stale_attempt_that_attaches_again_keeps_the_version(actor: Any, work: Any, csv_file: Any) -> None:
    version = services.create_dataset("twice", URL, by=actor)
    digest = storage.measure(csv_file()).sha256
    services.attach_source(version, csv_file(), digest)
    stale = DatasetVersion.objects.get(pk=version.pk)
    assert services.attach_source(stale, csv_file(), digest) == version
    assert version.dataset.versions.count() == 1


@pytest.mark.parametrize(
    ("given", "kept"),
    [("../../etc/passwd", "passwd"), ("C:\\data\\a.csv", "a.csv"), ("a\u202eb.csv", "ab.csv"), ("..", "v1.csv")],
)
def test_a_file_name_is_never_a_path(given: str, kept: str, actor: Any) -> None:
    version = services.create_dataset("named", ContentFile(CUSTOMERS, name=given), by=actor)
    assert version.download_name == kept
