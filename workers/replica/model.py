"""A loaded model: infer requests in, infer responses out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic_core import from_json, to_json

from apps.deployments.protocol import InputMismatch, MalformedJson, model_metadata
from apps.registry.feeds import NO_CATEGORY, Feeds, compile_feeds
from apps.registry.signature import Datatype, SignatureMismatch, compile_checker

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
        self._texts = [column["name"] for column in signature["inputs"] if column["datatype"] == Datatype.BYTES]
        self._numbers = [column["name"] for column in signature["inputs"] if column["name"] not in self._texts]
        self.name, self.version, self.signature = name, version, signature

    def predict(self, body: bytes) -> tuple[bytes, int]:
        """Answer an infer request, JSON to JSON, with its number of rows. Raises MalformedJson and InputMismatch."""
        request, row_count = self._checked(body)
        wanted = [output["name"] for output in request.get("outputs") or ()] or self._outputs
        feeds = self._row_feeds(request) if row_count == 1 else self._feeds(request)
        arrays = self._session.run(wanted, feeds)
        response: dict[str, Any] = {"model_name": self.name, "model_version": self.version}
        if "id" in request:
            response["id"] = request["id"]
        response["outputs"] = [_tensor(name, array) for name, array in zip(wanted, arrays, strict=True)]
        return to_json(response, inf_nan_mode="null"), row_count

    def _row_feeds(self, request: Mapping[str, Any]) -> Feeds:
        """What `compile_feeds` gives for one row, in a third of the time: its numbers are views of one array."""
        row = {tensor["name"]: _only(tensor["data"]) for tensor in request["inputs"]}
        numbers = np.array([row[name] for name in self._numbers], np.float32).reshape(-1, 1, 1)
        feeds: Feeds = dict(zip(self._numbers, numbers, strict=True))
        for name in self._texts:
            feeds[name] = np.array([[NO_CATEGORY if row[name] is None else row[name]]], object)
        return feeds

    def _checked(self, body: bytes) -> tuple[dict[str, Any], int]:
        try:
            request: dict[str, Any] = from_json(body)
            return request, self._check(request)
        except ValueError as error:
            raise MalformedJson(reason=error) from error
        except SignatureMismatch as mismatch:
            raise InputMismatch(mismatch) from mismatch

    def metadata(self) -> dict[str, Any]:
        return model_metadata(self.name, self.version, self.signature)


def _only(data: list[Any]) -> Any:
    """The one value of a one-row column, which the protocol lets be nested or flat."""
    value = data[0]
    return value[0] if type(value) is list else value


def _tensor(name: str, array: NDArray[Any]) -> dict[str, Any]:
    datatype = _DATATYPES.get(array.dtype.str[1:], "BYTES")
    return {"name": name, "datatype": datatype, "shape": array.shape, "data": array.ravel().tolist()}
