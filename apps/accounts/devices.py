"""What a browser says it is, in two words. A guess for a person who looks at a list; nothing is decided by it."""

from __future__ import annotations

import re

# Order decides: Edge and Opera also call themselves Chrome, and everything based on Chrome also Safari.
BROWSERS = (
    (r"Edg(?:e|A|iOS)?/", "Edge"),
    (r"OPR/|Opera", "Opera"),
    (r"SamsungBrowser/", "Samsung Internet"),
    (r"Firefox/|FxiOS/", "Firefox"),
    (r"Chrome/|Chromium/|CriOS/", "Chrome"),
    (r"Version/\S+ .*Safari/", "Safari"),
    (r"curl/", "curl"),
    (r"python|aiohttp|httpx", "Python"),
)
SYSTEMS = (
    (r"iPhone|iPod", "iPhone"),
    (r"iPad", "iPad"),
    (r"Android", "Android"),
    (r"Windows", "Windows"),
    (r"Macintosh|Mac OS X", "macOS"),
    (r"CrOS", "ChromeOS"),
    (r"Linux", "Linux"),
)
PHONES = {"iPhone", "iPad", "Android"}


def device(agent: str) -> str:
    """`Firefox on Linux`, as far as `agent`, a User-Agent header, tells."""
    browser, system = _first(BROWSERS, agent), _first(SYSTEMS, agent)
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or "Unknown browser"


def is_phone(agent: str) -> bool:
    return _first(SYSTEMS, agent) in PHONES


def _first(names: tuple[tuple[str, str], ...], agent: str) -> str:
    return next((name for pattern, name in names if re.search(pattern, agent, re.IGNORECASE)), "")
