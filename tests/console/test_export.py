"""An export holds every row and file of its organization, and nothing of another one."""

from __future__ import annotations

import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from django.conf import settings
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.audit.models import AuditEntry
from apps.console.data_rights import archive, contents, errors, exports
from apps.console.data_rights.models import DataExport
from apps.core import storage, tenancy
from apps.core.actors import Actor
from apps.core.errors import NotFound
from apps.jobs import services as jobs
from apps.jobs.models import Job
from apps.jobs.services import Failure
from apps.notifications.models import Notification
from tests.conftest import actor_of
from tests.factories import world
from tests.working import run, run_all, take

PAGE = "/o/acme/settings/data/"
API = "/api/v1/organization/exports/"


@pytest.fixture
def both_worlds(acme: Any, globex: Any, actor: Actor, outsider: Any) -> None:
    world.build(acme, actor, mark="kestrel")
    world.build(globex, actor_of(outsider, "owner"), mark="walrus")
    with tenancy.scope(acme.pk):
        storage.store(storage.tenant_path("notes", "read.me"), io.BytesIO(b"kestrel\n" * 1000))


def written() -> tuple[ZipFile, archive.Summary]:
    """The archive of the scope's organization, made without a job of its own."""
    file = io.BytesIO()
    summary = archive.write(file, lambda share, step: None)
    return ZipFile(file), summary


def made(by: Actor) -> DataExport:
    """An export that its job has made."""
    export = exports.start_export(by=by)
    run_all("data")
    export.refresh_from_db()
    export.job.refresh_from_db()
    return export


def lines(archived: ZipFile, table: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in archived.read(f"rows/{table}.jsonl").splitlines()]


@pytest.mark.django_db
def test_every_row_of_every_table_is_in_it_as_it_is_in_the_database(both_worlds: None, acme: Any) -> None:
    with tenancy.scope(acme.pk):
        archived, summary = written()
        told = 0
        for model in contents.tenant_models():
            rows = lines(archived, model._meta.label_lower)
            columns = contents.columns_of(model)
            expected = [json.loads(contents.line(row)) for row in model.objects.order_by("pk").values(*columns)]
            assert rows == expected, model
            assert {row["organization_id"] for row in rows} <= {str(acme.pk)}
            assert set(columns) | contents.LEFT_OUT.get(model._meta.label, set()) == {
                field.attname for field in model._meta.concrete_fields
            }
            told += len(rows)
    [organization] = lines(archived, "organizations.organization")
    assert (organization["id"], organization["name"]) == (str(acme.pk), "Acme")
    people = lines(archived, "accounts.user")
    assert {one["email"] for one in people} == {"owner@acme.test", "developer@acme.test", "viewer@acme.test"}
    assert {tuple(one) for one in people} == {("id", "email", "name")}
    assert summary.row_count == told + 1 + len(people)
    assert told > 40, "the world has rows of every kind"


@pytest.mark.django_db
def test_the_world_has_a_row_for_nearly_every_table(both_worlds: None, acme: Any) -> None:
    with tenancy.scope(acme.pk):
        empty = {model._meta.label for model in contents.tenant_models() if not model.objects.exists()}
    assert empty <= {
        "notifications.Preference",
        "organizations.ActingSession",
        "organizations.FlagChoice",
        "organizations.IdempotentRequest",
    }


@pytest.mark.django_db
def test_the_manifest_tells_size_hash_and_rows_of_each_member(both_worlds: None, acme: Any) -> None:
    with tenancy.scope(acme.pk):
        archived, summary = written()
        stored = {file.path.partition("/")[2]: file for file in storage.stored_files()}
        for path, file in stored.items():
            with storage.open_stream(file.path) as stream:
                assert archived.read(f"files/{path}") == stream.read()
    manifest = json.loads(archived.read("manifest.json"))
    members = {member["name"]: member for member in manifest["members"]}
    assert set(members) | {"manifest.json"} == set(archived.namelist())
    for name, member in members.items():
        content = archived.read(name)
        assert member["size_bytes"] == len(content)
        assert member["sha256"] == hashlib.sha256(content).hexdigest()
        assert member["row_count"] == (len(content.splitlines()) if name.startswith("rows/") else None)
    assert manifest["organization"] == {"id": str(acme.pk), "slug": "acme", "name": "Acme"}
    assert manifest["schema_version"] == 1
    assert archived.testzip() is None
    assert summary.file_count == len(stored) > 1


@pytest.mark.django_db
def test_s1_nothing_of_another_organization_is_in_it(both_worlds: None, acme: Any, globex: Any) -> None:
    with tenancy.scope(acme.pk):
        archived, _ = written()
    everything = b"".join(archived.read(name) for name in archived.namelist())
    assert b"kestrel" in everything
    for trace in (b"walrus", str(globex.pk).encode(), b"outsider@globex.test"):
        assert trace not in everything


SECRET = re.compile(r"secret|hash|sealed|password|digest|fingerprint|private")
# Named like secrets, and none: what a file's bytes are known by.
NO_SECRETS = {
    "datasets.DatasetVersion.content_hash",
    "datasets.DatasetVersion.schema_hash",
    "registry.ModelVersion.artifact_sha256",
}


