"""The peer of the serving benchmark: nothing but an ONNX Runtime call in an ASGI application.

It decodes the same request and encodes the same response as a replica, with the same decoder, and checks nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import uvicorn
from pydantic_core import from_json, to_json

from workers.asgi import Receive, Scope, Send
from workers.serving import Server, add_socket_arguments, listening_socket


class Bare:
    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.types = {i.name: np.float32 if "float" in i.type else object for i in self.session.get_inputs()}
        self.outputs = [output.name for output in self.session.get_outputs()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        message = await receive()
        body = self.predict(message["body"])
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def predict(self, body: bytes) -> bytes:
        request: dict[str, Any] = from_json(body)
        feeds = {t["name"]: np.array(t["data"], self.types[t["name"]]).reshape(-1, 1) for t in request["inputs"]}
        arrays = self.session.run(self.outputs, feeds)
        outputs = [
            {"name": name, "shape": array.shape, "data": array.ravel().tolist()}
            for name, array in zip(self.outputs, arrays, strict=True)
        ]
        return to_json({"outputs": outputs})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    add_socket_arguments(parser)
    arguments = parser.parse_args()
    config = uvicorn.Config(Bare(arguments.model), lifespan="on", access_log=False, log_level="warning")
    Server(config, arguments.ready_file).run(sockets=[listening_socket(arguments)])


main()
