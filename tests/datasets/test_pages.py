"""The pages of datasets."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core import tenancy
from apps.core.ids import uuid7
from apps.datasets import services
from apps.datasets.models import Dataset, DatasetVersion
from apps.jobs.models import Job
from tests.datasets.conftest import CUSTOMERS

pytestmark = pytest.mark.django_db

LIST = "/o/acme/data/"
NEW = "/o/acme/data/new/"


@pytest.fixture
def page_of(churn: DatasetVersion) -> str:
    return f"{LIST}{churn.dataset_id}/"


def text(response: Any) -> str:
    return response.content.decode()


def after(client: Any, answer: Any) -> str:
    """The page that a redirect leads to."""
    return text(client.get(answer["Location"]))


def test_an_organization_without_datasets_is_told_how_to_bring_one(as_owner: Any, as_viewer: Any) -> None:
    answer = text(as_owner.get(LIST))
    assert "No datasets yet" in answer
    assert 'type="file"' in answer
    assert "/api/v1/datasets/" in answer
    assert 'type="file"' not in text(as_viewer.get(LIST))


def test_the_list_shows_what_each_dataset_holds(churn: DatasetVersion, as_viewer: Any) -> None:
    answer = text(as_viewer.get(LIST))
    assert "churn" in answer
    assert "Ready" in answer
    assert "Upload a dataset" not in answer


@pytest.mark.parametrize(("search", "is_found"), [("CHU", True), ("churn", True), ("hurn", False), ("%", False)])
def test_search_looks_at_the_beginning_of_names_in_any_case(
    search: str, is_found: bool, churn: DatasetVersion, as_owner: Any
) -> None:
    assert ("data-row-link" in text(as_owner.get(LIST, {"q": search}))) == is_found


def test_the_list_takes_as_many_queries_with_three_rows_as_with_one(
    churn: DatasetVersion, as_owner: Any, actor: Any, csv_file: Any, work: Any
) -> None:
    as_owner.get(LIST)
    with CaptureQueriesContext(connection) as one:
        as_owner.get(LIST)
    for name in ("second", "third"):
        services.create_dataset(name, csv_file(), by=actor)
    work()
    with CaptureQueriesContext(connection) as three:
        assert text(as_owner.get(LIST)).count("data-row-link") == 3
    assert len(three) == len(one)


def test_an_upload_by_form_leads_to_the_dataset(as_developer: Any, csv_file: Any, acme: Any) -> None:
    answer = as_developer.post(NEW, {"file": csv_file(name="my customers.csv")})
    with tenancy.scope(acme.pk):
        dataset = Dataset.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, f"{LIST}{dataset.pk}/")
    assert dataset.name == "my customers"


def test_an_upload_by_htmx_is_redirected_as_a_whole_page(as_developer: Any, csv_file: Any) -> None:
    answer = as_developer.post(NEW, {"file": csv_file(), "name": "churn"}, headers={"HX-Request": "true"})
    assert answer.status_code == 204
    assert answer["HX-Redirect"].startswith(LIST)


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "file is empty"), (b"%PDF-1.7 and more", "a PDF document, not a CSV file")]
)
def test_a_wrong_file_is_explained_beside_the_field(
    content: bytes, reason: str, as_developer: Any, csv_file: Any, acme: Any
) -> None:
    answer = as_developer.post(NEW, {"file": csv_file(content), "name": "kept", "description": "typed"})
    assert answer.status_code == 422
    assert reason in text(answer)
    assert 'value="kept"' in text(answer)
    with tenancy.scope(acme.pk):
        assert not Dataset.objects.exists()


def test_htmx_gets_the_wrong_form_back_without_the_page(as_developer: Any) -> None:
    answer = as_developer.post(NEW, {"name": "x"}, headers={"HX-Request": "true"})
    assert answer.status_code == 422
    assert "Choose a file, or give its URL." in text(answer)
    assert "<html" not in text(answer)


def test_a_taken_name_stands_beside_the_name(churn: DatasetVersion, as_developer: Any, csv_file: Any) -> None:
    answer = as_developer.post(NEW, {"file": csv_file(), "name": "Churn"})
    assert answer.status_code == 422
    assert "There is already a dataset “Churn”" in text(answer)


def test_rows_are_shown_under_their_columns_distribution(page_of: str, as_viewer: Any) -> None:
    answer = text(as_viewer.get(page_of))
    assert 'aria-label="Distribution of age"' in answer
    assert ">2023-01-05</td>" in answer
    assert ">false</td>" in answer
    assert "Rows 1 to 6 of 6" in answer
    assert "Train a model" not in answer


def test_a_developer_is_offered_to_train_on_this_version(
    page_of: str, churn: DatasetVersion, as_developer: Any
) -> None:
    assert f"/o/acme/training/new/?version={churn.pk}" in text(as_developer.get(page_of))


def test_rows_are_paged_by_number(in_acme: Any, actor: Any, csv_file: Any, work: Any, as_owner: Any) -> None:
    lines = b"n\n" + b"".join(b"%d\n" % (number * 7) for number in range(120))
    version = services.create_dataset("long", csv_file(lines), by=actor)
    work()
    path = f"{LIST}{version.dataset_id}/"
    assert "?cursor=50" in text(as_owner.get(path))
    second = text(as_owner.get(path, {"cursor": "50"}))
    assert "Rows 51 to 100 of 120" in second
    assert ">350</td>" in second
    assert "?cursor=100" in second
    assert "?cursor=0" in second
    assert "Rows 101 to 120 of 120" in text(as_owner.get(path, {"cursor": "100"}))


def test_the_columns_tab_shows_each_columns_numbers(page_of: str, as_viewer: Any) -> None:
    answer = text(as_viewer.get(page_of, {"tab": "columns"}))
    assert "16.7%" in answer
    assert "42.33" in answer


def test_versions_are_listed_and_an_older_one_can_be_chosen(
    page_of: str, churn: DatasetVersion, actor: Any, csv_file: Any, work: Any, as_viewer: Any
) -> None:
    services.add_version(churn.dataset, csv_file(CUSTOMERS[: CUSTOMERS.index(b"C-06")]), by=actor)
    work()
    assert "2 of 2" in text(as_viewer.get(page_of))
    assert "1 of 2" in text(as_viewer.get(page_of, {"version": "1"}))
    assert text(as_viewer.get(page_of, {"tab": "versions"})).count("data-row-link") == 2
    assert as_viewer.get(page_of, {"version": "3"}).status_code == 404
    assert as_viewer.get(page_of, {"version": "x"}).status_code == 404


def test_a_version_that_is_being_read_shows_its_job_live(
    in_acme: Any, actor: Any, csv_file: Any, as_owner: Any, as_viewer: Any
) -> None:
    version = services.create_dataset("slow", csv_file(), by=actor)
    Job.objects.update(status="running", progress=0.42, step="Reading rows", lease_until="2099-01-01T00:00Z")
    path = f"{LIST}{version.dataset_id}/"
    answer = text(as_owner.get(path))
    assert f'data-live="dataset:{version.dataset_id} job:{version.job_id}"' in answer
    assert "42%" in answer
    assert "Reading rows" in answer
    assert f"/jobs/{version.job_id}/cancel/" in answer
    assert "/cancel/" not in text(as_viewer.get(path))


def test_a_failed_version_says_why_and_takes_a_corrected_file(
    in_acme: Any, actor: Any, csv_file: Any, work: Any, as_owner: Any, as_viewer: Any
) -> None:
    version = services.create_dataset("bad", csv_file(b"a,b\n1,2\n3\n"), by=actor)
    work()
    path = f"{LIST}{version.dataset_id}/"
    answer = text(as_owner.get(path))
    assert "Line 3 has 1 fields" in answer
    assert 'type="file"' in answer
    assert f"/jobs/{version.job_id}/retry/" in answer
    assert 'type="file"' not in text(as_viewer.get(path))
    posted = as_owner.post(f"{path}versions/new/", {"file": csv_file()})
    assert posted["Location"] == f"{path}?version=2"


def test_known_bytes_are_told_instead_of_added(page_of: str, as_developer: Any, csv_file: Any) -> None:
    answer = as_developer.post(f"{page_of}versions/new/", {"file": csv_file()})
    assert "These bytes are version 1 already; nothing was added." in after(as_developer, answer)


def test_a_dataset_is_renamed_and_described(page_of: str, as_developer: Any) -> None:
    answer = as_developer.post(f"{page_of}edit/", {"name": "leaving", "description": "Who left"})
    page = after(as_developer, answer)
    assert "leaving" in page
    assert "Who left" in page


def test_deleting_asks_for_the_name(page_of: str, as_developer: Any, in_acme: Any) -> None:
    refused = as_developer.post(f"{page_of}delete/", {"confirmation": "chur"})
    assert refused.status_code == 422
    assert Dataset.objects.count() == 1
    answer = as_developer.post(f"{page_of}delete/", {"confirmation": "churn"})
    assert "churn was deleted." in after(as_developer, answer)
    assert not Dataset.objects.exists()


def test_the_file_is_downloaded_as_it_was(churn: DatasetVersion, as_viewer: Any) -> None:
    answer = as_viewer.get(f"{LIST}versions/{churn.pk}/source/")
    assert b"".join(answer.streaming_content) == CUSTOMERS
    assert answer["Content-Security-Policy"] == "sandbox"


async def test_a_download_reaches_an_asgi_server_in_pieces(churn: DatasetVersion) -> None:
    from asgiref.sync import sync_to_async

    from apps.datasets import downloads

    response = await sync_to_async(downloads.source_response)(churn)
    response.block_size = 50
    pieces = [piece async for piece in response]
    assert b"".join(pieces) == CUSTOMERS
    assert {len(piece) for piece in pieces[:-1]} == {50}


def test_what_a_file_holds_is_never_markup(in_acme: Any, actor: Any, csv_file: Any, work: Any, as_owner: Any) -> None:
    evil = "<script>alert(1)</script>"
    version = services.create_dataset(
        evil, csv_file(f"{evil},b\n{evil},2\nx,3\n".encode(), name=f"{evil}.csv"), by=actor
    )
    work()
    path = f"{LIST}{version.dataset_id}/"
    for address in (LIST, path, f"{path}?tab=columns", f"{path}?tab=versions", f"{path}?tab=activity"):
        assert evil not in text(as_owner.get(address))
    assert "&lt;script&gt;" in text(as_owner.get(path))


def addresses(dataset_id: Any, version_id: Any) -> list[str]:
    page = f"{LIST}{dataset_id}/"
    return [page, f"{page}edit/", f"{page}versions/new/", f"{LIST}versions/{version_id}/source/"]


def test_another_organization_finds_nothing(churn: DatasetVersion, as_outsider: Any) -> None:
    for address in [LIST, NEW, *addresses(churn.dataset_id, churn.pk)]:
        assert as_outsider.get(address).status_code == 404, address
    for address in addresses(churn.dataset_id, churn.pk):
        assert as_outsider.get(address.replace("/o/acme/", "/o/globex/")).status_code == 404, address
    page = f"/o/globex/data/{churn.dataset_id}/delete/"
    assert as_outsider.post(page, {"confirmation": "churn"}).status_code == 404


def test_an_unknown_dataset_is_not_found(as_owner: Any) -> None:
    for address in addresses(uuid7(), uuid7()):
        assert as_owner.get(address).status_code == 404, address


def test_a_viewer_may_open_no_form_and_post_nothing(churn: DatasetVersion, as_viewer: Any, csv_file: Any) -> None:
    page = f"{LIST}{churn.dataset_id}/"
    for address in (NEW, f"{page}edit/", f"{page}versions/new/"):
        assert as_viewer.get(address).status_code == 403, address
    for address in (NEW, f"{page}edit/", f"{page}versions/new/", f"{page}delete/"):
        posted = as_viewer.post(address, {"file": csv_file(b"x\n1\n"), "name": "n", "confirmation": "churn"})
        assert posted.status_code == 403, address
    assert Dataset.objects.get().name == "churn"


def test_a_stranger_is_asked_to_sign_in(churn: DatasetVersion, client: Any) -> None:
    for address in [LIST, NEW, *addresses(churn.dataset_id, churn.pk)]:
        answer = client.get(address)
        assert (answer.status_code, answer["Location"][:16]) == (302, "/accounts/login/"), address
