"""What stands beside the title of a page is renewed together with a live part that the page itself answers."""

from __future__ import annotations

from pathlib import Path

import pytest

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
RENEWED = 'hx-get="{{ request.'
LIVE_WITH_STATUS = [
    path
    for path in sorted(TEMPLATES.glob("*/*.html"))
    if path.parent.name != "core" and "{% block status %}" in (text := path.read_text()) and RENEWED in text
]


@pytest.mark.parametrize("path", LIVE_WITH_STATUS, ids=lambda path: path.stem)
def test_the_status_beside_the_title_follows_live(path: Path) -> None:
    assert 'hx-select-oob="#page-status"' in path.read_text()


def test_there_are_such_pages() -> None:
    assert {path.stem for path in LIVE_WITH_STATUS} >= {"webhook_delivery", "webhook_detail", "token_detail"}
