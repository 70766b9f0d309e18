"""The lines of requests in front of the models."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from workers.llm.engine import Engine
from workers.llm.protocol import Chunk

if TYPE_CHECKING:
    from workers.llm.embedder import Embedded, Embedder

EMBEDDING_MODEL = "all-minilm-l6-v2"
LONGEST_LINE = 8
MOST_EMBEDDING = 64


class LineFull(Exception):
    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"The model is busy and its line is full. Try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class Line:
    """One generation at a time in a thread of its own, a bounded number waiting, the rest refused at once."""

    def __init__(self, engine: Engine, longest: int = LONGEST_LINE) -> None:
        self._engine = engine
        self._longest = longest
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._inside = 0
        self._last_s = 1.0

    async def chunks(self, request: dict[str, Any]) -> AsyncGenerator[Chunk, None]:
        """The chunks of one answer. Raises LineFull or ApiError; abandoning the iterator stops the generation."""
        # One more than may wait is inside: the one being served.
        if self._inside > self._longest:
            raise LineFull(math.ceil(self._inside * self._last_s))
        self._inside += 1
        turn = Turn(asyncio.get_running_loop())
        work = turn.loop.run_in_executor(self._thread, self._serve, request, turn)
        work.add_done_callback(self._leave)
        try:
            while (chunk := await turn.next()) is not None:
                yield chunk
            await work
        finally:
            turn.is_abandoned = True
            # Read, so that the failure of an answer nobody waits for is not reported as lost.
            work.add_done_callback(lambda done: done.cancelled() or done.exception())

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _serve(self, request: dict[str, Any], turn: Turn) -> None:
        began = time.monotonic()
        try:
            if not turn.is_abandoned:
                self._engine.generate(request, turn.emit)
        finally:
            self._last_s = time.monotonic() - began
            turn.end()

    def _leave(self, _: object) -> None:
        self._inside -= 1


class EmbeddingLine:
    """One batch at a time in a thread of its own. The model is loaded when it is first asked."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embeddings")
        self._embedder: Embedder | None = None
        self._inside = 0

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Raises LineFull."""
        if self._inside >= MOST_EMBEDDING:
            raise LineFull(1)
        self._inside += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._embed, texts)
        finally:
            self._inside -= 1

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _embed(self, texts: Sequence[str]) -> Embedded:
        if self._embedder is None:
            from workers.llm.embedder import Embedder, bundled_folder

            self._embedder = Embedder(bundled_folder())
        return self._embedder.embed(texts)


class Turn:
    """Carries chunks from the model's thread to the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.is_abandoned = False
        self._chunks: asyncio.Queue[Chunk | None] = asyncio.Queue()

    async def next(self) -> Chunk | None:
        return await self._chunks.get()

    def emit(self, chunk: Chunk) -> bool:
        """Called in the model's thread; True stops the model."""
        self._put(chunk)
        return self.is_abandoned

    def end(self) -> None:
        self._put(None)

    def _put(self, item: Chunk | None) -> None:
        # The loop is closed when the server stopped in the middle of an answer.
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._chunks.put_nowait, item)
