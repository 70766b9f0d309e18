"""The replica's paths."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from apps.core.edge import Answer, Call, Proceed, Router, compose, json_answer, receive
from apps.deployments.protocol import REPLICA_HEADER, ROW_COUNT_HEADER, ModelNotFound, WrongReplica
from workers.asgi import Application
from workers.replica.model import Model

INLINE_BODY_BYTES = 64 * 1024
MODEL_PATHS = ("/v2/models/{name}", "/v2/models/{name}/versions/{version}")


class Replica(Application):
    """Serves one model. Small requests are answered in the event loop, where a thread would cost more than the
    prediction; large ones in a thread, so that health stays answered meanwhile."""

    def __init__(self, model: Model, replica_id: str) -> None:
        self._model = model
        self._id = replica_id
        self._meant = (b"", replica_id.encode())
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="predict")

    async def start(self) -> Proceed:
        router = Router()
        for path in MODEL_PATHS:
            router.add("POST", f"{path}/infer", compose([self._named, receive], self._infer))
            router.add("GET", f"{path}/ready", compose([self._named], self._ready))
            router.add("GET", path, compose([self._named], self._metadata))
        for path in ("/v2/health/live", "/v2/health/ready"):
            router.add("GET", path, self._healthy)
        return router

    async def stop(self) -> None:
        self._executor.shutdown()

    async def _named(self, call: Call, proceed: Proceed) -> Answer:
        # The edge may not know yet that this address was another replica's, even another organization's.
        if call.headers.get(REPLICA_HEADER, b"") not in self._meant:
            raise WrongReplica()
        version = call.parameters.get("version", self._model.version)
        if (call.parameters["name"], version) != (self._model.name, self._model.version):
            raise ModelNotFound(name=call.parameters["name"])
        return await proceed(call)

    async def _infer(self, call: Call) -> Answer:
        if len(call.body) <= INLINE_BODY_BYTES:
            body, row_count = self._model.predict(call.body)
        else:
            predict = asyncio.get_running_loop().run_in_executor(self._executor, self._model.predict, call.body)
            body, row_count = await predict
        headers = [(b"content-type", b"application/json"), (ROW_COUNT_HEADER, str(row_count).encode())]
        return Answer(200, headers, body)

    async def _metadata(self, call: Call) -> Answer:
        return json_answer(self._model.metadata())

    async def _ready(self, call: Call) -> Answer:
        return json_answer({"name": self._model.name, "ready": True})

    async def _healthy(self, call: Call) -> Answer:
        return json_answer({"live": True, "ready": True, "replica": self._id})
