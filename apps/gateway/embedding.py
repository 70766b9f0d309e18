"""Vectors of texts by the local model server. Imports no Django."""

from __future__ import annotations

import asyncio

import numpy as np
from pydantic_core import from_json, to_json
from yarl import URL

from apps.core.outbound.message import Request, WireError
from apps.core.outbound.wire import Wire
from apps.gateway.near import Embed, Vector

MODEL = "all-minilm-l6-v2"
LONGEST_S = 2.0  # the first text waits until the model is loaded


def embedding(wire: Wire, server: str) -> Embed | None:
    """How a text becomes a vector, or None where no model server runs."""
    if not server:
        return None
    url = URL(f"{server.rstrip('/')}/embeddings")

    async def embed(text: str) -> Vector | None:
        deadline = asyncio.get_running_loop().time() + LONGEST_S
        body = to_json({"model": MODEL, "input": text})
        headers = [(b"content-type", b"application/json")]
        try:
            response = await wire.send(Request("POST", url, headers, body, deadline=deadline, is_trusted=True))
            told = await response.read()
        except WireError:
            return None
        if response.status != 200:
            return None
        return np.array(from_json(told)["data"][0]["embedding"], np.float32)

    return embed
