"""MediaPipe's own graphs for the pose, a face and hands, each with the one output that is wanted.

The solutions run the same graphs. They give the same numbers here, to the bit, for less: the pose model does not
compute the mask that nobody asked for, each graph runs in the thread that asks, and nothing is looked up by name.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from fhpt_eval.extract.tflite_pruning import without_output
from fhpt_eval.libraries import import_mediapipe

Array = npt.NDArray[Any]

_PRESENCE, _SEGMENTATION = 1, 2
"""Places of two outputs of the model that finds the landmarks of a pose."""

_OPTIONS = (
    *("core.constant_side_packet", "core.gate", "core.split_vector", "image.warp_affine"),
    *("tensor.image_to_tensor", "tensor.inference", "tensor.tensors_to_classification"),
    *("tensor.tensors_to_detections", "tensor.tensors_to_floats", "tensor.tensors_to_landmarks"),
    *("tensor.tensors_to_segmentation", "tflite.ssd_anchors", "util.association", "util.detections_to_rects"),
    *("util.landmark_projection", "util.landmarks_refinement", "util.landmarks_smoothing"),
    *("util.local_file_contents", "util.logic", "util.non_max_suppression", "util.rect_transformation"),
    *("util.thresholding", "util.visibility_smoothing"),
)
"""Calculators of these graphs that have options, as the modules are called that know them. What no module that is
imported knows is lost where a graph is handed on."""


def pose_graph() -> Callable[[Array], list[Sequence[Any]]]:
    """Return what ``Pose`` in static mode finds in an image: the 33 landmarks of one person, or none."""
    name = "modules/pose_landmark/pose_landmark"
    config = _published(f"{name}_cpu.binarypb")
    (loader,) = (node for node in config.node if node.calculator == "TfLiteModelCalculator")
    loader.input_side_packet[:] = ["MODEL_BLOB:model"]
    config.input_side_packet.append("model")
    model = without_output(_file(f"{name}_full.tflite").read_bytes(), _SEGMENTATION, stand_in=_PRESENCE)
    settings = ("smooth_landmarks", "enable_segmentation", "smooth_segmentation", "use_prev_landmarks")
    graph = _Graph(config, "pose_landmarks", model=model, model_complexity=1, **dict.fromkeys(settings, False))

    def find(image: Array) -> list[Sequence[Any]]:
        packet = graph(_image(image))
        return [] if packet is None else [_getter().get_proto(packet).landmark]

    return find


def face_graph() -> Callable[[Array], list[Sequence[Any]]]:
    """Return what ``FaceMesh`` in static mode finds in an image: the 468 landmarks of one face, or none."""
    config = _published("modules/face_landmark/face_landmark_front_cpu.binarypb")
    graph = _Graph(config, "multi_face_landmarks", num_faces=1, with_attention=False, use_prev_landmarks=False)

    def find(image: Array) -> list[Sequence[Any]]:
        packet = graph(_image(image))
        return [] if packet is None else [face.landmark for face in _getter().get_proto_list(packet)]

    return find


def hands_graph() -> Callable[[Array], list[Sequence[Any]]]:
    """Return what ``Hands`` in static mode finds in an image: the 21 landmarks of up to two hands."""
    config = _published("modules/hand_landmark/hand_landmark_tracking_cpu.binarypb")
    graph = _Graph(config, "multi_hand_landmarks", num_hands=2, model_complexity=1, use_prev_landmarks=False)

    def find(image: Array) -> list[Sequence[Any]]:
        packet = graph(_image(image))
        return [] if packet is None else [hand.landmark for hand in _getter().get_proto_list(packet)]

    return find


class _Graph:
    """A running graph."""

    def __init__(self, config: Any, output: str, **settings: bool | int | bytes) -> None:
        from mediapipe.python import packet_creator
        from mediapipe.python._framework_bindings import calculator_graph, resource_util

        create = {bool: packet_creator.create_bool, int: packet_creator.create_int, bytes: packet_creator.create_string}
        resource_util.set_resource_dir(str(_file("..")))
        # In the thread that asks: other cores have images of their own.
        del config.executor[:]
        config.executor.add(type="ApplicationThreadExecutor")
        self._graph = calculator_graph.CalculatorGraph(graph_config=config)
        self._found: list[Any] = []
        self._count = 0
        self._graph.observe_output_stream(output, lambda _, packet: self._found.append(packet))
        self._graph.start_run({name: create[type(value)](value) for name, value in settings.items()})

    def __call__(self, image: Any) -> Any | None:
        """Return the output's packet for that of an image, or None where there is none."""
        self._found.clear()
        self._count += 1
        self._graph.add_packet_to_input_stream("image", image.at(self._count))
        self._graph.wait_until_idle()
        return self._found[0] if self._found else None


def _know_options() -> None:
    import_mediapipe()
    for name in _OPTIONS:
        importlib.import_module(f"mediapipe.calculators.{name}_calculator_pb2")
    importlib.import_module("mediapipe.framework.tool.switch_container_pb2")


def _published(name: str) -> Any:
    """Read a graph of the package, with all its subgraphs in place."""
    _know_options()
    from mediapipe.framework import calculator_pb2
    from mediapipe.python._framework_bindings.validated_graph_config import ValidatedGraphConfig

    validated = ValidatedGraphConfig()
    validated.initialize(binary_graph_path=str(_file(name)))
    return calculator_pb2.CalculatorGraphConfig.FromString(validated.binary_config)


def _file(name: str) -> Path:
    """Return a file of the package."""
    return Path(import_mediapipe().__path__[0]) / name


def _image(pixels: Array) -> Any:
    from mediapipe.python import packet_creator
    from mediapipe.python._framework_bindings.image_frame import ImageFormat

    return packet_creator.create_image_frame(pixels, image_format=ImageFormat.SRGB)


def _getter() -> Any:
    from mediapipe.python import packet_getter

    return packet_getter
