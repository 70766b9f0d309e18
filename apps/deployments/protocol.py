"""The Open Inference Protocol as both the edge and the replicas speak it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.core.errors import DomainError
from apps.registry.signature import SignatureMismatch

PLATFORM = "onnxruntime_onnx"
ROW_COUNT_HEADER = b"x-row-count"  # how many rows a replica predicted, which is what is metered
REPLICA_HEADER = b"x-replica-id"  # whom a request is meant for; addresses are given to other replicas in time


class MalformedJson(DomainError):
    code = "malformed_json"
    status = 400
    detail = "The body is not JSON: {reason}."


class ModelNotFound(DomainError):
    code = "model_not_found"
    status = 404
    detail = "No model `{name}` is deployed here. Check its name, its version and whose token you use."


class WrongReplica(DomainError):
    code = "wrong_replica"
    status = 503
    detail = "The replica that this was sent to is not here any more."


class InputMismatch(DomainError):
    """What a request's input does to the model's signature; the code says which rule it breaks."""

    status = 422
    detail = "{reason}"

    def __init__(self, mismatch: SignatureMismatch) -> None:
        self.code = mismatch.code  # type: ignore[misc]
        super().__init__(field=mismatch.column, reason=mismatch.detail)


class RefusedByReplica(DomainError):
    """A replica's refusal, told by the edge in the replica's words."""

    detail = "{reason}"

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        self.status, self.code = status, document["code"]  # type: ignore[misc]
        errors = document["errors"]
        super().__init__(field=errors[0]["field"] if errors else None, reason=document["detail"])


def model_metadata(name: str, version: str, signature: Mapping[str, Any]) -> dict[str, Any]:
    """The document that describes a model: its tensors, by name, datatype and shape."""
    inputs = [{"name": c["name"], "datatype": c["datatype"], "shape": [-1, 1]} for c in signature["inputs"]]
    outputs = [{"name": c["name"], "datatype": c["datatype"], "shape": c["shape"]} for c in signature["outputs"]]
    return {"name": name, "versions": [version], "platform": PLATFORM, "inputs": inputs, "outputs": outputs}
