"""What happens to pages that are open while their session ends."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.totp.internal import auth as totp
from asgiref.sync import sync_to_async
from channels_redis.pubsub import RedisPubSubLoopLayer
from django.conf import settings
from django.test import Client

from apps.accounts import second_factor
from apps.accounts.models import Session, User
from apps.accounts.sessions import key_hash
from apps.core import live
from apps.core.consumers import COME_AGAIN
from apps.organizations.models import Organization
from apps.organizations.sockets import NOT_FOUND
from tests.accounts.browsers import sign_in
from tests.core.sockets import Socket
from tests.factories.people import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "console"])


@sync_to_async
def signed_in(user: Any) -> Client:
    browser = Client()
    sign_in(browser, user.email)
    return browser


def key_of(browser: Client) -> str:
    return browser.cookies[settings.SESSION_COOKIE_NAME].value


async def open_page(browser: Client) -> Socket:
    socket = Socket("acme", browser)
    await socket.connect()
    return socket


async def hears(socket: Socket) -> bool:
    await socket.send({"subscribe": ["jobs"]})
    return bool(await socket.receive() == {"subscribed": ["jobs"]})


async def assert_out(socket: Socket, browser: Client) -> None:
    """The open page was closed, and is not let in again."""
    assert await socket.closed_with() == COME_AGAIN
    again = await open_page(browser)
    assert await again.closed_with() == NOT_FOUND


async def assert_comes_back(socket: Socket, browser: Client) -> None:
    """The open page was closed too, for it is told by person; it is let in again."""
    assert await socket.closed_with() == COME_AGAIN
    again = await open_page(browser)
    assert await hears(again)
    await again.close()


async def test_a_session_ended_from_elsewhere_closes_its_pages(acme: Any, viewer: Any) -> None:
    lost, mine = await signed_in(viewer), await signed_in(viewer)
    lost_page, my_page = await open_page(lost), await open_page(mine)
    assert await hears(lost_page)
    row = await Session.objects.aget(key_hash=key_hash(key_of(lost)))
    await sync_to_async(mine.post)(f"/accounts/sessions/{row.id}/end/")
    await assert_out(lost_page, lost)
    await assert_comes_back(my_page, mine)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/accounts/logout/", {}),
        ("/accounts/sessions/end/", {"scope": "all"}),
    ],
)
async def test_logging_out_closes_ones_own_pages(path: str, body: dict[str, str], acme: Any, viewer: Any) -> None:
    browser = await signed_in(viewer)
    page, copied = await open_page(browser), Client()
    copied.cookies[settings.SESSION_COOKIE_NAME] = key_of(browser)
    await sync_to_async(browser.post)(path, body)
    await assert_out(page, copied)


async def test_a_new_password_closes_the_pages_of_other_browsers(acme: Any, viewer: Any) -> None:
    other, mine = await signed_in(viewer), await signed_in(viewer)
    other_page = await open_page(other)
    new = "another horse battery"
    body = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    await sync_to_async(mine.post)("/accounts/password/change/", body)
    await assert_out(other_page, other)


async def test_deactivating_somebody_closes_their_pages_and_ends_their_sessions(acme: Any, viewer: Any) -> None:
    browser, console = await signed_in(viewer), Client()
    page = await open_page(browser)
    operator = await sync_to_async(User.objects.create_superuser)("operator@modelyard.test", PASSWORD)
    await sync_to_async(console.force_login)(operator)
    await sync_to_async(console.post)(f"/admin/accounts/user/{viewer.pk}/change/", {"name": "Vera"})
    await assert_out(page, browser)
    assert not await Session.objects.filter(user=viewer).aexists()


@sync_to_async
def with_a_factor_where_it_is_required(organization: Any, user: User) -> Client:
    browser = Client()
    sign_in(browser, user.email)
    browser.post("/accounts/reauthenticate/", {"password": PASSWORD})
    totp.TOTP.activate(user, totp.generate_totp_secret())
    Organization.objects.filter(pk=organization.pk).update(requires_second_factor=True)
    return browser


async def test_removing_the_second_factor_closes_pages_that_require_it(acme: Any, viewer: Any) -> None:
    browser = await with_a_factor_where_it_is_required(acme, viewer)
    page = await open_page(browser)
    assert await hears(page)
    await sync_to_async(browser.post)("/accounts/2fa/totp/deactivate/")
    await assert_out(page, browser)


async def test_the_operator_who_removes_a_second_factor_closes_them_too(acme: Any, viewer: Any) -> None:
    browser = await with_a_factor_where_it_is_required(acme, viewer)
    page = await open_page(browser)
    assert await hears(page)
    await sync_to_async(second_factor.remove)(viewer)
    await assert_out(page, browser)


async def test_s1_a_session_that_ends_during_the_handshake_hears_nothing(
    acme: Any, viewer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await signed_in(viewer)
    join = RedisPubSubLoopLayer.group_add

    async def join_late(layer: RedisPubSubLoopLayer, group: str, channel: str) -> None:
        await Session.objects.filter(user=viewer).adelete()
        await sync_to_async(live.disconnect)(viewer.pk)
        await join(layer, group, channel)

    monkeypatch.setattr(RedisPubSubLoopLayer, "group_add", join_late)
    page = await open_page(browser)
    assert await page.closed_with() == COME_AGAIN
