"""Passkeys in a real browser with a virtual authenticator, on the name `localhost`; and nonsense in their place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client, RequestFactory
from playwright.sync_api import Browser, Page, expect

from apps.accounts import passkeys
from tests.browsing import open_page
from tests.factories.people import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


class Device:
    """A person's browser with an authenticator in it, and what its policy refused on the way."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.url = url
        self.page: Page = open_page(browser, "about:blank", **options)
        self.page.add_init_script(
            "addEventListener('securitypolicyviolation', (e) => console.error('refused ' + e.violatedDirective))"
        )
        self.complaints: list[str] = []
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.protocol = self.page.context.new_cdp_session(self.page)
        self.protocol.send("WebAuthn.enable")
        added = self.protocol.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        self.authenticator = added["authenticatorId"]

    def _listen(self, message: Any) -> None:
        if message.type == "error" and message.text.startswith("refused"):
            self.complaints.append(message.text)

    def verify_user(self, is_verified: bool) -> None:
        options = {"authenticatorId": self.authenticator, "isUserVerified": is_verified}
        self.protocol.send("WebAuthn.setUserVerified", options)

    def credentials(self) -> list[Any]:
        return self.protocol.send("WebAuthn.getCredentials", {"authenticatorId": self.authenticator})["credentials"]

    def open(self, path: str) -> None:
        self.page.goto(self.url + path)

    def arrive(self, path: str = "/o/acme/") -> None:
        self.page.wait_for_url(self.url + path)

    def enter_password(self, person: Any) -> None:
        self.open("/accounts/login/")
        self.page.get_by_label("Email").fill(person.email)
        self.page.locator("input[name=password]").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in", exact=True).click()

    def sign_in(self, person: Any) -> None:
        self.enter_password(person)
        self.arrive()

    def add_passkey(self, name: str, *, alone: bool) -> None:
        self.open("/accounts/2fa/webauthn/add/")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Sign in with it alone").set_checked(alone)
        self.page.get_by_role("button", name="Add a passkey").click()
        expect(self.page.get_by_role("heading", name="Recovery codes")).to_be_visible()

    def sign_out(self) -> None:
        self.page.context.clear_cookies()


@pytest.fixture
def device(browser: Browser, live_server: Any, acme: Any) -> Iterator[Device]:
    device = Device(browser, live_server.url)
    yield device
    device.page.context.close()


def test_a_passkey_signs_in_without_a_password(device: Device, owner: Any) -> None:
    device.sign_in(owner)
    device.add_passkey("Laptop", alone=True)
    [credential] = device.credentials()
    assert credential["isResidentCredential"]
    assert credential["rpId"] == "localhost"
    device.sign_out()

    device.open("/accounts/login/?next=/o/acme/jobs/")
    device.page.get_by_role("button", name="Sign in with a passkey").click()
    device.arrive("/o/acme/jobs/")
    assert Authenticator.objects.get(type="webauthn").last_used_at is not None
    assert device.complaints == []


def test_a_passkey_that_does_not_know_its_user_does_not_sign_in_alone(device: Device, owner: Any) -> None:
    device.sign_in(owner)
    device.add_passkey("Laptop", alone=True)
    device.sign_out()
    device.verify_user(False)
    device.open("/accounts/login/")
    device.page.get_by_role("button", name="Sign in with a passkey").click()
    expect(device.page.get_by_text("Nothing was confirmed")).to_be_visible()
    assert device.page.url.endswith("/accounts/login/")


def test_a_passkey_is_the_second_step_after_the_password(device: Device, owner: Any) -> None:
    device.sign_in(owner)
    device.add_passkey("Blue key", alone=False)
    [credential] = device.credentials()
    assert not credential["isResidentCredential"]
    device.sign_out()

    device.enter_password(owner)
    expect(device.page.get_by_role("heading", name="Second step")).to_be_visible()
    device.open("/o/acme/")
    expect(device.page.get_by_role("heading", name="Second step")).to_be_visible()
    device.page.get_by_role("button", name="Use a passkey").click()
    device.arrive()
    assert device.complaints == []


def test_a_recovery_code_replaces_a_lost_passkey(device: Device, owner: Any) -> None:
    device.sign_in(owner)
    device.add_passkey("Blue key", alone=False)
    code = str(device.page.locator("[data-copy-source]").text_content()).split()[0]
    device.sign_out()
    device.enter_password(owner)
    device.page.get_by_label("Code of your app, or a recovery code").fill(code)
    device.page.get_by_role("button", name="Sign in", exact=True).click()
    device.arrive()


def test_a_passkey_is_renamed_and_removed(device: Device, owner: Any, mailoutbox: list[Any]) -> None:
    device.sign_in(owner)
    device.add_passkey("Laptop", alone=True)
    device.open("/accounts/2fa/")
    device.page.get_by_role("link", name="Rename Laptop").click()
    device.page.get_by_label("Name").fill("<b>Old</b> laptop")
    device.page.get_by_role("button", name="Save").click()
    expect(device.page.get_by_role("rowheader", name="<b>Old</b> laptop")).to_be_visible()
    device.page.get_by_role("link", name="Remove <b>Old</b> laptop").click()
    device.page.get_by_role("button", name="Remove the passkey").click()
    expect(device.page.get_by_text("No passkeys yet")).to_be_visible()
    assert not Authenticator.objects.exists()
    assert [mail.subject for mail in mailoutbox] == ["[Modelyard] Passkey added", "[Modelyard] Passkey removed"]
    device.sign_out()
    device.open("/accounts/login/")
    device.page.get_by_role("button", name="Sign in with a passkey").click()
    expect(device.page.get_by_text("This did not work").first).to_be_visible()


