"""GitHub's far end: its OAuth pages and the two calls of its API that we make, spoken over a socket.

Holds to what GitHub does: a code lives once, for one client, redirect address and PKCE challenge; answers of the token
endpoint are forms unless JSON is asked for, and its refusals come with status 200.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

CONSENT = """<!DOCTYPE html><html lang="en"><title>Authorize</title><body>
<form method="post"><button name="answer" value="allow">Authorize</button>
<button name="answer" value="deny">Cancel</button></form></body></html>"""


@dataclass
class Person:
    """An account at GitHub. Everything but its id may change."""

    id: int
    login: str
    email: str
    name: str | None = None
    is_verified: bool = True

    def profile(self) -> dict[str, Any]:
        url = f"https://github.com/{self.login}"
        return {"id": self.id, "login": self.login, "name": self.name, "email": self.email, "html_url": url}

    def emails(self) -> list[dict[str, Any]]:
        hidden = f"{self.id}+{self.login}@users.noreply.github.com"
        return [
            {"email": hidden, "primary": False, "verified": True, "visibility": None},
            {"email": self.email, "primary": True, "verified": self.is_verified, "visibility": "private"},
        ]


@dataclass
class GitHub:
    """Who is signed in there, and what has been granted."""

    client_id: str = "Iv1.modelyard"
    client_secret: str = field(default_factory=lambda: secrets.token_hex(20))
    person: Person = field(default_factory=lambda: Person(4711, "octo", "octo@github.test", "Octo Cat"))
    url: str = ""
    is_broken: bool = False
    grants: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)

    def grant(self, asked: dict[str, str]) -> str:
        code = secrets.token_hex(10)
        self.grants[code] = asked
        return code

    def exchange(self, form: dict[str, str]) -> dict[str, str]:
        """A token for a code, or GitHub's words for why not."""
        if form.get("client_id") != self.client_id or form.get("client_secret") != self.client_secret:
            return self._refuse("incorrect_client_credentials")
        asked = self.grants.pop(form.get("code", ""), None)
        if asked is None:
            return self._refuse("bad_verification_code")
        if form.get("redirect_uri") != asked["redirect_uri"]:
            return self._refuse("redirect_uri_mismatch")
        if challenge_of(form.get("code_verifier", "")) != asked["code_challenge"]:
            return self._refuse("bad_code_verifier")
        token = f"gho_{secrets.token_hex(18)}"
        self.tokens[token] = asked["scope"]
        return {"access_token": token, "scope": asked["scope"], "token_type": "bearer"}

    def _refuse(self, error: str) -> dict[str, str]:
        self.refusals.append(error)
        return {"error": error, "error_description": "The request was refused."}


def challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


@dataclass
class Reply:
    status: int
    body: str = ""
    content_type: str = "text/plain; charset=utf-8"
    location: str = ""


JSON, FORM, HTML = (
    f"{kind}; charset=utf-8" for kind in ("application/json", "application/x-www-form-urlencoded", "text/html")
)
NOT_FOUND = Reply(404, '{"message": "Not Found"}', JSON)
BROKEN = Reply(502, "<html>Unicorn!</html>", HTML)


class Handler(BaseHTTPRequestHandler):
    github: GitHub

    def log_message(self, *arguments: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        pages = {
            "/login/oauth/authorize": self.authorize,
            "/api/v3/user": self.user,
            "/api/v3/user/emails": self.emails,
        }
        self.send(pages)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.form = parse_form(body)
        self.send({"/login/oauth/authorize": self.consent, "/login/oauth/access_token": self.access_token})

    def authorize(self) -> Reply:
        asked = self.query()
        is_known = asked.get("client_id") == self.github.client_id
        has_challenge = asked.get("code_challenge_method") == "S256" and asked.get("code_challenge")
        if not is_known or not has_challenge or "state" not in asked:
            return Reply(400, "This application asks for something else.")
        return Reply(200, CONSENT, HTML)

    def consent(self) -> Reply:
        asked = self.query()
        granted = {"code": self.github.grant(asked)} if self.form["answer"] == "allow" else {"error": "access_denied"}
        result = urlencode({**granted, "state": asked["state"]})
        return Reply(302, location=f"{asked['redirect_uri']}?{result}")

    def access_token(self) -> Reply:
        document = self.github.exchange(self.form)
        if "json" in self.headers.get("Accept", ""):
            return Reply(200, json.dumps(document), JSON)
        return Reply(200, urlencode(document), FORM)

    def user(self) -> Reply:
        return self.call(self.github.person.profile(), "")

    def emails(self) -> Reply:
        return self.call(self.github.person.emails(), "user:email")

    def call(self, document: Any, needed_scope: str) -> Reply:
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        scope = self.github.tokens.get(token)
        if scope is None or kind.lower() not in {"bearer", "token"}:
            return Reply(401, '{"message": "Bad credentials"}', JSON)
        if needed_scope and needed_scope not in scope.split():
            return NOT_FOUND
        return Reply(200, json.dumps(document), JSON)

    def query(self) -> dict[str, str]:
        return parse_form(urlsplit(self.path).query)

    def send(self, pages: dict[str, Callable[[], Reply]]) -> None:
        page = pages.get(urlsplit(self.path).path, lambda: NOT_FOUND)
        reply = BROKEN if self.github.is_broken else page()
        content = reply.body.encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(content)))
        if reply.location:
            self.send_header("Location", reply.location)
        self.end_headers()
        self.wfile.write(content)


def parse_form(text: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(text).items()}


@contextmanager
def running() -> Iterator[GitHub]:
    github = GitHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("GitHubHandler", (Handler,), {"github": github}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    github.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield github
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
