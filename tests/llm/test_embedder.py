"""Embeddings: what has to hold of them, and part of a layer beside onnxruntime, an implementation of its own."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from workers.llm.embedder import LONGEST_TOKENS, WIDTH, Embedder, bundled_folder, gelu

TEXTS = ["That is a happy person", "That is a very happy person", "The stock market fell sharply today."]


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder(bundled_folder())


def test_a_vector_has_length_one_and_is_nearer_to_what_means_the_same(embedder: Embedder) -> None:
    vectors = embedder.embed(TEXTS).vectors
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] > 0.9
    assert vectors[0] @ vectors[2] < 0.2


def test_a_text_has_the_same_vector_alone_and_beside_longer_ones(embedder: Embedder) -> None:
    together = embedder.embed([*TEXTS, "word " * 300]).vectors
    for text, vector in zip(TEXTS, together, strict=False):
        assert embedder.embed([text]).vectors[0] == pytest.approx(vector, abs=1e-5)


def test_what_is_beyond_the_longest_text_is_left_out(embedder: Embedder) -> None:
    long = embedder.embed(["word " * 600])
    assert long.token_count == LONGEST_TOKENS
    assert long.vectors[0] == pytest.approx(embedder.embed(["word " * 900]).vectors[0], abs=1e-5)


def test_the_feed_forward_half_of_a_layer_computes_what_onnxruntime_does(embedder: Embedder) -> None:
    """Of the first layer, built of ONNX's own operators from the same weights."""
    state = np.random.default_rng(7).standard_normal((1, 5, WIDTH)).astype(np.float32)
    name = "encoder.layer.0"
    ours = embedder._normalised(
        f"{name}.output.LayerNorm",
        state + embedder._dense(f"{name}.output.dense", gelu(embedder._dense(f"{name}.intermediate.dense", state))),
    )
    assert ours == pytest.approx(_of_onnxruntime(embedder, name, state), abs=1e-4)


def _of_onnxruntime(embedder: Embedder, name: str, state: np.ndarray) -> np.ndarray:
    told = {
        "up": embedder._weights[f"{name}.intermediate.dense.weight"].T,
        "up_bias": embedder._weights[f"{name}.intermediate.dense.bias"],
        "down": embedder._weights[f"{name}.output.dense.weight"].T,
        "down_bias": embedder._weights[f"{name}.output.dense.bias"],
        "scale": embedder._weights[f"{name}.output.LayerNorm.weight"],
        "shift": embedder._weights[f"{name}.output.LayerNorm.bias"],
    }
    nodes = [
        helper.make_node("MatMul", ["state", "up"], ["a"]),
        helper.make_node("Add", ["a", "up_bias"], ["b"]),
        helper.make_node("Gelu", ["b"], ["c"]),
        helper.make_node("MatMul", ["c", "down"], ["d"]),
        helper.make_node("Add", ["d", "down_bias"], ["e"]),
        helper.make_node("Add", ["state", "e"], ["f"]),
        helper.make_node("LayerNormalization", ["f", "scale", "shift"], ["out"], epsilon=1e-12),
    ]
    shape = helper.make_tensor_value_info("state", TensorProto.FLOAT, state.shape)
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, state.shape)
    kept = [numpy_helper.from_array(np.ascontiguousarray(value), key) for key, value in told.items()]
    graph = helper.make_graph(nodes, "half", [shape], [out], kept)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"state": state})[0]
