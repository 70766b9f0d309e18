"""Logs stay small, and keep their end."""

from __future__ import annotations

from pathlib import Path

from workers.supervisor import logs
from workers.supervisor.terminal import tail


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("short\n")
    logs.rotate(log, max_bytes=100)
    assert [file.name for file in tmp_path.iterdir()] == ["web.log"]


def test_a_large_log_moves_up_and_the_oldest_is_dropped(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    for text in ("first", "second", "third", "fourth"):
        log.write_text(text)
        logs.rotate(log, max_bytes=1, kept=3)
    kept = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert kept == {"web.log": "", "web.log.1": "fourth", "web.log.2": "third", "web.log.3": "second"}


def test_a_program_goes_on_writing_to_the_log_it_opened(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with log.open("a") as held:
        held.write("before")
        held.flush()
        logs.rotate(log, max_bytes=1)
        held.write("after")
    assert log.read_text() == "after"


def test_the_tail_is_the_end(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    assert tail(log, lines=2) == "line 98\nline 99"
    assert tail(tmp_path / "absent.log") == ""
