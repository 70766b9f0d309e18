"""The pages of the second factor and of connections in a real browser: what they do, and that all can use them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from allauth.socialaccount.models import SocialAccount
from playwright.sync_api import Browser, expect

from apps.accounts import second_factor
from tests.accounts.test_passkeys import Device
from tests.browsing import judge, screen
from tests.stand_ins import github as stand_in
from tests.stand_ins.github import GitHub

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SCREENSHOTS = Path(__file__).resolve().parents[2] / "artifacts" / "screenshots" / "accounts"


@pytest.fixture
def github(settings: Any) -> Iterator[GitHub]:
    with stand_in.running() as running:
        settings.GITHUB_URL = running.url
        settings.GITHUB_CLIENT_ID = running.client_id
        settings.GITHUB_CLIENT_SECRET = running.client_secret
        policy = settings.CONTENT_SECURITY_POLICY
        directives = {**policy["DIRECTIVES"], "form-action": ["'self'", running.url]}
        settings.CONTENT_SECURITY_POLICY = {**policy, "DIRECTIVES": directives}
        yield running


@pytest.fixture
def device(browser: Browser, live_server: Any, acme: Any, github: GitHub) -> Iterator[Device]:
    device = Device(browser, live_server.url)
    yield device
    device.page.context.close()


def current_code(secret: str, later: int = 0) -> str:
    step = max(totp.yield_hotp_counters_from_time()) - 1 + later
    return totp.format_hotp_value(totp.hotp_value(secret, step))


def test_an_app_is_set_up_and_asked_for(device: Device, owner: Any, tmp_path: Path, mailoutbox: list[Any]) -> None:
    page = device.page
    device.sign_in(owner)
    device.open("/accounts/2fa/")
    page.get_by_role("link", name="Set up an app").click()
    assert page.locator(".qr").evaluate("image => image.complete && image.naturalWidth > 0")
    secret = str(page.locator("[data-copy-source]").text_content())
    page.get_by_label("Code the app shows now").fill("000")
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_text("This did not work")).to_be_visible()
    assert page.locator("[data-copy-source]").text_content() == secret
    page.get_by_label("Code the app shows now").fill(current_code(secret))
    page.get_by_role("button", name="Turn on").click()

    codes = str(page.locator("[data-copy-source]").text_content()).split()
    assert len(codes) == 10
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as text").click()
    download.value.save_as(tmp_path / "codes.txt")
    text = (tmp_path / "codes.txt").read_text()
    assert owner.email in text
    assert all(code in text for code in codes)
    page.reload()
    expect(page.get_by_text("10 of 10 are left")).to_be_visible()
    assert codes[0] not in page.content()

    device.sign_out()
    device.enter_password(owner)
    page.get_by_label("Code of your app, or a recovery code").fill(current_code(secret, later=1))
    page.get_by_role("button", name="Sign in", exact=True).click()
    device.arrive()
    assert device.complaints == []
    assert [mail.subject for mail in mailoutbox] == ["[Modelyard] Authenticator app added"]


def test_the_code_that_set_an_app_up_signs_nobody_in(device: Device, owner: Any) -> None:
    device.sign_in(owner)
    device.open("/accounts/2fa/totp/activate/")
    secret = str(device.page.locator("[data-copy-source]").text_content())
    code = current_code(secret)
    device.page.get_by_label("Code the app shows now").fill(code)
    device.page.get_by_role("button", name="Turn on").click()
    expect(device.page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    assert second_factor.spend(owner, code) is None


def test_github_is_one_click_from_the_sign_in_page(device: Device, github: GitHub) -> None:
    device.open("/accounts/login/")
    device.page.get_by_role("button", name="Continue with GitHub").click()
    device.page.wait_for_url(f"{github.url}/**")
    device.page.get_by_role("button", name="Authorize").click()
    device.page.wait_for_url(f"{device.url}/**")
    expect(device.page.locator("body")).not_to_contain_text("GitHub did not let you in")
    assert SocialAccount.objects.get().uid == "4711"
    assert device.complaints == []


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_every_page_is_accessible_and_fits(
    browser: Browser, live_server: Any, acme: Any, owner: Any, github: GitHub, width: int, theme: str
) -> None:
    device = Device(browser, live_server.url, **screen(width, theme))
    page = device.page

    def look(name: str, path: str = "") -> None:
        if path:
            device.open(path)
        page.screenshot(path=SCREENSHOTS / theme / str(width) / f"{name}.png", full_page=True)
        judge(page)

    look("sign-in", "/accounts/login/")
    device.sign_in(owner)
    look("empty", "/accounts/2fa/")
    look("no-passkeys", "/accounts/2fa/webauthn/")
    look("not-connected", "/accounts/3rdparty/")
    look("confirm-by-password", "/accounts/reauthenticate/")
    look("activate", "/accounts/2fa/totp/activate/")
    secret = str(page.locator("[data-copy-source]").text_content())
    page.get_by_role("button", name="Turn on").click()
    look("activate-refused")
    page.get_by_label("Code the app shows now").fill(current_code(secret))
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    look("recovery-codes")
    look("recovery-codes-later", "/accounts/2fa/recovery-codes/")
    look("recovery-codes-new", "/accounts/2fa/recovery-codes/generate/")
    look("passkey-add", "/accounts/2fa/webauthn/add/")
    page.get_by_label("Name").fill("Work laptop, left drawer")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("rowheader", name="Work laptop")).to_be_visible()
    for code in RecoveryCodes.activate(owner).generate_codes()[:8]:
        assert second_factor.spend(owner, code)
    look("full", "/accounts/2fa/")
    look("passkeys", "/accounts/2fa/webauthn/")
    page.get_by_role("link", name="Rename").click()
    look("passkey-edit")
    page.get_by_label("Name").fill("")
    page.get_by_role("button", name="Save").click()
    look("passkey-edit-refused")
    device.open("/accounts/2fa/webauthn/")
    page.get_by_role("link", name="Remove").click()
    look("passkey-remove")
    look("deactivate", "/accounts/2fa/totp/deactivate/")
    look("confirm-by-code", "/accounts/2fa/reauthenticate/")
    look("confirm-by-passkey", "/accounts/2fa/webauthn/reauthenticate/")
    SocialAccount.objects.create(user=owner, provider="github", uid="1", extra_data={"login": "octo"})
    look("connected", "/accounts/3rdparty/")
    look("connect", "/accounts/github/login/?process=connect")
    device.sign_out()
    look("github", "/accounts/github/login/")
    look("cancelled", "/accounts/3rdparty/login/cancelled/")
    look("github-refused", "/accounts/github/login/callback/?code=x&state=y")
    device.enter_password(owner)
    look("second-step")
    page.get_by_role("button", name="Sign in", exact=True).click()
    look("second-step-refused")
    device.sign_out()
    for name, is_verified in (("address-taken", True), ("github-sign-up", False)):
        github.person.id += 1
        github.person.email, github.person.is_verified = owner.email, is_verified
        device.open("/accounts/login/")
        page.get_by_role("button", name="Continue with GitHub").click()
        page.get_by_role("button", name="Authorize").click()
        page.wait_for_url(f"{device.url}/**")
        look(name)
    device.url = device.url.replace("localhost", "127.0.0.1")
    device.sign_out()
    look("sign-in-on-an-address", "/accounts/login/")
    device.page.context.close()
