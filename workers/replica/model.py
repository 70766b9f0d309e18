"""A loaded model: infer requests in, infer responses out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime
from numpy.typing import NDArray
from pydantic_core import from_json, to_json

from apps.deployments.protocol import InputMismatch, MalformedJson, model_metadata
from apps.registry.feeds import compile_feeds
from apps.registry.signature import SignatureMismatch, compile_checker

_DATATYPES = {"f4": "FP32", "f8": "FP64", "i8": "INT64", "i4": "INT32", "b1": "BOOL"}


class Model:
    """One model version. `predict` may run in several threads."""

    def __init__(self, path: Path, signature: Mapping[str, Any], name: str, version: str) -> None:
        options = onnxruntime.SessionOptions()
        # One thread: replicas are how a deployment uses more cores.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._outputs = [output["name"] for output in signature["outputs"]]
        self._check = compile_checker(signature)
        self._feeds = compile_feeds(signature)
        self.name, self.version, self.signature = name, version, signature

    def predict(self, body: bytes) -> bytes:
        """Answer an infer request, JSON to JSON. Raises MalformedJson and InputMismatch."""
        request = self._checked(body)
        wanted = [output["name"] for output in request.get("outputs") or ()] or self._outputs
        arrays = self._session.run(wanted, self._feeds(request))
        response: dict[str, Any] = {"model_name": self.name, "model_version": self.version}
        if "id" in request:
            response["id"] = request["id"]
        response["outputs"] = [_tensor(name, array) for name, array in zip(wanted, arrays, strict=True)]
        return to_json(response, inf_nan_mode="null")

    def _checked(self, body: bytes) -> dict[str, Any]:
        try:
            request: dict[str, Any] = from_json(body)
            self._check(request)
        except ValueError as error:
            raise MalformedJson(reason=error) from error
        except SignatureMismatch as mismatch:
            raise InputMismatch(mismatch) from mismatch
        return request

    def metadata(self) -> dict[str, Any]:
        return model_metadata(self.name, self.version, self.signature)


def _tensor(name: str, array: NDArray[Any]) -> dict[str, Any]:
    datatype = _DATATYPES.get(array.dtype.str[1:], "BYTES")
    return {"name": name, "datatype": datatype, "shape": array.shape, "data": array.ravel().tolist()}
