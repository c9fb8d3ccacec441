"""Tiny ONNX files with the inputs and outputs of public face networks, for tests: they do one simple, known thing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LENGTH = 16
"""Numbers of an identity vector; the real ones have 512."""
SIZES = {"inswapper": 128, "simswap": 256, "ghost": 256, "hyperswap": 256}
TINT = np.array([0.9, 0.1, 0.2], np.float32)
"""What a tinting generator adds to red, green and blue for an identity of length one."""


def saved(path: Path, nodes: Sequence, inputs: Sequence, outputs: Sequence, constants: dict[str, np.ndarray]) -> Path:
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(list(nodes), "tiny", list(inputs), list(outputs), weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def floats(name: str, *shape: object, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, list(shape))


def swapper(path: Path, family: str, *, tint: float = 0.0, batch: object = 1, matrix: np.ndarray | None = None) -> Path:
    """A generator of a family's shapes that gives back what it sees, and adds `tint` times a colour for the identity.

    A family whose result has another range than what it sees (SimSwap) gets the step between the two.
    """
    side = SIZES[family]
    constants = {
        "scale": np.array(IMAGENET_DEVIATION if family == "simswap" else (1, 1, 1), np.float32).reshape(1, 3, 1, 1),
        "shift": np.array(IMAGENET_MEAN if family == "simswap" else (0, 0, 0), np.float32).reshape(1, 3, 1, 1),
        "colors": np.repeat(TINT[None], LENGTH, axis=0) * np.float32(tint),
        "planes": np.array([-1, 3, 1, 1], np.int64),
    }
    nodes = [
        helper.make_node("Mul", ["target", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], ["seen"]),
        helper.make_node("Abs", ["source"], ["size"]),
        helper.make_node("MatMul", ["size", "colors"], ["color"]),
        helper.make_node("Reshape", ["color", "planes"], ["added"]),
        helper.make_node("Add", ["seen", "added"], ["output"]),
    ]
    inputs = [floats("target", batch, 3, side, side), floats("source", batch, LENGTH)]
    outputs = [floats("output", batch, 3, side, side)]
    if family == "hyperswap":
        constants |= {"half": np.array(0.5, np.float32), "none": np.array(0.0, np.float32)}
        nodes += [
            helper.make_node("ReduceMean", ["target"], ["gray"], axes=[1], keepdims=1),
            helper.make_node("Mul", ["gray", "none"], ["nothing"]),
            helper.make_node("Add", ["nothing", "half"], ["mask"]),
        ]
        outputs.append(floats("mask", batch, 1, side, side))
    if matrix is not None:
        constants["emap"] = matrix.astype(np.float32)
    return saved(path, nodes, inputs, outputs, constants)


def recogniser(path: Path, length: int = LENGTH, size: int = 112) -> Path:
    """The mean red, green and blue of what it sees, followed by ones."""
    spread = np.zeros((3, length), np.float32)
    spread[:, :3] = np.eye(3)
    rest = np.ones(length, np.float32)
    rest[:3] = 0
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["colors"]),
        helper.make_node("MatMul", ["colors", "spread"], ["placed"]),
        helper.make_node("Add", ["placed", "rest"], ["output"]),
    ]
    inputs, outputs = [floats("input", 1, 3, size, size)], [floats("output", 1, length)]
    return saved(path, nodes, inputs, outputs, {"spread": spread, "rest": rest})


def doubler(path: Path, length: int = LENGTH) -> Path:
    """A converter of identities: twice the vector."""
    nodes = [helper.make_node("Add", ["input", "input"], ["output"])]
    return saved(path, nodes, [floats("input", 1, length)], [floats("output", 1, length)], {})


def restorer(path: Path, *, with_fidelity: bool = False) -> Path:
    """White wherever it looks; with a second input, as bright as that says."""
    constants = {"none": np.array(0.0, np.float32), "white": np.array(1.0, np.float32)}
    nodes = [helper.make_node("Mul", ["input", "none"], ["nothing"])]
    inputs, outputs = [floats("input", 1, 3, 512, 512)], [floats("output", 1, 3, 512, 512)]
    if with_fidelity:
        inputs.append(floats("weight", 1, kind=TensorProto.DOUBLE))
        nodes.append(helper.make_node("Cast", ["weight"], ["light"], to=TensorProto.FLOAT))
        constants.pop("white")
    nodes.append(helper.make_node("Add", ["nothing", "light" if with_fidelity else "white"], ["output"]))
    return saved(path, nodes, inputs, outputs, constants)


def class_parser(path: Path) -> Path:
    """Nineteen classes: skin (1) where red is more than blue, background (0) elsewhere."""
    weights = np.zeros((19, 3, 1, 1), np.float32)
    # Undo the normalisation in the difference, so that equal red and blue give no score.
    weights[1, 0], weights[1, 2] = 60 * IMAGENET_DEVIATION[0], -60 * IMAGENET_DEVIATION[2]
    bias = np.zeros(19, np.float32)
    bias[1] = 60 * (IMAGENET_MEAN[0] - IMAGENET_MEAN[2])
    bias[2:] = -50
    nodes = [helper.make_node("Conv", ["input", "weights", "bias"], ["output"], kernel_shape=[1, 1])]
    inputs, outputs = [floats("input", 1, 3, 512, 512)], [floats("output", 1, 19, 512, 512)]
    return saved(path, nodes, inputs, outputs, {"weights": weights, "bias": bias})


def plane_parser(path: Path) -> Path:
    """One plane, channels last: 1 where blue, the first channel, is dark."""
    constants = {
        "first": np.array([0], np.int64), "one": np.array([1], np.int64), "axis": np.array([3], np.int64),
        "limit": np.array(0.8, np.float32),
    }  # fmt: skip
    nodes = [
        helper.make_node("Slice", ["input", "first", "one", "axis"], ["blue"]),
        helper.make_node("Less", ["blue", "limit"], ["dark"]),
        helper.make_node("Cast", ["dark"], ["output"], to=TensorProto.FLOAT),
    ]
    inputs, outputs = [floats("input", 1, 256, 256, 3)], [floats("output", 1, 256, 256, 1)]
    return saved(path, nodes, inputs, outputs, constants)


def described(path: Path, *, commercial: bool = True) -> str:
    """The TOML keys of one network file."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    allowed = "true" if commercial else "false"
    licence = "Apache-2.0" if commercial else "for research only"
    return f'file = "{path.name}"\nsha256 = "{digest}"\nlicence = "{licence}"\ncommercial_use = {allowed}\n'


def write_swapper(
    folder: Path, name: str, family: str, *, commercial: bool = True, more: str = "", **network: object
) -> Path:
    """An engine of kind `swapper`: description, generator and recogniser."""
    if family == "inswapper" and "matrix" not in network:
        network["matrix"] = np.eye(LENGTH)
    generator = swapper(folder / f"{name}.onnx", family, **network)  # type: ignore[arg-type]
    reader = recogniser(folder / f"{name}-recogniser.onnx")
    text = (
        f'kind = "swapper"\nfamily = "{family}"\n{more}\n[network]\n{described(generator, commercial=commercial)}'
        f"\n[identity.recogniser]\n{described(reader)}"
    )
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def write_single(folder: Path, name: str, kind: str, family: str, network: Path, more: str = "") -> Path:
    """An engine of one file."""
    path = folder / f"{name}.toml"
    path.write_text(f'kind = "{kind}"\nfamily = "{family}"\n{more}\n[network]\n{described(network)}')
    return path