def test_s3_whatever_is_named_or_kept_like_a_secret_is_left_out() -> None:
    suspects = {
        f"{model._meta.label}.{field.attname}"
        for model in contents.tenant_models()
        for field in model._meta.concrete_fields
        if SECRET.search(field.attname) or isinstance(field, models.BinaryField)
    }
    left_out = {f"{label}.{name}" for label, names in contents.LEFT_OUT.items() for name in names}
    assert suspects - NO_SECRETS == left_out


@pytest.mark.django_db
def test_more_rows_than_a_chunk_are_all_written_in_order(acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "CHUNK_ROWS", 3)
    with tenancy.scope(acme.pk):
        Job.objects.bulk_create(Job(kind="k", queue="q", label=str(number)) for number in range(10))
        archived, _ = written()
        assert [row["id"] for row in lines(archived, "jobs.job")] == [
            str(pk) for pk in Job.objects.order_by("pk").values_list("pk", flat=True)
        ]


@pytest.mark.django_db
def test_the_job_makes_a_file_that_is_told_and_can_be_downloaded(
    both_worlds: None, in_acme: Any, actor: Actor, as_owner: Client, owner: Any
) -> None:
    export = made(actor)
    assert (export.status, export.job.status) == ("ready", "succeeded")
    assert Notification.objects.get(event="export.ready").user_id == owner.pk
    answer = as_owner.get(f"{PAGE}exports/{export.pk}/file/")
    content = b"".join(answer.streaming_content)
    assert answer["Content-Disposition"].startswith('attachment; filename="acme-')
    assert (len(content), hashlib.sha256(content).hexdigest()) == (export.size_bytes, export.sha256)
    assert json.loads(ZipFile(io.BytesIO(content)).read("manifest.json"))["organization"]["slug"] == "acme"
    actions = AuditEntry.objects.filter(subject_id=export.pk).order_by("id").values_list("action", "actor_label")
    assert list(actions) == [("export.requested", owner.email), ("export.downloaded", owner.email)]


@pytest.mark.django_db
def test_an_export_holds_no_other_export(in_acme: Any, actor: Actor) -> None:
    made(actor)
    archived, summary = written()
    assert not [name for name in archived.namelist() if name.endswith(".zip")]
    assert summary.file_count == 0


@pytest.mark.django_db
def test_asking_twice_makes_one_and_too_many_are_refused(in_acme: Any, actor: Actor) -> None:
    first = exports.start_export(by=actor)
    assert exports.start_export(by=actor) == first
    run_all("data")
    for _ in range(exports.KEPT_LIMIT - 1):
        made(actor)
    with pytest.raises(errors.TooManyExports):
        exports.start_export(by=actor)


@pytest.mark.django_db
def test_p2_a_worker_that_was_killed_leaves_one_file_of_the_attempt_that_ended(in_acme: Any, actor: Actor) -> None:
    export = exports.start_export(by=actor)
    lost = take("data", "a worker that is killed after it stored its file")
    assert lost is not None
    leftover = storage.tenant_path(archive.EXPORTS, str(export.pk), f"{lost.attempt}.zip")
    storage.store(leftover, io.BytesIO(b"half"))
    jobs.retry_later(Job.objects.get(pk=lost.job_id), Failure("worker_lost", "gone"), after=exports.KEPT_FOR * 0)
    run_all("data")
    export.refresh_from_db()
    assert export.is_ready
    assert [file.path for file in storage.stored_files()] == [export.path]
    with storage.open_stream(export.path) as file:
        assert storage.measure(file) == (export.sha256, export.size_bytes)
    run(lost)  # the message that comes a second time
    assert [file.path for file in storage.stored_files()] == [export.path]
    assert Job.objects.get(pk=export.job_id).status == "succeeded"