def test_a_device_that_has_a_passkey_makes_no_second_one(device: Device, owner: Any) -> None:
    device.sign_in(owner)
    device.add_passkey("Laptop", alone=True)
    device.open("/accounts/2fa/webauthn/add/")
    device.page.get_by_role("button", name="Add a passkey").click()
    expect(device.page.get_by_text("already has a passkey")).to_be_visible()
    assert Authenticator.objects.filter(type="webauthn").count() == 1


def test_a_passkey_confirms_who_one_is(device: Device, owner: Any) -> None:
    device.sign_in(owner)
    device.add_passkey("Laptop", alone=True)
    device.sign_out()
    device.open("/accounts/login/")
    device.page.get_by_role("button", name="Sign in with a passkey").click()
    device.arrive()
    device.open("/accounts/reauthenticate/?next=/accounts/2fa/recovery-codes/generate/")
    device.page.get_by_role("link", name="Use a passkey").click()
    device.page.get_by_role("button", name="Use a passkey").click()
    expect(device.page.get_by_role("heading", name="Make new recovery codes?")).to_be_visible()
    assert device.complaints == []


def test_an_answer_that_was_recorded_signs_in_nobody(device: Device, owner: Any) -> None:
    device.sign_in(owner)
    device.add_passkey("Laptop", alone=True)
    device.sign_out()
    device.open("/accounts/login/")
    with device.page.expect_request(lambda request: request.method == "POST") as sent:
        device.page.get_by_role("button", name="Sign in with a passkey").click()
    device.arrive()
    recorded = sent.value.post_data_json
    thief = Client()
    thief.get("/accounts/2fa/webauthn/login/", headers={"Accept": "application/json"})
    thief.post("/accounts/2fa/webauthn/login/", {"credential": recorded["credential"]})
    assert "_auth_user_id" not in thief.session


# On an IP address


def test_on_an_ip_address_the_page_says_where_passkeys_work(device: Device, owner: Any) -> None:
    device.url = device.url.replace("localhost", "127.0.0.1")
    device.open("/accounts/login/")
    expect(device.page.get_by_text("this opens localhost:")).to_be_visible()
    device.page.get_by_role("link", name="Sign in with a passkey").click()
    device.page.wait_for_url("http://localhost:*/accounts/login/")
    device.sign_in(owner)
    for path in ("/accounts/2fa/", "/accounts/2fa/webauthn/", "/accounts/2fa/webauthn/add/"):
        device.open(path)
        expect(device.page.get_by_text("Passkeys do not work at this address")).to_be_visible()
        expect(device.page.get_by_role("link", name="Add a passkey")).to_have_count(0)
        link = device.page.get_by_role("link", name="Open this page where they work")
        assert str(link.get_attribute("href")).endswith(path)
        assert str(link.get_attribute("href")).startswith("http://localhost:")
    device.page.get_by_role("link", name="Cancel").click()
    device.arrive("/accounts/2fa/")


@pytest.mark.parametrize(
    ("public_url", "host", "party", "works", "elsewhere"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", "localhost", False, "http://localhost:8000/x/?a=1"),
        ("http://127.0.0.1:8000", "localhost:8000", "localhost", True, None),
        ("http://[::1]:8000", "[::1]:8000", "localhost", False, "http://localhost:8000/x/?a=1"),
        ("http://192.0.2.7:8000", "192.0.2.7:8000", "localhost", False, ""),
        ("https://ml.example.com", "ml.example.com", "ml.example.com", True, None),
        ("https://ml.example.com", "127.0.0.1:8000", "ml.example.com", False, "https://ml.example.com/x/?a=1"),
        ("https://ml.example.com", "notml.example.com", "ml.example.com", False, "https://ml.example.com/x/?a=1"),
    ],
)
def test_where_passkeys_work(
    public_url: str, host: str, party: str, works: bool, elsewhere: str | None, settings: Any
) -> None:
    settings.PUBLIC_URL = public_url
    request = RequestFactory().get("/x/?a=1", headers={"host": host})
    assert passkeys.relying_party() == party
    assert passkeys.work_here(request) is works
    if elsewhere is not None:
        assert passkeys.same_page_elsewhere(request) == elsewhere


# Nonsense

PUBLIC_KEY = {"id": "YQ", "rawId": "YQ", "type": "public-key"}
NONSENSE = [
    *("", "null", "5", "[]", "{}", '"text"', '{"id": 1}'),
    json.dumps({**PUBLIC_KEY, "response": []}),
    json.dumps({**PUBLIC_KEY, "response": {"clientDataJSON": "!!", "attestationObject": "!!"}}),
    json.dumps({**PUBLIC_KEY, "response": {"clientDataJSON": "e30", "attestationObject": "oA"}}),
    json.dumps(
        {
            **PUBLIC_KEY,
            "response": {
                "clientDataJSON": "e30",
                "authenticatorData": "A" * 50,
                "signature": "AAAA",
                "userHandle": "YQ",
            },
        }
    ),
    json.dumps(
        {**PUBLIC_KEY, "response": {"clientDataJSON": "e30", "authenticatorData": "A" * 43 + "B", "signature": "AA"}}
    ),
]


@pytest.mark.parametrize("credential", NONSENSE)
def test_nonsense_is_refused_and_no_error(credential: str, owner: Any, client: Client) -> None:
    login = "/accounts/2fa/webauthn/login/"
    client.get(login, headers={"Accept": "application/json"})
    assert client.post(login, {"credential": credential}).status_code == 302
    assert "_auth_user_id" not in client.session
    client.post("/accounts/login/", {"login": owner.email, "password": PASSWORD})
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    add = "/accounts/2fa/webauthn/add/"
    assert client.get(add).status_code == 200
    assert client.post(add, {"credential": credential, "name": "x"}).status_code == 200
    assert not Authenticator.objects.exists()
