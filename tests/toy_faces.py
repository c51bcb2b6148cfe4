"""Small seeded networks in the form of InsightFace's model packs, which find bright discs, and images with discs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

STRIDES = (8, 16, 32)
PLACES = np.array([(-1.0, -1.0), (1.0, -1.0), (0.0, 0.2), (-0.8, 1.1), (0.8, 1.1)])
"""Of eyes, nose and corners of the mouth around the middle of a face."""


def _constant(name: str, values: npt.ArrayLike, dtype: type = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype), name)


def detector(seed: int = 0, *, landmarks: bool = True) -> onnx.ModelProto:
    """SCRFD's inputs and outputs: scores, boxes and landmarks at three strides, of two anchors a cell."""
    rng = np.random.default_rng(seed)
    nodes, constants, outputs = [], [], []
    heads = {
        # Sure where it is bright, and of the second anchor a little less.
        "score": (np.full((2, 3), 8.0), np.array([-10.0, -10.5]), 1),
        "box": (rng.normal(0, 0.3, (8, 3)), np.full(8, 2.0), 4),
        "kps": (rng.normal(0, 0.1, (20, 3)), np.tile(PLACES.ravel(), 2), 10),
    }
    for kind, (weight, bias, size) in heads.items():
        if kind == "kps" and not landmarks:
            continue
        for stride in STRIDES:
            name = f"{kind}_{stride}"
            # Discs are found at one stride or two, by their size.
            shift = bias - (0.5 * STRIDES.index(stride) if kind == "score" else 0)
            constants += [
                _constant(f"{name}_w", weight[:, :, None, None]),
                _constant(f"{name}_b", shift),
                _constant(f"{name}_s", [-1, size], np.int64),
            ]
            nodes += [
                helper.make_node(
                    "AveragePool", ["input"], [f"{name}_p"], kernel_shape=[stride] * 2, strides=[stride] * 2
                ),
                helper.make_node("Conv", [f"{name}_p", f"{name}_w", f"{name}_b"], [f"{name}_c"]),
                helper.make_node("Transpose", [f"{name}_c"], [f"{name}_t"], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"{name}_t", f"{name}_s"], [f"{name}_r" if kind == "score" else name]),
            ]
            if kind == "score":
                nodes.append(helper.make_node("Sigmoid", [f"{name}_r"], [name]))
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, size]))
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "height", "width"])
    return _model(nodes, [given], outputs, constants)


def recogniser(seed: int = 0) -> onnx.ModelProto:
    """ArcFace's: 3×112×112 to 512 numbers."""
    rng = np.random.default_rng(seed)
    constants = [
        _constant("w", rng.normal(0, 0.05, (8, 3, 16, 16))),
        _constant("m", rng.normal(0, 0.2, (8 * 7 * 7, 512))),
    ]
    nodes = [
        helper.make_node("Conv", ["data", "w"], ["c"], strides=[16, 16]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("MatMul", ["f", "m"], ["embedding"]),
    ]
    given = helper.make_tensor_value_info("data", TensorProto.FLOAT, [None, 3, 112, 112])
    found = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [None, 512])
    return _model(nodes, [given], [found], constants)


def landmarks() -> onnx.ModelProto:
    """A network of another task, which packs have, too: 192×192."""
    given = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 192, 192])
    found = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3, 192, 192])
    return _model([helper.make_node("Relu", ["data"], ["out"])], [given], [found], [])


def _model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    constants: list[onnx.TensorProto],
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "toy", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def write_pack(folder: Path, seed: int = 0) -> Path:
    """Write a model pack, with a network that is not needed in front."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(landmarks(), folder / "2d106det.onnx")
    onnx.save(detector(seed), folder / "det_toy.onnx")
    onnx.save(recogniser(seed), folder / "w600k_toy.onnx")
    return folder


def portrait(seed: int, size: tuple[int, int] = (176, 256), faces: int = 1) -> npt.NDArray[np.uint8]:
    """An image in RGB, dark but for discs, the first of them the largest."""
    rng = np.random.default_rng(seed)
    width, height = size
    image = rng.integers(0, 90, (height, width, 3))
    for i in range(faces):
        middle = int(width * (0.4 + 0.4 * i)), int(height * (0.3 + 0.4 * i))
        disc = cv2.circle(np.zeros((height, width), np.uint8), middle, width // (6 + 3 * i), (1,), -1)
        image = np.where(disc[..., None] > 0, rng.integers(215, 256, 3) - rng.integers(0, 30, image.shape), image)
    return image.astype(np.uint8)