@pytest.mark.django_db
def test_a_stale_attempt_takes_its_own_file_away_and_not_the_newer_one(
    in_acme: Any, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = exports.start_export(by=actor)
    store = storage.store

    def slow_store(path: str, stream: Any) -> storage.Stored:
        stored = store(path, stream)
        if path.endswith("/1.zip"):  # meanwhile its lease ends, and another worker makes the export
            jobs.retry_later(
                Job.objects.get(pk=export.job_id), Failure("worker_lost", "gone"), after=exports.KEPT_FOR * 0
            )
            run_all("data")
        return stored

    monkeypatch.setattr(storage, "store", slow_store)
    run_all("data")
    export.refresh_from_db()
    assert export.path.endswith("/2.zip")
    assert [file.path for file in storage.stored_files()] == [export.path]


@pytest.mark.django_db
def test_a_failed_export_is_told(in_acme: Any, actor: Actor, owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise NotFound

    monkeypatch.setattr(archive, "write", refuse)
    export = made(actor)
    assert export.status == "failed"
    told = Notification.objects.get(event="export.failed")
    assert (told.user_id, told.text) == (owner.pk, NotFound().message)
    with pytest.raises(errors.ExportNotReady):
        exports.download_export(export, by=actor)


@pytest.mark.django_db
def test_nothing_is_kept_of_an_export_whose_last_worker_was_killed(
    in_acme: Any, actor: Actor, django_capture_on_commit_callbacks: Any
) -> None:
    export = exports.start_export(by=actor)
    storage.store(storage.tenant_path(archive.EXPORTS, str(export.pk), "3.zip"), io.BytesIO(b"stored, and not told"))
    Job.objects.filter(pk=export.job_id).update(attempt=3)
    with django_capture_on_commit_callbacks(execute=True):
        jobs.retry_later(Job.objects.get(pk=export.job_id), Failure("worker_lost", "gone"), after=exports.KEPT_FOR * 0)
    assert Job.objects.get(pk=export.job_id).status == "dead"
    assert list(storage.stored_files()) == []


@pytest.mark.django_db
def test_after_a_week_the_file_goes_and_the_page_says_so(in_acme: Any, actor: Actor, as_owner: Client) -> None:
    export, fresh = made(actor), made(actor)
    DataExport.objects.filter(pk=export.pk).update(expires_at=export.expires_at - exports.KEPT_FOR)
    export.refresh_from_db()
    refused = as_owner.get(f"{PAGE}exports/{export.pk}/file/")
    assert refused.status_code == 410
    assert exports.remove_expired() == 1
    assert exports.remove_expired() == 0
    assert [file.path for file in storage.stored_files()] == [fresh.path]
    page = as_owner.get(PAGE).content.decode()
    assert page.count("Download") == 1
    assert "Expired" in page


@pytest.mark.django_db
def test_its_progress_names_rows_as_people_do(in_acme: Any, actor: Actor) -> None:
    steps: list[str] = []
    archive.write(io.BytesIO(), lambda share, step: steps.append(step))
    assert any(step.startswith("audit entries: ") for step in steps)
    assert not [step for step in steps if "audit." in step or "_" in step]


def test_the_page_shows_how_far_it_is(in_acme: Any, actor: Actor, as_owner: Client) -> None:
    assert "Export all data" in as_owner.get(PAGE).content.decode()
    assert as_owner.post(f"{PAGE}exports/")["Location"] == PAGE
    export = DataExport.objects.get()
    Job.objects.filter(pk=export.job_id).update(
        status="running", lease_until=export.created_at, progress=0.4, step="call records: 12,000 of 100,000 rows"
    )
    page = as_owner.get(PAGE).content.decode()
    assert "12,000 of 100,000 rows" in page
    assert f'data-live="exports job:{export.job_id}"' in page
    assert "Export all data" not in page


@pytest.mark.django_db
def test_the_api_asks_for_lists_and_hands_out_exports(in_acme: Any, api_owner: Any) -> None:
    asked = api_owner.post(API)
    assert (asked.status_code, asked.json()["download_url"]) == (202, None)
    assert asked["Location"] == f"{API}{asked.json()['id']}/"
    run_all("data")
    [listed] = api_owner.get(API).json()["results"]
    assert listed["status"] == "ready"
    file = api_owner.get(listed["download_url"])
    assert hashlib.sha256(b"".join(file.streaming_content)).hexdigest() == listed["sha256"]


@pytest.mark.django_db
def test_s2_whoever_may_not_export_sees_neither_page_nor_file(
    in_acme: Any, actor: Actor, as_developer: Client, as_viewer: Client, api_developer: Any
) -> None:
    export = made(actor)
    for browser in (as_developer, as_viewer):
        assert browser.get(PAGE).status_code == 403
        assert browser.get(f"{PAGE}exports/{export.pk}/file/").status_code == 403
        assert "Your data" not in browser.get("/o/acme/settings/").content.decode()
    assert api_developer.get(API).status_code == 403


@pytest.mark.django_db
def test_s1_an_outsider_finds_no_export(in_acme: Any, actor: Actor, as_outsider: Client, api_outsider: Any) -> None:
    export = made(actor)
    assert as_outsider.get(f"{PAGE}exports/{export.pk}/file/").status_code == 404
    assert as_outsider.get(f"/o/globex/settings/data/exports/{export.pk}/file/").status_code == 404
    assert api_outsider.get(f"{API}{export.pk}/file/").status_code == 404


@pytest.mark.django_db
def test_the_page_costs_the_same_for_one_and_for_three(in_acme: Any, actor: Actor, as_owner: Client) -> None:
    made(actor)
    as_owner.get(PAGE)
    with CaptureQueriesContext(connection) as one:
        as_owner.get(PAGE)
    made(actor)
    made(actor)
    with CaptureQueriesContext(connection) as three:
        as_owner.get(PAGE)
    assert len(three) == len(one)


@pytest.mark.django_db
def test_nothing_is_left_in_the_scratch_folder(in_acme: Any, actor: Actor) -> None:
    made(actor)
    assert list((Path(settings.STATE_DIR) / "scratch").iterdir()) == []
