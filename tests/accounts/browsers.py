"""What a person does in a browser before and while being signed in, for tests."""

from __future__ import annotations

import re
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.core import mail
from django.test import Client

from tests.factories.people import PASSWORD


def sign_in(browser: Client, email: str, password: str = PASSWORD, **options: Any) -> Any:
    return browser.post("/accounts/login/", {"login": email, "password": password}, **options)


def prove(browser: Client, answer: Any) -> Any:
    """Go on where `answer` asked for the password once more; what was asked for is then done."""
    assert answer["Location"].startswith("/accounts/reauthenticate/"), answer["Location"]
    return browser.post(answer["Location"], {"password": PASSWORD})


def is_signed_in(browser: Client) -> bool:
    return SESSION_KEY in browser.session


def mails_to(email: str) -> list[Any]:
    return [message for message in mail.outbox if message.to == [email]]


def link_in(message: Any) -> str:
    """The one link of a mail."""
    (url,) = set(re.findall(r"https?://\S+", message.body))
    return url


def path_of(url: str) -> str:
    return re.sub(r"^https?://[^/]+", "", url)
