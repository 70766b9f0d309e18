"""`Idempotency-Key` on every POST of the API.

The answer is stored in the transaction that made its effect, so either both exist or neither does. It is sealed,
because it may hold what is shown once, such as a new token. An advisory lock, which ends with that transaction, tells a
request that is still running from one that died.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from datetime import timedelta

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.core.files.uploadedfile import UploadedFile
from django.db import connection, transaction
from django.db.models.functions import Now
from django.http import HttpResponse
from django.http.multipartparser import MultiPartParserError

from apps.accounts.models import IdempotentRequest as PersonalRequest
from apps.core import held_calls, sealing, storage
from apps.core.errors import DomainError
from apps.core.http import Request
from apps.core.refusals import refusal
from apps.organizations import errors
from apps.organizations.kept_answers import KeptAnswer, kept_answer_of
from apps.organizations.middleware import API_PATH
from apps.organizations.models import IdempotentRequest

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEPT_FOR = timedelta(hours=24)

GetResponse = Callable[[Request], HttpResponse]


class IdempotencyMiddleware:
    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        key = request.headers.get(HEADER)
        if key is None or request.method != "POST" or not request.path_info.startswith(API_PATH):
            return self.get_response(request)
        try:
            return self._answer_once(request, key)
        except DomainError as error:
            return refusal(request, error)

    def _answer_once(self, request: Request, key: str) -> HttpResponse:
        if not 1 <= len(key) <= 200 or not key.isascii() or not key.isprintable():
            raise errors.IdempotencyKeyInvalid
        content = fingerprint(request)
        kept = kept_answer_of(request, key)
        if kept is None:
            return self.get_response(request)
        with transaction.atomic():
            _lock(kept)
            if remembered := _remembered(kept, content):
                return remembered
            response = self.get_response(request)
            if response.status_code >= 500:
                transaction.set_rollback(True)
            elif kept.takes(response.status_code) and held_calls.SECONDS not in response:
                _remember(kept, content, response)
            return response


def _lock(kept: KeptAnswer) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [kept.place])
        if not cursor.fetchone()[0]:
            raise errors.IdempotencyKeyInFlight


def _remembered(kept: KeptAnswer, content: str) -> HttpResponse | None:
    row = kept.rows().first()
    if row is None:
        return None
    with kept.guard:
        if row.fingerprint != content:
            raise errors.IdempotencyKeyReused
    try:
        body = sealing.unseal(bytes(row.body), kept.place)
    except sealing.Unsealable:  # the installation's key was changed since
        raise errors.IdempotencyKeyReused from None
    response = HttpResponse(body, status=row.status, content_type=row.content_type)
    if row.location:
        response["Location"] = row.location
    response["Cache-Control"] = "no-store"
    response[REPLAYED] = "true"
    return response


def _remember(kept: KeptAnswer, content: str, response: HttpResponse) -> None:
    kept.store(
        fingerprint=content,
        status=response.status_code,
        content_type=response.get("Content-Type", ""),
        location=response.get("Location", ""),
        body=sealing.seal(response.content, kept.place),
    )


def fingerprint(request: Request) -> str:
    """What makes two requests the same: method, path, and content; of an upload its fields and files.

    Keyed, because a body may hold a password, which nobody shall try out against a database dump.
    Raises `RequestTooLarge`, `RequestUnreadable`, `StorageUnavailable`.
    """
    asked = f"{request.method} {request.get_full_path()}\n"
    digest = hmac.new(sealing.key_for("idempotency"), asked.encode(), "sha256")
    try:
        for piece in _content(request):
            digest.update(piece)
    except RequestDataTooBig:
        raise errors.RequestTooLarge from None
    except (MultiPartParserError, SuspiciousOperation) as problem:
        raise errors.RequestUnreadable(reason=problem) from None
    return digest.hexdigest()


def _content(request: Request) -> Iterator[bytes]:
    if request.content_type != "multipart/form-data":
        yield request.body
        return
    with storage.unavailable_when_failing():
        # A multipart body itself has another boundary each time that it is sent.
        yield repr(sorted(request.POST.lists())).encode()
        for name, files in sorted(request.FILES.lists()):
            for file in files:
                yield repr((name, file.name, file.size)).encode()
                yield from _chunks(file)


def _chunks(file: UploadedFile) -> Iterator[bytes]:
    yield from file.chunks()
    file.seek(0)


def forget_old() -> int:
    """Delete the current tenant's answers that are older than a day."""
    return IdempotentRequest.objects.filter(created_at__lt=Now() - KEPT_FOR).delete()[0]


def forget_old_personal() -> int:
    """Delete the answers given outside every organization that are older than a day."""
    return PersonalRequest.objects.filter(created_at__lt=Now() - KEPT_FOR).delete()[0]
