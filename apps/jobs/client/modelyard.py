"""Follow your own programs in Modelyard's job tracker. One file, the standard library alone, Python 3.9 and newer.

A script that reports itself:

    from modelyard import Client

    with Client().job("nightly-train", name="Nightly training", tags=["churn"]) as job:
        for epoch in range(10):
            train_one(epoch)
            job.progress((epoch + 1) / 10, f"epoch {epoch + 1}/10")
        job.result = {"auc": 0.93}

A worker that does what others submit:

    client = Client()

    @client.handles("score")
    def score(job):
        return {"rows": score_file(job.input["file"])}

    client.work(worker="gpu-1")

`MODELYARD_URL` and `MODELYARD_TOKEN` say where and as whom, unless `Client` is told. The token needs the scope
`jobs.work`, and to submit or read jobs `jobs.write` or `jobs.read`.
"""

from __future__ import annotations

import http.client
import json
import logging
import math
import os
import random
import signal
import socket
import threading
import time
import traceback
import urllib.error
import urllib.request
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from types import FrameType, TracebackType
from typing import Any, Callable, Optional

__version__ = "0.1.0"
__all__ = [
    "ApiError",
    "Client",
    "Job",
    "JobCancelled",
    "JobFailed",
    "JobTimedOut",
    "LeaseLost",
    "RunningJob",
    "Unreachable",
]

_log = logging.getLogger("modelyard")

Handler = Callable[["RunningJob"], Optional[dict[str, Any]]]

ENDED_WELL = "succeeded"
ENDED = frozenset({ENDED_WELL, "failed", "cancelled", "dead"})
POLL_S = 20
ANSWER_S = 30.0
# What passes by itself. Nothing was changed by a request that was answered so.
PASSING = frozenset({429, 500, 502, 503, 504})
LONGEST_PAUSE_S = 10.0
LEVELS = ("debug", "info", "warning", "error")
MOST_FIELDS_BYTES = 8 * 1024
REPORT_EVERY_S = 1.0
LINES_AT_ONCE = 100
MOST_LINES_WAITING = 10_000
MOST_CHARS = 10_000
MOST_TRACEBACK_CHARS = 100_000


class ApiError(Exception):
    """The server refused: `code` is stable and for programs, the text says what to do."""

    def __init__(self, status: int, code: str, detail: str, request_id: str = "") -> None:
        super().__init__(detail or f"HTTP {status}")
        self.status = status
        self.code = code
        self.request_id = request_id


class Unreachable(Exception):
    """The server could not be reached for as long as the client is patient."""


class LeaseLost(Exception):
    """The job is no longer this process's: it was silent too long, or the job ended. Stop working on it."""


class JobCancelled(Exception):
    """Somebody asked for the job to stop."""


class JobTimedOut(Exception):
    """The job's time limit is over."""


