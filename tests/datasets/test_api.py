"""The API of datasets, as its clients see it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core import tenancy
from apps.core.ids import uuid7
from apps.datasets.models import Dataset, DatasetVersion
from tests.datasets.conftest import CUSTOMERS

pytestmark = pytest.mark.django_db

DATASETS = "/api/v1/datasets/"
VERSIONS = "/api/v1/dataset-versions/"


@pytest.fixture
def upload(api_developer: Any, csv_file: Any) -> Any:
    def uploaded(name: str = "churn", content: bytes = CUSTOMERS, client: Any = None, **extra: str) -> Any:
        body = {"name": name, "file": csv_file(content), **extra}
        return (client or api_developer).post(DATASETS, body, format="multipart")

    return uploaded


@pytest.fixture
def ready(upload: Any, work: Any, api_developer: Any) -> dict[str, Any]:
    """The dataset of a finished upload, as the API shows it."""
    location = upload()["Location"]
    work()
    return api_developer.get(location).json()


def test_an_upload_is_accepted_with_its_job(upload: Any, api_developer: Any) -> None:
    answer = upload(description="Customers of 2024")
    body = answer.json()
    assert answer.status_code == 202
    assert answer["Location"] == f"{DATASETS}{body['id']}/"
    assert (body["name"], body["description"], body["version_count"]) == ("churn", "Customers of 2024", 1)
    assert (body["latest_version"]["status"], body["latest_version"]["number"]) == ("pending", 1)
    assert body["job"] == body["latest_version"]["job"]
    job = api_developer.get(f"/api/v1/jobs/{body['job']}/").json()
    assert (job["kind"], job["subject_id"]) == ("datasets.ingest", body["id"])


def test_a_read_version_shows_its_columns_and_statistics(ready: Any, api_viewer: Any) -> None:
    version = ready["latest_version"]
    assert (version["status"], version["row_count"], version["column_count"]) == ("ready", 6, 6)
    assert (version["progress"], version["error_code"]) == (1, "")
    columns = {one["name"]: one for one in api_viewer.get(f"{VERSIONS}{version['id']}/").json()["columns"]}
    assert list(columns) == ["customer_id", "age", "plan", "since", "monthly", "churned"]
    assert (columns["age"]["minimum"], columns["age"]["mean"]) == (27, pytest.approx(254 / 6))
    assert sum(columns["age"]["histogram"]["counts"]) == 6
    assert columns["monthly"]["missing_count"] == 1
    assert columns["plan"]["top"][0] == {"value": "basic", "count": 3}
    assert columns["since"]["minimum"] == "2020-03-09"
    assert columns["customer_id"]["warnings"] == ["id_like"]


def test_rows_are_typed_and_paged(ready: Any, api_viewer: Any) -> None:
    path = f"{VERSIONS}{ready['latest_version']['id']}/rows/"
    body = api_viewer.get(path, {"offset": 2, "limit": 2}).json()
    assert body["columns"] == ["customer_id", "age", "plan", "since", "monthly", "churned"]
    assert body["rows"] == [
        ["C-03", 27, "basic", "2024-02-14", 19.5, True],
        ["C-04", 63, "plus", "2021-07-01", None, False],
    ]
    assert (body["offset"], body["row_count"]) == (2, 6)
    assert api_viewer.get(path, {"offset": 100}).json()["rows"] == []


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 1001}, {"offset": -1}, {"offset": 10**9}, {"limit": "x"}])
def test_a_page_of_rows_beyond_the_caps_is_refused(query: Any, ready: Any, api_viewer: Any) -> None:
    answer = api_viewer.get(f"{VERSIONS}{ready['latest_version']['id']}/rows/", query)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert answer["Content-Type"] == "application/problem+json"


def test_rows_of_a_version_that_is_being_read_are_refused(upload: Any, api_developer: Any) -> None:
    version = upload().json()["latest_version"]["id"]
    answer = api_developer.get(f"{VERSIONS}{version}/rows/")
    assert (answer.status_code, answer.json()["code"]) == (409, "dataset_version_not_ready")


def test_the_source_is_what_was_uploaded_and_never_runs_in_a_browser(ready: Any, api_viewer: Any) -> None:
    answer = api_viewer.get(f"{VERSIONS}{ready['latest_version']['id']}/source/")
    assert b"".join(answer.streaming_content) == CUSTOMERS
    assert answer["Content-Disposition"] == 'attachment; filename="customers.csv"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "sandbox"
    assert answer["Content-Length"] == str(len(CUSTOMERS))
    assert answer["ETag"] == f'"{ready["latest_version"]["content_hash"]}"'


def test_the_same_bytes_again_answer_200_with_the_known_version(ready: Any, api_developer: Any, csv_file: Any) -> None:
    answer = api_developer.post(f"{DATASETS}{ready['id']}/versions/", {"file": csv_file()}, format="multipart")
    assert (answer.status_code, answer.json()["id"]) == (200, ready["latest_version"]["id"])


def test_other_bytes_are_accepted_as_the_next_version(ready: Any, api_developer: Any, csv_file: Any) -> None:
    path = f"{DATASETS}{ready['id']}/versions/"
    answer = api_developer.post(path, {"file": csv_file(CUSTOMERS[:-2])}, format="multipart")
    assert (answer.status_code, answer.json()["number"]) == (202, 2)
    assert answer["Location"] == f"{VERSIONS}{answer.json()['id']}/"
    assert [one["number"] for one in api_developer.get(path).json()["results"]] == [2, 1]


def test_a_dataset_from_a_url_is_accepted_without_its_secret(api_developer: Any) -> None:
    url = "https://data.example/customers.csv?signature=secret"
    answer = api_developer.post(DATASETS, {"name": "fetched", "url": url})
    assert answer.status_code == 202
    assert answer.json()["latest_version"]["source_url"] == "https://data.example/customers.csv"
    assert "secret" not in answer.content.decode()


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 422, "dataset_empty"),
        (b"PK\x03\x04" + bytes(60), 422, "dataset_not_csv"),
        ("a,b\n1,2\n".encode("utf-16"), 422, "dataset_wrong_encoding"),
    ],
    ids=["empty", "zip", "utf-16"],
)
def test_a_file_that_is_no_csv_is_a_problem_at_its_field(content: bytes, status: int, code: str, upload: Any) -> None:
    answer = upload(content=content)
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code)
    assert body["errors"][0]["field"] == "file"
    assert body["request_id"]


def test_a_ragged_file_ends_as_a_failed_version_that_says_where(upload: Any, work: Any, api_developer: Any) -> None:
    location = upload(content=b"a,b\n1,2\n3\n")["Location"]
    work()
    version = api_developer.get(location).json()["latest_version"]
    assert (version["status"], version["error_code"]) == ("failed", "dataset_ragged")
    assert version["error_message"].startswith("Line 3 has 1 fields")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x"}, "file"),
        ({"name": "x", "url": ""}, "url"),
        ({"name": "x", "url": "ftp://example.com/a.csv"}, "url"),
        ({"name": "", "url": "https://example.com/a.csv"}, "name"),
        ({"name": "x" * 81, "url": "https://example.com/a.csv"}, "name"),
        ({"url": "https://example.com/a.csv"}, "name"),
    ],
)
def test_what_is_missing_or_wrong_is_named(body: Any, field: str, api_developer: Any) -> None:
    answer = api_developer.post(DATASETS, body)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == [field]


def test_a_taken_name_is_a_conflict(ready: Any, upload: Any) -> None:
    answer = upload(name="CHURN")
    assert (answer.status_code, answer.json()["code"]) == (409, "dataset_name_taken")


def test_a_file_above_the_limit_is_413(upload: Any, settings: Any) -> None:
    settings.UPLOAD_MAX_BYTES = 10
    answer = upload()
    assert (answer.status_code, answer.json()["code"]) == (413, "dataset_too_large")


def test_renaming_describing_and_deleting(ready: Any, api_developer: Any) -> None:
    path = f"{DATASETS}{ready['id']}/"
    answer = api_developer.patch(path, {"name": "leaving", "description": "Who left"})
    assert (answer.status_code, answer.json()["name"], answer.json()["version_count"]) == (200, "leaving", 1)
    assert api_developer.get(DATASETS, {"name": "leaving"}).json()["results"][0]["description"] == "Who left"
    assert api_developer.delete(path).status_code == 204
    assert api_developer.get(path).status_code == 404


def operations(dataset: Any, version: Any) -> list[tuple[str, str]]:
    """Every operation of the API on one object."""
    return [
        ("get", f"{DATASETS}{dataset}/"),
        ("patch", f"{DATASETS}{dataset}/"),
        ("delete", f"{DATASETS}{dataset}/"),
        ("get", f"{DATASETS}{dataset}/versions/"),
        ("post", f"{DATASETS}{dataset}/versions/"),
        ("get", f"{VERSIONS}{version}/"),
        ("get", f"{VERSIONS}{version}/rows/"),
        ("get", f"{VERSIONS}{version}/source/"),
    ]


def test_another_organization_sees_nothing(ready: Any, api_outsider: Any) -> None:
    body = {"name": "mine", "url": "https://example.com/a.csv"}
    for method, path in operations(ready["id"], ready["latest_version"]["id"]):
        answer = getattr(api_outsider, method)(path, body if method in ("post", "patch") else None)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, path)
    for path in (DATASETS, VERSIONS):
        assert api_outsider.get(path).json()["results"] == []
    assert api_outsider.get(VERSIONS, {"dataset": ready["id"]}).json().get("results", []) == []


def test_an_unknown_id_answers_as_another_organizations_does(api_owner: Any, api_outsider: Any, ready: Any) -> None:
    for theirs, unknown in itertools.zip_longest(
        operations(ready["id"], ready["latest_version"]["id"]), operations(uuid7(), uuid7())
    ):
        if theirs[0] == "get":
            first, second = api_outsider.get(theirs[1]).json(), api_outsider.get(unknown[1]).json()
            assert {**first, "request_id": ""} == {**second, "request_id": ""}


def test_a_viewer_reads_and_changes_nothing(ready: Any, api_viewer: Any, upload: Any, acme: Any) -> None:
    for method, path in operations(ready["id"], ready["latest_version"]["id"]):
        answer = getattr(api_viewer, method)(path)
        assert answer.status_code == (200 if method == "get" else 403), (method, path)
    answer = upload(name="not allowed", client=api_viewer)
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_missing")
    with tenancy.scope(acme.pk):
        assert Dataset.objects.get().name == "churn"


def test_without_a_token_nothing_is_told(client: Any, ready: Any) -> None:
    for method, path in operations(ready["id"], ready["latest_version"]["id"]):
        assert getattr(client, method)(path).status_code == 401, (method, path)


@pytest.mark.parametrize("path", [DATASETS, VERSIONS])
def test_a_list_takes_as_many_queries_with_three_rows_as_with_one(
    path: str, ready: Any, upload: Any, work: Any, api_owner: Any
) -> None:
    api_owner.get(path)
    with CaptureQueriesContext(connection) as one:
        assert len(api_owner.get(path).json()["results"]) == 1
    upload(name="second")
    upload(name="third", content=b"a,b\n1\n")
    work()
    with CaptureQueriesContext(connection) as three:
        assert len(api_owner.get(path).json()["results"]) == 3
    assert len(three) == len(one)


def test_a_repeated_key_uploads_once(api_developer: Any, csv_file: Any, acme: Any) -> None:
    answers = [
        api_developer.post(
            DATASETS, {"name": "once", "file": csv_file()}, format="multipart", HTTP_IDEMPOTENCY_KEY="upload-1"
        )
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    with tenancy.scope(acme.pk):
        assert DatasetVersion.objects.count() == 1
