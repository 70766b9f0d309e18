"""Where passkeys work: on the host name they belong to (their relying party), never on an IP address."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest

LOCALHOST = "localhost"


def relying_party() -> str:
    """The host of PUBLIC_URL; where that is an IP address, `localhost`."""
    host = urlsplit(settings.PUBLIC_URL).hostname or LOCALHOST
    return LOCALHOST if _address(host) else host


def work_here(request: HttpRequest) -> bool:
    host = urlsplit(f"//{request.get_host()}").hostname or ""
    return host == relying_party() or host.endswith(f".{relying_party()}")


def same_page_elsewhere(request: HttpRequest) -> str:
    """The address of this page where passkeys work; empty when this machine is not the reader's own."""
    here = urlsplit(f"//{request.get_host()}")
    if relying_party() != LOCALHOST:
        return settings.PUBLIC_URL + request.get_full_path()
    address = _address(here.hostname or "")
    if address is None or not address.is_loopback:
        return ""
    port = f":{here.port}" if here.port else ""
    return f"{request.scheme}://{LOCALHOST}{port}{request.get_full_path()}"


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
