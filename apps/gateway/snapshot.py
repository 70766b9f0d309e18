"""The gateway section of the data plane's snapshot."""

from __future__ import annotations

from typing import Any


def compile_section() -> dict[str, dict[str, Any]]:
    return {"upstreams": {}, "routes": {}, "keys": {}}
