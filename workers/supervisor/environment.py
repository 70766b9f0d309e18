"""The variables every process gets, and the services they name. What the person set stands for what is embedded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workers.supervisor.ports import HOST
from workers.supervisor.postgres import Postgres
from workers.supervisor.provision import Roles
from workers.supervisor.state import State, write_private
from workers.supervisor.valkey import Valkey

DATABASE = "modelyard"
DATABASE_URLS = {
    "DATABASE_URL": "runtime",
    "DATABASE_OWNER_URL": "owner",
    "DATABASE_CONSOLE_URL": "console",
    "DATABASE_SINK_URL": "sink",
}


class Misconfigured(Exception):
    """Settings that contradict each other, with what to do about it."""


@dataclass(frozen=True)
class Installation:
    """One installation: its state, the services it starts by itself, and its processes' variables.

    `admin_url` is how a superuser connects; empty when somebody else made the roles of an existing database.
    """

    state: State
    postgres: Postgres | None
    valkey: Valkey | None
    variables: Mapping[str, str]
    admin_url: str

    @property
    def roles(self) -> Roles:
        variables = self.variables
        return Roles(
            owner_url=variables["DATABASE_OWNER_URL"],
            runtime_url=variables["DATABASE_URL"],
            console_url=variables["DATABASE_CONSOLE_URL"],
            sink_url=variables["DATABASE_SINK_URL"],
        )

    def write_env_file(self) -> None:
        lines = (f"{name}={quoted(value)}\n" for name, value in self.variables.items())
        write_private(self.state.folder / "env", "".join(lines))


def embedded_postgres(state: State, environ: Mapping[str, str]) -> Postgres | None:
    given = [name for name in DATABASE_URLS if environ.get(name)]
    if given and len(given) < len(DATABASE_URLS):
        missing = sorted(set(DATABASE_URLS) - set(given))
        raise Misconfigured(f"An existing database needs all four roles' addresses. Set {', '.join(missing)} too.")
    if given:
        return None
    return Postgres(
        state.services, state.binaries, state.port("postgres"), state.secret("postgres"), is_durable=state.is_durable
    )


def embedded_valkey(state: State, environ: Mapping[str, str]) -> Valkey | None:
    if environ.get("REDIS_URL"):
        return None
    return Valkey(state.folder / "valkey", state.port("valkey"), state.secret("valkey"))


def install(state: State, environ: Mapping[str, str], public_port: int, llm_port: int) -> Installation:
    """Decide every variable; nothing is started yet."""
    postgres, valkey = embedded_postgres(state, environ), embedded_valkey(state, environ)
    variables = {
        **(database_urls(state, postgres) if postgres else {}),
        **({"REDIS_URL": valkey.url} if valkey else {}),
        "STORAGE_URL": f"file://{state.folder}/objects",
        "SECRET_KEY": state.secret("secret_key"),
        "TOKEN_PEPPER": state.secret("token_pepper"),
        "STATE_DIR": str(state.folder),
        "PUBLIC_URL": f"http://{HOST}:{public_port}",
        # The public process serves the data plane too, so people are told one address; the edge alone has its own port.
        "EDGE_URL": f"http://{HOST}:{public_port}",
        "LLM_URL": "" if environ.get("LLM") == "off" else model_url(llm_port),
        "DEBUG": "false",
    }
    names = [*variables, *DATABASE_URLS, "REDIS_URL"]
    variables |= {name: environ[name] for name in names if environ.get(name)}
    admin_url = postgres.url() if postgres else environ.get("DATABASE_ADMIN_URL", "")
    return Installation(state, postgres, valkey, variables, admin_url)


def database_urls(state: State, postgres: Postgres, database: str = DATABASE) -> dict[str, str]:
    return {
        name: f"postgresql://{role}:{state.secret(role)}@{HOST}:{postgres.port}/{database}"
        for name, role in DATABASE_URLS.items()
    }


def model_url(port: int) -> str:
    """Where the local model server answers, as OpenAI's clients want it."""
    return f"http://{HOST}:{port}/v1"


def quoted(value: str) -> str:
    """A value as a dotenv file holds it, whatever a folder's name contains."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
