"""Editing by the API without overwriting: `ETag` on answers of one row, `If-Match` before an edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework.generics import GenericAPIView, get_object_or_404
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from apps.core.entity_tags import EntityTag, PreconditionFailed, digest, digest_of

EDITS = frozenset({"PATCH", "PUT", "DELETE"})

IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The `ETag` of the state that this edit is for. When somebody changed it since, the edit is refused "
    "(412). Without the header the edit is made in whatever state it is.",
}
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The `ETag` of an answer that the caller has: the same one is not sent again (304).",
}
UNCONDITIONAL = "x-unconditional"
ETAG = {"schema": {"type": "string"}, "description": "Names this state; send it back as `If-Match`."}
CHANGED = {
    "description": "It was changed since; nothing was done. `ETag` names its current state.",
    "headers": {"ETag": ETAG},
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


class EditedApi(GenericAPIView):
    """Rows that people edit. `edited_fields` are the members of an answer that they can change.

    An edit locks its row until its transaction ends, so that of two edits which name the same state only one is made.
    """

    edited_fields: ClassVar[tuple[str, ...]] = ()

    def get_object(self) -> Any:
        if not self.edited_fields or self.request.method not in EDITS:
            return super().get_object()
        self.lock(self.kwargs["pk"])
        return self.unless_changed(super().get_object())

    def lock(self, pk: str) -> None:
        model: Any = self.get_queryset().model
        # Rows that only refer to this one may be written meanwhile, unless it is about to go.
        no_key = self.request.method != "DELETE"
        get_object_or_404(model.objects.select_for_update(of=("self",), no_key=no_key), pk=pk)

    def unless_changed(self, row: Any) -> Any:
        """The row, which is locked by now. Raises `PreconditionFailed`, `PreconditionUnreadable`."""
        if (if_match := self.request.headers.get("If-Match")) is not None:
            tag = self._tag_of(self.get_serializer(row).data)
            if not tag.permits_edit(if_match):
                raise PreconditionFailed(str(tag))
        return row

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        if self._is_one_row(response):
            tag = self._tag_of(response.data)
            response["ETag"] = str(tag)
            if request.method in {"GET", "HEAD"} and tag.is_known(request.headers.get("If-None-Match", "")):
                response.status_code, response.data = 304, None
        return super().finalize_response(request, response, *args, **kwargs)

    def _is_one_row(self, response: Any) -> bool:
        if not self.edited_fields or not isinstance(response, Response) or response.status_code >= 300:
            return False
        return isinstance(response.data, Mapping) and {"id", *self.edited_fields} <= response.data.keys()

    def _tag_of(self, shown: Mapping[str, Any]) -> EntityTag:
        edited = {name: shown[name] for name in ("id", *self.edited_fields)}
        return EntityTag(digest_of(edited), digest(JSONRenderer().render(shown)))


def tell_preconditions(result: dict[str, Any], **context: Any) -> dict[str, Any]:
    """Hook of the OpenAPI document: what is edited takes `If-Match`, and reading it gives the `ETag`.

    An operation marked UNCONDITIONAL overwrites nobody: it sets what it names, which only its caller edits.
    """
    for methods in result["paths"].values():
        edits = [
            operation
            for method, operation in methods.items()
            if method.upper() in EDITS and UNCONDITIONAL not in operation
        ]
        for operation in edits:
            operation.setdefault("parameters", []).append(IF_MATCH)
            operation["responses"]["412"] = CHANGED
        if edits and "get" in methods:
            _tell_reading(methods["get"])
    return result


def _tell_reading(operation: dict[str, Any]) -> None:
    operation.setdefault("parameters", []).append(IF_NONE_MATCH)
    operation["responses"]["200"].setdefault("headers", {})["ETag"] = ETAG
    operation["responses"]["304"] = {"description": "The caller has this answer."}
