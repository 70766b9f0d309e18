"""What a browser calls itself, in two words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.accounts.devices import device, is_phone

WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {BLINK} Chrome/141.0.0.0 Safari/537.36", "Chrome on Windows"),
        (f"Mozilla/5.0 (Windows NT 10.0) {BLINK} Chrome/141.0 Safari/537.36 Edg/141.0", "Edge on Windows"),
        (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Version/18.5 Safari/605.1.15", "Safari on macOS"),
        (
            f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) {WEBKIT} Version/18.5 Safari/604.1",
            "Safari on iPhone",
        ),
        (f"Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) {WEBKIT} CriOS/141.0 Safari/604.1", "Chrome on iPad"),
        (
            f"Mozilla/5.0 (Linux; Android 15; SM-S921B) {BLINK} SamsungBrowser/28.0 Chrome/130.0",
            "Samsung Internet on Android",
        ),
        (f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {BLINK} Chrome/141.0.0.0 Safari/537.36", "Chrome on ChromeOS"),
        (f"Mozilla/5.0 (Windows NT 10.0) {BLINK} Chrome/140.0 Safari/537.36 OPR/124.0", "Opera on Windows"),
        ("curl/8.14.1", "curl"),
        ("python-requests/2.32", "Python"),
        ("", "Unknown browser"),
    ],
)
def test_common_browsers_are_told_apart(agent: str, name: str) -> None:
    assert device(agent) == name


def test_a_phone_is_a_phone() -> None:
    assert is_phone("Mozilla/5.0 (Linux; Android 15; Pixel 9)")
    assert not is_phone("Mozilla/5.0 (X11; Linux x86_64)")


@given(st.text())
def test_whatever_it_says_it_has_a_name(agent: str) -> None:
    assert device(agent)