class JobFailed(Exception):
    """Raise it to end a job as failed: `code` is for programs; one that is not `final` is tried again."""

    def __init__(
        self, message: str, *, code: str = "failed", final: bool = True, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.final = final
        self.retry_after_s = retry_after_s


class _Stopped(BaseException):
    """Leaves whatever a worker does when it is told to end."""


@dataclass(frozen=True)
class Job:
    """A job as the server told it; `data` holds all of it."""

    id: str
    kind: str
    name: str
    status: str
    progress: float
    step: str
    attempt: int
    input: dict[str, Any]
    result: dict[str, Any] | None
    error_code: str
    error_message: str
    data: Mapping[str, Any]

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def has_succeeded(self) -> bool:
        return self.status == ENDED_WELL

    @classmethod
    def _of(cls, data: Mapping[str, Any]) -> Job:
        names = [name for name in cls.__dataclass_fields__ if name != "data"]
        return cls(data=data, **{name: data[name] for name in names})


class RunningJob:
    """A job that this process works on. A thread beside it keeps its lease and tells how far it is.

    Used by one thread at a time. `progress`, `log` and `check` raise `JobCancelled`, `JobTimedOut` or `LeaseLost`,
    which are to be let through.
    """

    def __init__(self, client: Client, data: Mapping[str, Any]) -> None:
        self.id: str = data["id"]
        self.kind: str = data["kind"]
        self.name: str = data["name"]
        self.attempt: int = data["attempt"]
        self.input: dict[str, Any] = data["input"]
        self.result: dict[str, Any] | None = None
        self._client = client
        self._keeper = _Keeper(self, float(data["lease_s"]))

    def progress(self, share: float, step: str = "") -> None:
        """Tell how far the job is (0 to 1) and what it does now. Never waits; call it as often as you like."""
        self.check()
        if math.isnan(share):
            raise ValueError("A share is a number from 0 to 1.")
        self._keeper.note(min(max(float(share), 0.0), 1.0), _plain(step)[:200])

    def log(self, text: str, level: str = "info", **fields: Any) -> None:
        """Add a line to the job's log: `level` is debug, info, warning or error, `fields` are its values."""
        self.check()
        # What the server would refuse is refused here, where it is known who wrote it.
        if level not in LEVELS or len(_json(fields)) > MOST_FIELDS_BYTES:
            raise ValueError(f"Levels are {', '.join(LEVELS)}, and fields have {MOST_FIELDS_BYTES} bytes at most.")
        line = {"text": _plain(text)[:MOST_CHARS] or " ", "level": level, "fields": fields}
        self._keeper.write(line)

    def check(self) -> None:
        """Raise when the work should stop."""
        if self._keeper.stop is not None:
            raise self._keeper.stop

    def __enter__(self) -> RunningJob:
        self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        try:
            self._end(error)
        finally:
            self._keeper.end()

    def _end(self, error: BaseException | None) -> None:
        if error is None:
            self._complete()
        elif isinstance(error, (JobCancelled, _Stopped)):
            self._tell_end("release", {})
        elif not isinstance(error, LeaseLost):
            self._tell_end("fail", _failure(error))

    def _complete(self) -> None:
        try:
            self._keeper.flush()
            ended = self._tell("complete", {"result": self.result})
        except (TypeError, ValueError, ApiError) as problem:  # such as a result that is no JSON
            self._tell_end("fail", _failure(problem))
            raise
        if ended["status"] == "cancelled":
            raise JobCancelled("It was cancelled before it was done.")

    def _tell_end(self, what: str, told: dict[str, Any]) -> None:
        """Say how it ended. That this came too late must not hide why the program stopped."""
        try:
            self._keeper.flush()
            self._tell(what, told)
        except (LeaseLost, ApiError, Unreachable):
            pass

    def _tell(self, what: str, told: dict[str, Any], *, key: str | None = None, **how: Any) -> Any:
        path, body = f"/api/v1/jobs/{self.id}/{what}/", {"attempt": self.attempt, **told}
        if what != "heartbeat":
            key = key or _new_key()
        try:
            return self._client._send("POST", path, body, key=key, **how)
        except ApiError as error:
            if error.code in {"lease_lost", "not_found"}:
                raise LeaseLost(str(error)) from None
            raise


def _failure(error: BaseException) -> dict[str, Any]:
    name = type(error).__name__
    told: dict[str, Any] = {"code": "unexpected", "message": f"{name}: {error}", "error_class": name[:100]}
    if isinstance(error, JobFailed):
        told.update(code=error.code, message=str(error) or name, is_final=error.final)
        if error.retry_after_s is not None:
            told["retry_after_s"] = error.retry_after_s
    elif isinstance(error, JobTimedOut):
        told.update(code="job_timed_out", is_final=True)
    elif not isinstance(error, Exception):
        told.update(code="interrupted")
    told["message"] = _plain(told["message"])[:MOST_CHARS]
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    told["traceback"] = _plain(text)[-MOST_TRACEBACK_CHARS:]
    return told


class _Keeper(threading.Thread):
    """Keeps a job's lease while it runs, and sends what it tells a few times a minute or once a second."""

    def __init__(self, job: RunningJob, lease_s: float) -> None:
        super().__init__(name=f"modelyard-{job.id}", daemon=True)
        self.stop: Exception | None = None
        self._job = job
        self._beat_every_s = min(lease_s / 4, 10.0)
        # The next beat tries again.
        self._once: dict[str, Any] = {"patience_s": 0.0, "answer_s": min(lease_s / 2, 10.0)}
        self._told: dict[str, Any] = {}
        self._lines: deque[dict[str, Any]] = deque()
        # What was sent last, under a key by which it is written once, also when its answer never came.
        self._batch: tuple[list[dict[str, Any]], str] = ([], "")
        self._lost_count = 0
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._has_news = threading.Event()
        self._ends = threading.Event()

    def note(self, share: float, step: str) -> None:
        with self._lock:
            self._told = {"progress": share, "step": step}
        self._has_news.set()

    def write(self, line: dict[str, Any]) -> None:
        with self._lock:
            if len(self._lines) < MOST_LINES_WAITING:
                self._lines.append(line)
            else:
                self._lost_count += 1
        self._has_news.set()

    def run(self) -> None:
        beat_at = time.monotonic() + self._beat_every_s
        while not self._ends.is_set() and not isinstance(self.stop, LeaseLost):
            has_news = self._has_news.wait(max(beat_at - time.monotonic(), 0))
            if self._ends.is_set():
                return
            try:
                if has_news or time.monotonic() >= beat_at:
                    self._send()
                beat_at = time.monotonic() + self._beat_every_s
            except LeaseLost as lost:
                self.stop = lost
            except (ApiError, Unreachable):
                beat_at = time.monotonic() + REPORT_EVERY_S  # the server is away: what was told waits
            self._ends.wait(REPORT_EVERY_S)

    def flush(self) -> None:
        """Send all that was logged, however long that takes."""
        with self._sending:
            self._send_lines({}, until=math.inf)

    def end(self) -> None:
        self._ends.set()
        self._has_news.set()

    def _send(self) -> None:
        self._has_news.clear()
        with self._lock:
            told = self._told
        with self._sending:
            answer = self._job._tell("heartbeat", told, **self._once)
            self._heed(answer)
            self._send_lines(self._once, until=time.monotonic() + self._beat_every_s / 2)

    def _heed(self, answer: Mapping[str, Any]) -> None:
        if self.stop is None and answer["cancel_requested"]:
            self.stop = JobCancelled("Somebody asked for the job to stop.")
        elif self.stop is None and answer["timed_out"]:
            self.stop = JobTimedOut("The job's time limit is over.")

    def _send_lines(self, how: Mapping[str, Any], *, until: float) -> None:
        """Send what was logged, and no longer than that: who writes faster than it is sent shall keep the lease."""
        most = LINES_AT_ONCE
        while time.monotonic() < until:
            lines, key = self._next_lines(most)
            if not lines:
                return
            try:
                self._job._tell("log", {"lines": lines}, key=key, **how)
                most = min(most * 2, LINES_AT_ONCE)
            except ApiError as refusal:
                if len(lines) > 1:  # too much at once, or one of them is refused
                    self._batch, most = ([], ""), len(lines) // 2
                    continue
                _log.warning("a line of %s was refused: %s", self._job.id, refusal)
            self._forget(len(lines))
        self._has_news.set()

    def _next_lines(self, most: int) -> tuple[list[dict[str, Any]], str]:
        with self._lock:
            if self._lost_count and len(self._lines) < MOST_LINES_WAITING:
                text = f"{self._lost_count} lines were not kept while the server was away"
                self._lines.append({"text": text, "level": "warning", "fields": {}})
                self._lost_count = 0
            if not self._batch[0]:
                self._batch = list(islice(self._lines, most)), _new_key()
            return self._batch

    def _forget(self, number: int) -> None:
        with self._lock:
            for _ in range(number):
                self._lines.popleft()
            self._batch = ([], "")


class Client:
    """Speaks with Modelyard at `url` with an API token. Safe to use from several threads.

    What meets a server that is away is sent again for `patience_s` seconds, under one idempotency key, so that it has
    its effect once; then `Unreachable` is raised. What the server refuses is raised as `ApiError`.
    """

    def __init__(self, url: str | None = None, token: str | None = None, *, patience_s: float = 300) -> None:
        self.url = (url or _setting("MODELYARD_URL")).rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"{self.url} is no address of a Modelyard server: it begins with http:// or https://.")
        self._token = token or _setting("MODELYARD_TOKEN")
        self._patience_s = patience_s
        self._opener = urllib.request.build_opener(_NoRedirects)
        self._handlers: dict[str, Handler] = {}

    def submit(
        self,
        kind: str,
        input: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        **wishes: Any,
    ) -> Job:
        """Ask for work that a worker does.

        `wishes` are those of `POST /api/v1/jobs/`: name, priority (0 to 9), run_at, depends_on, timeout_s,
        max_attempts, tags, callback_url. The same `idempotency_key` within a day makes no second job.
        """
        body = {"kind": kind, "input": dict(input or {}), **wishes}
        return Job._of(self._send("POST", "/api/v1/jobs/", body, key=idempotency_key or _new_key()))

    def get(self, job_id: str) -> Job:
        """How a job stands."""
        return Job._of(self._send("GET", f"/api/v1/jobs/{job_id}/"))

    def cancel(self, job_id: str) -> Job:
        """Ask for a job to stop. One that nobody has begun ends at once."""
        return Job._of(self._send("POST", f"/api/v1/jobs/{job_id}/cancel/", {}, key=_new_key()))

    def wait(self, job_id: str, timeout: float | None = None) -> Job:
        """The job once it has ended, however. Raises `TimeoutError` after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        pause_s = 0.1
        while not (job := self.get(job_id)).has_ended:
            if deadline is not None and time.monotonic() + pause_s > deadline:
                raise TimeoutError(f"Job {job_id} is {job.status} after {timeout:g} s.")
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, 2.0)
        return job

    def job(
        self,
        kind: str,
        *,
        name: str | None = None,
        input: Mapping[str, Any] | None = None,
        tags: Iterable[str] = (),
        worker: str | None = None,
        lease_s: int = 60,
        **wishes: Any,
    ) -> RunningJob:
        """A job that this process does itself, from here to the end of the `with` block.

        It succeeds with `job.result`; an exception fails it and is raised on. A process that dies leaves it dead,
        after `lease_s` seconds. `wishes` are priority, timeout_s, max_attempts and callback_url.
        """
        body = {
            "kind": kind,
            "name": name or kind,
            "input": dict(input or {}),
            "tags": list(tags),
            "worker": worker or _worker_name(),
            "lease_s": lease_s,
            **wishes,
        }
        return RunningJob(self, self._send("POST", "/api/v1/jobs/start/", body, key=_new_key()))

    def handles(self, kind: str) -> Callable[[Handler], Handler]:
        """Name the function that does jobs of this kind. What it returns is the job's result."""

        def register(handler: Handler) -> Handler:
            self._handlers[kind] = handler
            return handler

        return register

    def work(self, *, worker: str | None = None, lease_s: int = 60) -> None:
        """Do jobs of the kinds that `handles` named, one after the other, until SIGTERM or SIGINT.

        A job that runs then is given back and begun anew by another worker, at no cost of its attempts.
        """
        if not self._handlers:
            raise ValueError("Name what is done first: @client.handles(...)")
        _Worker(self, self._handlers, worker or _worker_name(), lease_s).run()

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        patience_s: float | None = None,
        answer_s: float = ANSWER_S,
        prefer: str | None = None,
    ) -> Any:
        """The answer's JSON, or None where there is none. Raises `ApiError`, `Unreachable`."""
        headers = {name: value for name, value in (("Idempotency-Key", key), ("Prefer", prefer)) if value is not None}
        until = time.monotonic() + (self._patience_s if patience_s is None else patience_s)
        pauses = _pauses()
        while True:
            pause_s = next(pauses)
            try:
                return self._send_once(method, path, body, headers, answer_s)
            except _Passing as passing:
                pause_s, reason = max(pause_s, passing.retry_after_s), str(passing)
            except (OSError, http.client.HTTPException, json.JSONDecodeError) as problem:
                reason = str(getattr(problem, "reason", problem)) or type(problem).__name__
            if time.monotonic() + pause_s > until:
                raise Unreachable(f"{self.url} cannot be reached: {reason}")
            time.sleep(pause_s)

    def _send_once(
        self, method: str, path: str, body: Mapping[str, Any] | None, more: Mapping[str, str], answer_s: float
    ) -> Any:
        headers = {
            **more,
            "Authorization": f"Bearer {self._token}",
            "Accept": "application/json",
            "User-Agent": f"modelyard-python/{__version__}",
        }
        content = None
        if body is not None:
            content = _json(body)
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.url + path, content, headers, method=method)  # noqa: S310 - see __init__
        try:
            with self._opener.open(request, timeout=answer_s) as answer:
                text = answer.read()
        except urllib.error.HTTPError as refusal:
            with refusal:
                raise _refused(refusal) from None
        return json.loads(text) if text else None


