"""Sessions: kept so that a dump is worth nothing, listed for their person, and ended from anywhere."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from apps.accounts import services
from apps.accounts.models import Session
from apps.accounts.sessions import SessionStore, key_hash
from tests.factories.people import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def person(db: None) -> Any:
    return UserFactory(email="person@example.test")


def browser_of(user: Any, **meta: Any) -> Client:
    browser = Client(**meta)
    browser.force_login(user)
    browser.get("/accounts/sessions/")
    return browser


def key_of(browser: Client) -> str:
    return browser.cookies[settings.SESSION_COOKIE_NAME].value


def is_signed_in(browser: Client) -> bool:
    return browser.get("/accounts/profile/").status_code == 200


class TestEngine:
    def test_what_is_saved_is_read_again(self) -> None:
        store = SessionStore()
        store["colour"] = "blue"
        store.save()
        again = SessionStore(store.session_key)
        assert (again["colour"], again.session_key) == ("blue", store.session_key)

    def test_s3_a_dump_holds_neither_a_key_nor_a_content(self) -> None:
        store = SessionStore()
        store["secret"] = "pineapple"
        store.save()
        with connection.cursor() as cursor:
            cursor.execute("SELECT accounts_session::text FROM accounts_session")
            (dump,) = cursor.fetchone()
        with connection.cursor() as cursor:
            cursor.execute("SELECT content FROM accounts_session")
            (content,) = cursor.fetchone()
        assert store.session_key not in dump
        assert b"pineapple" not in bytes(content)

    def test_s3_content_that_was_moved_to_another_session_is_no_session(self) -> None:
        rich, poor = SessionStore(), SessionStore()
        rich["is_rich"] = True
        rich.save()
        poor.save()
        stolen = Session.objects.get(key_hash=key_hash(rich.session_key or "")).content
        Session.objects.filter(key_hash=key_hash(poor.session_key or "")).update(content=stolen)
        assert "is_rich" not in SessionStore(poor.session_key)

    def test_a_key_nobody_gave_out_is_not_adopted(self) -> None:
        store = SessionStore("planted-by-somebody-else-0123456")
        store["basket"] = 1
        store.save()
        assert store.session_key != "planted-by-somebody-else-0123456"

    def test_an_expired_session_is_empty_and_is_cleared(self) -> None:
        store = SessionStore()
        store["colour"] = "blue"
        store.set_expiry(timezone.now() - timedelta(seconds=1))
        store.save()
        assert "colour" not in SessionStore(store.session_key)
        call_command("clearsessions")
        assert not Session.objects.exists()

    def test_cycling_keeps_the_content_under_a_new_key_and_ends_the_old_one(self) -> None:
        store = SessionStore()
        store["colour"] = "blue"
        store.save()
        old = store.session_key or ""
        store.cycle_key()
        store.save()
        assert SessionStore(store.session_key)["colour"] == "blue"
        assert not SessionStore().exists(old)

    def test_flushing_leaves_nothing(self) -> None:
        store = SessionStore()
        store["colour"] = "blue"
        store.save()
        key = store.session_key or ""
        store.flush()
        assert store.session_key is None
        assert store.is_empty()
        assert not store.exists(key)

    def test_saving_what_was_ended_meanwhile_does_not_bring_it_back(self) -> None:
        store = SessionStore()
        store.save()
        other = SessionStore(store.session_key)
        other["colour"] = "blue"
        store.delete()
        with pytest.raises(UpdateError):
            other.save()
        assert not Session.objects.exists()

    @pytest.mark.django_db(transaction=True)
    async def test_the_contract_holds_without_blocking_too(self) -> None:
        store = SessionStore()
        await store.aset("colour", "blue")
        await store.asave()
        again = SessionStore(store.session_key)
        assert await again.aget("colour") == "blue"
        await again.acycle_key()
        await again.asave()
        assert not await store.aexists(store.session_key or "")
        assert await SessionStore(again.session_key).aload() == {"colour": "blue"}
        await again.aflush()
        assert not await Session.objects.aexists()
        await SessionStore.aclear_expired()


def test_a_session_knows_its_person_address_and_browser(person: Any) -> None:
    browser = browser_of(person, REMOTE_ADDR="203.0.113.7", HTTP_USER_AGENT=FIREFOX)
    row = Session.objects.get(key_hash=key_hash(key_of(browser)))
    row.last_seen_at = timezone.now() - timedelta(minutes=5)
    row.save()
    browser.get("/accounts/sessions/")
    row.refresh_from_db()
    assert (row.user, row.address, row.agent) == (person, "203.0.113.7", FIREFOX)
    assert timezone.now() - row.last_seen_at < timedelta(minutes=1)


def test_being_seen_is_written_at_most_once_a_minute(person: Any) -> None:
    browser = browser_of(person)
    seen = Session.objects.get(user=person).last_seen_at
    browser.get("/accounts/sessions/")
    assert Session.objects.get(user=person).last_seen_at == seen


def test_the_list_shows_where_one_is_signed_in_and_nobody_elses(person: Any) -> None:
    browser_of(person, HTTP_USER_AGENT="curl/8.0", REMOTE_ADDR="198.51.100.4")
    browser_of(UserFactory(), HTTP_USER_AGENT="Opera/9.80 (Windows NT 6.1)")
    page = browser_of(person, HTTP_USER_AGENT=FIREFOX).get("/accounts/sessions/").content.decode()
    assert "Firefox on Linux" in page
    assert "198.51.100.4" in page
    assert "Opera" not in page
    assert page.count("This one") == 1


@pytest.mark.parametrize("others", [1, 3])
def test_the_list_costs_the_same_however_long(others: int, person: Any, django_assert_num_queries: Any) -> None:
    for _ in range(others):
        browser_of(person)
    browser = browser_of(person)
    with django_assert_num_queries(6):
        browser.get("/accounts/sessions/")


def test_one_browser_is_logged_out_from_another(person: Any) -> None:
    lost, mine = browser_of(person), browser_of(person)
    row = Session.objects.get(key_hash=key_hash(key_of(lost)))
    answer = mine.post(f"/accounts/sessions/{row.id}/end/")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/sessions/")
    assert not is_signed_in(lost)
    assert is_signed_in(mine)


def test_s1_nobody_ends_somebody_elses_session(person: Any) -> None:
    victim = browser_of(person)
    row = Session.objects.get(user=person)
    assert browser_of(UserFactory()).post(f"/accounts/sessions/{row.id}/end/").status_code == 404
    assert Client().post(f"/accounts/sessions/{row.id}/end/").status_code == 302
    assert is_signed_in(victim)


def test_all_others_or_all_are_logged_out(person: Any) -> None:
    stranger, other, mine = browser_of(UserFactory()), browser_of(person), browser_of(person)
    mine.post("/accounts/sessions/end/")
    assert (is_signed_in(other), is_signed_in(mine)) == (False, True)
    assert mine.post("/accounts/sessions/end/", {"scope": "all"})["Location"] == "/accounts/login/"
    assert not is_signed_in(mine)
    assert is_signed_in(stranger)


def test_a_new_password_logs_out_every_other_browser(person: Any) -> None:
    other, mine = browser_of(person), browser_of(person)
    answer = mine.post(
        "/accounts/password/change/",
        {"oldpassword": PASSWORD, "password1": "another horse battery", "password2": "another horse battery"},
    )
    assert answer.status_code == 302, answer.content
    assert is_signed_in(mine)
    assert not is_signed_in(other)
    assert Session.objects.filter(user=person).count() == 1


def test_whoever_signs_in_gets_a_new_key_and_a_planted_one_is_worth_nothing(person: Any) -> None:
    browser = Client()
    browser.get("/accounts/login/")
    browser.session.save()
    planted = SessionStore()
    planted["planted"] = True
    planted.save()
    browser.cookies[settings.SESSION_COOKIE_NAME] = planted.session_key or ""
    browser.post("/accounts/login/", {"login": person.email, "password": PASSWORD})
    assert is_signed_in(browser)
    assert key_of(browser) != planted.session_key
    assert not SessionStore().exists(planted.session_key or "")


def test_logging_out_ends_the_session_itself(person: Any) -> None:
    browser = browser_of(person)
    key = key_of(browser)
    browser.post("/accounts/logout/")
    thief = Client()
    thief.cookies[settings.SESSION_COOKIE_NAME] = key
    assert not is_signed_in(thief)
    assert not SessionStore().exists(key)


def test_s9_the_cookie_is_out_of_reach_of_scripts_and_other_sites(person: Any) -> None:
    browser = Client()
    browser.post("/accounts/login/", {"login": person.email, "password": PASSWORD})
    cookie = browser.cookies[settings.SESSION_COOKIE_NAME]
    assert (bool(cookie["httponly"]), cookie["samesite"], cookie["path"]) == (True, "Lax", "/")


def test_old_sessions_and_mails_are_forgotten(person: Any) -> None:
    browser = browser_of(person)
    Session.objects.update(expires_at=timezone.now())
    services.forget_old()
    assert not Session.objects.exists()
    assert not is_signed_in(browser)
