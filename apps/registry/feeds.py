"""From a checked infer request to what ONNX Runtime is fed: one [rows, 1] array for each column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.registry.signature import Datatype, Signature

Feeds = dict[str, NDArray[Any]]
NO_CATEGORY = ""  # how an empty cell enters the graph; a CSV cannot hold an empty category, so it means nothing else


def compile_feeds(signature: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], Feeds]:
    """A function from a request the signature's checker accepted to ONNX Runtime's feeds.

    Numbers and booleans become float32 with NaN for null, texts become object arrays with "" for null.
    """
    to_array = {
        column.name: _text_array if column.datatype is Datatype.BYTES else _number_array
        for column in Signature.from_json(signature).inputs
    }

    def feeds(request: Mapping[str, Any]) -> Feeds:
        return {tensor["name"]: to_array[tensor["name"]](tensor["data"]) for tensor in request["inputs"]}

    return feeds


def _number_array(data: list[Any]) -> NDArray[Any]:
    return np.array(data, dtype=np.float32).reshape(-1, 1)


def _text_array(data: list[Any]) -> NDArray[Any]:
    texts = [item[0] if type(item) is list else item for item in data]
    return np.array([[NO_CATEGORY if text is None else text] for text in texts], dtype=object)