class _Worker:
    """The loop behind `Client.work`."""

    def __init__(self, client: Client, handlers: Mapping[str, Handler], name: str, lease_s: int) -> None:
        self._client, self._handlers, self._name, self._lease_s = client, handlers, name, lease_s
        self._is_stopping = False
        self._may_be_left = False

    def run(self) -> None:
        previous = self._listen_to_signals()
        try:
            while not self._is_stopping:
                self._take_one()
        except _Stopped:
            pass
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _take_one(self) -> None:
        asked_at = time.monotonic()
        data = self._claim()
        if data is not None:
            self._do(RunningJob(self._client, data))
        elif time.monotonic() - asked_at < 1:  # it was not held: the server may have too many calls to hold
            self._leavable(lambda: time.sleep(1))

    def _claim(self) -> Any:
        key = _new_key()
        try:
            return self._leavable(lambda: self._ask(key, answer_s=POLL_S + ANSWER_S))
        except Unreachable as problem:
            _log.warning("%s", problem)
            return None
        except _Stopped:
            self._give_back(key)
            raise

    def _ask(self, key: str, **how: Any) -> Any:
        body = {"kinds": sorted(self._handlers), "worker": self._name, "lease_s": self._lease_s, "wait_s": POLL_S}
        return self._client._send("POST", "/api/v1/jobs/claim/", body, key=key, **how)

    def _give_back(self, key: str) -> None:
        """The server may have given us a job at the moment in which we left: its answer is kept under the key."""
        briefly: dict[str, Any] = {"patience_s": 5.0, "answer_s": 5.0}
        try:
            if data := self._ask(key, prefer="wait=0", **briefly):
                RunningJob(self._client, data)._tell("release", {}, **briefly)
        except (ApiError, Unreachable, LeaseLost) as problem:
            _log.warning("%s", problem)

    def _do(self, job: RunningJob) -> None:
        try:
            with job:
                job.result = self._leavable(lambda: self._handlers[job.kind](job))
        except (JobFailed, JobCancelled, JobTimedOut, LeaseLost) as why:
            _log.warning("%s %s: %s", job.kind, job.id, why)
        # How a handler failed is told to the tracker; the next job does not suffer from it.
        except Exception:  # noqa: BLE001
            _log.exception("%s %s failed", job.kind, job.id)

    def _leavable(self, act: Callable[[], Any]) -> Any:
        """Do what a signal may interrupt; anything else is finished first."""
        self._may_be_left = True
        try:
            if self._is_stopping:
                raise _Stopped
            return act()
        finally:
            self._may_be_left = False

    def _listen_to_signals(self) -> dict[int, Any]:
        if threading.current_thread() is not threading.main_thread():
            return {}
        return {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._is_stopping = True
        if self._may_be_left:
            self._may_be_left = False
            raise _Stopped


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token is for the server that it was given for."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class _Passing(Exception):
    """A refusal that is over in a moment."""

    def __init__(self, status: int, retry_after_s: float) -> None:
        super().__init__(f"HTTP {status}")
        self.retry_after_s = retry_after_s


def _refused(refusal: urllib.error.HTTPError) -> Exception:
    try:
        told = json.loads(refusal.read())
    except (ValueError, OSError, http.client.HTTPException):
        told = {}
    if not isinstance(told, dict):  # of somebody on the way to the server
        told = {}
    code = told.get("code", "")
    if refusal.code in PASSING or code == "idempotency_key_in_flight":
        after = refusal.headers.get("Retry-After", "")
        return _Passing(refusal.code, float(after) if after.isdigit() else 0)
    fields = "; ".join(f"{one['field']}: {one['detail']}" for one in told.get("errors", []))
    detail = " ".join(part for part in (told.get("detail", ""), fields) if part)
    return ApiError(refusal.code, code, detail or str(refusal.reason), told.get("request_id", ""))


def _pauses() -> Iterator[float]:
    """How long to wait before each next time: twice as long, at random, so that not all come back at once."""
    longest = 0.2
    while True:
        yield random.uniform(longest / 2, longest)  # noqa: S311 - spreads load, guards nothing
        longest = min(longest * 2, LONGEST_PAUSE_S)


def _worker_name() -> str:
    """What this process is called where nobody says otherwise."""
    return f"{socket.gethostname()}:{os.getpid()}"[:100]


def _plain(text: str) -> str:
    """Text as the server takes it: without NUL, and names of files that are no Unicode with question marks."""
    return text.replace("\x00", "").encode(errors="replace").decode()


def _json(value: Any) -> bytes:
    """Raises `TypeError` or `ValueError` for what JSON does not know, such as NaN."""
    return json.dumps(value, allow_nan=False).encode()


def _new_key() -> str:
    return uuid.uuid4().hex


def _setting(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ValueError(f"Set {name}, or give it to Client(...).")
    return value
