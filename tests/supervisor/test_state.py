"""What an installation remembers, and who may read it."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st

from workers.supervisor import ports
from workers.supervisor.environment import Misconfigured, install, quoted
from workers.supervisor.ports import PortTaken
from workers.supervisor.programs import Sockets, application_programs, port_of
from workers.supervisor.state import State


@pytest.fixture
def state(tmp_path: Path) -> State:
    made = State(tmp_path / "state", tmp_path / "services")
    made.make()
    return made


def again(state: State) -> State:
    """The same folders, as the next run sees them."""
    return State(state.folder, state.services)


def test_ports_and_secrets_are_remembered(state: State) -> None:
    port, secret = state.port("postgres"), state.secret("key")
    assert again(state).port("postgres") == port
    assert again(state).secret("key") == secret


def test_two_services_never_share_a_port_or_a_secret(state: State) -> None:
    assert state.port("postgres") != state.port("valkey")
    assert state.secret("one") != state.secret("other")


def test_a_port_that_somebody_took_is_replaced_for_good(state: State) -> None:
    with ports.listen(state.port("public")) as other:
        taken = other.getsockname()[1]
        chosen = state.port("public")
    assert chosen != taken
    assert again(state).port("public") == chosen


def test_ports_stay_below_the_ephemeral_range(state: State) -> None:
    assert state.port("postgres") < 32_768


def test_a_taken_port_is_refused_by_name(state: State) -> None:
    with ports.listen(state.port("public")) as other, pytest.raises(PortTaken, match=str(other.getsockname()[1])):
        ports.listen(other.getsockname()[1])


def test_only_the_user_reads_the_state(state: State) -> None:
    installation = install(state, {}, 1, 3)
    installation.write_env_file()
    for path, mode in ((state.folder, 0o700), (state.folder / "env", 0o600), (state.folder / "state.json", 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_the_env_file_says_what_the_processes_are_told(state: State) -> None:
    installation = install(state, {}, 1, 3)
    installation.write_env_file()
    assert dotenv_values(state.folder / "env") == installation.variables


@given(st.text(st.characters(exclude_characters="\0\n\r${}", exclude_categories=["Cs"])))
def test_any_value_survives_the_env_file(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    file = tmp_path_factory.mktemp("env") / "env"
    file.write_text(f"NAME={quoted(value)}\n")
    assert dotenv_values(file)["NAME"] == value


def test_an_existing_service_is_used_instead_of_an_embedded_one(state: State) -> None:
    names = (
        "DATABASE_URL",
        "DATABASE_OWNER_URL",
        "DATABASE_CONSOLE_URL",
        "DATABASE_SINK_URL",
        "REDIS_URL",
        "STORAGE_URL",
    )
    environ = {name: f"scheme://elsewhere/{name}" for name in names}
    installation = install(state, environ, 1, 3)
    assert installation.postgres is None
    assert installation.valkey is None
    assert {name: installation.variables[name] for name in names} == environ


def test_half_an_existing_database_is_refused(state: State) -> None:
    with pytest.raises(Misconfigured, match="DATABASE_CONSOLE_URL, DATABASE_OWNER_URL, DATABASE_SINK_URL"):
        install(state, {"DATABASE_URL": "postgresql://elsewhere/db"}, 1, 3)


def test_the_model_server_can_be_left_out(state: State) -> None:
    assert install(state, {"LLM": "off"}, 1, 3).variables["LLM_URL"] == ""
    assert install(state, {}, 1, 3).variables["LLM_URL"].endswith(":3/v1")


def test_a_model_server_elsewhere_is_used_instead_of_the_local_one(state: State) -> None:
    with closing_sockets() as sockets:
        own = port_of(sockets.llm)
        local = install(state, {}, 1, own).variables
        elsewhere = install(state, {"LLM_URL": "http://elsewhere/v1"}, 1, own).variables
        assert "llm" in {program.name for program in application_programs(local, sockets)}
        assert "llm" not in {program.name for program in application_programs(elsewhere, sockets)}


@contextmanager
def closing_sockets() -> Iterator[Sockets]:
    sockets = Sockets(*(ports.listen(ports.choose(taken=set())) for _ in range(3)))
    yield sockets
    sockets.close()
