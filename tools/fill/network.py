"""The fill network: its shape, said once, and two ways to build it: to be trained with PyTorch, and as an ONNX graph.

A small U-Net (Ronneberger et al., 2015) with residual and dilated blocks. It sees a picture whose hole has been filled
smoothly, and the hole; it says what is to be added inside the hole.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional

HALF, QUARTER, EIGHTH, LAST = 24, 32, 48, 64
"""Channels at a half, a quarter, an eighth and a sixteenth of the size."""


@dataclass(frozen=True)
class Layer:
    """One convolution that keeps the size, or divides it by `stride`."""

    name: str
    inputs: int
    outputs: int
    side: int = 3
    stride: int = 1
    dilation: int = 1

    @property
    def padding(self) -> int:
        """Pixels of zeros at each side."""
        return self.dilation * ((self.side - 1) // 2)


def _block(name: str, width: int, dilation: int = 1) -> tuple[Layer, Layer]:
    return Layer(f"{name}.first", width, width, dilation=dilation), Layer(f"{name}.second", width, width)


LAYERS = {
    layer.name: layer
    for layer in (
        Layer("enter", 4, HALF, side=4, stride=2),
        Layer("down1", HALF, QUARTER, stride=2),
        *_block("block1", QUARTER),
        Layer("down2", QUARTER, EIGHTH, stride=2),
        *_block("block2a", EIGHTH),
        *_block("block2b", EIGHTH, dilation=2),
        Layer("down3", EIGHTH, LAST, stride=2),
        *_block("block3a", LAST),
        *_block("block3b", LAST, dilation=2),
        Layer("up2", LAST, EIGHTH),
        Layer("merge2", EIGHTH, EIGHTH),
        Layer("up1", EIGHTH, QUARTER),
        Layer("merge1", QUARTER, QUARTER),
        Layer("up0", QUARTER, HALF),
        Layer("merge0", HALF, HALF),
        Layer("leave", HALF, 12),
    )
}

Value = TypeVar("Value")


class Operations(Protocol[Value]):
    """What the network is made of."""

    def convolved(self, layer: Layer, x: Value) -> Value:
        """A convolution with the weights of its name."""
        ...

    def relu(self, x: Value) -> Value:
        """Nothing below 0."""
        ...

    def sum(self, x: Value, y: Value) -> Value:
        """Value by value."""
        ...

    def twice(self, x: Value) -> Value:
        """Twice the height and width, each value four times."""
        ...

    def spread(self, x: Value) -> Value:
        """Four channels to two by two pixels."""
        ...


def added(build: Operations[Value], x: Value) -> Value:
    """What to add inside the hole, (n, 3, 16 h, 16 w), from (n, 4, 16 h, 16 w).

    Input: blue, green and red in -0.5…0.5 with the hole filled smoothly, and 1 in the hole.
    """

    def layer(name: str, x: Value) -> Value:
        return build.convolved(LAYERS[name], x)

    def residual(name: str, x: Value) -> Value:
        return build.relu(build.sum(x, layer(f"{name}.second", build.relu(layer(f"{name}.first", x)))))

    half = build.relu(layer("enter", x))
    quarter = residual("block1", build.relu(layer("down1", half)))
    eighth = residual("block2b", residual("block2a", build.relu(layer("down2", quarter))))
    y = residual("block3b", residual("block3a", build.relu(layer("down3", eighth))))
    for level, skip in ((2, eighth), (1, quarter), (0, half)):
        y = build.relu(build.sum(layer(f"up{level}", build.twice(y)), skip))
        y = build.relu(layer(f"merge{level}", y))
    return build.spread(layer("leave", y))


def fresh_weights() -> dict[str, torch.Tensor]:
    """Random weights to start from, PyTorch's own for convolutions; at first the network adds nothing."""
    weights = {}
    for layer in LAYERS.values():
        reach = 0.0 if layer.name == "leave" else (layer.inputs * layer.side**2) ** -0.5
        kernel = torch.empty(layer.outputs, layer.inputs, layer.side, layer.side).uniform_(-reach, reach)
        weights[f"{layer.name}.weight"] = kernel.contiguous(memory_format=torch.channels_last)
        weights[f"{layer.name}.bias"] = torch.empty(layer.outputs).uniform_(-reach, reach)
    return weights


class Trained:
    """`Operations` on PyTorch tensors."""

    def __init__(self, weights: Mapping[str, torch.Tensor]) -> None:
        self._weights = weights

    def convolved(self, layer: Layer, x: torch.Tensor) -> torch.Tensor:
        """See `Operations`."""
        kernel, bias = self._weights[f"{layer.name}.weight"], self._weights[f"{layer.name}.bias"]
        return functional.conv2d(x, kernel, bias, layer.stride, layer.padding, layer.dilation)

    def relu(self, x: torch.Tensor) -> torch.Tensor:
        """See `Operations`."""
        return functional.relu(x)

    def sum(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """See `Operations`."""
        return x + y

    def twice(self, x: torch.Tensor) -> torch.Tensor:
        """See `Operations`."""
        return functional.interpolate(x, scale_factor=2, mode="nearest")

    def spread(self, x: torch.Tensor) -> torch.Tensor:
        """See `Operations`."""
        return functional.pixel_shuffle(x, 2)


class Graph:
    """`Operations` that write an ONNX graph; values are names in it. Weights are kept in half precision."""

    def __init__(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        self._weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants = [numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "twice")]

    def convolved(self, layer: Layer, x: str) -> str:
        """See `Operations`."""
        kernel, bias = self._weight(f"{layer.name}.weight"), self._weight(f"{layer.name}.bias")
        shape = {"strides": [layer.stride] * 2, "dilations": [layer.dilation] * 2, "pads": [layer.padding] * 4}
        return self._node("Conv", x, kernel, bias, **shape)

    def relu(self, x: str) -> str:
        """See `Operations`."""
        return self._node("Relu", x)

    def sum(self, x: str, y: str) -> str:
        """See `Operations`."""
        return self._node("Add", x, y)

    def twice(self, x: str) -> str:
        """See `Operations`."""
        how = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
        return self._node("Resize", x, "", "twice", **how)

    def spread(self, x: str) -> str:
        """See `Operations`."""
        return self._node("DepthToSpace", x, blocksize=2, mode="CRD")

    def _weight(self, name: str) -> str:
        """A weight, widened to single precision when the network is loaded."""
        self.constants.append(numpy_helper.from_array(self._weights[name].astype(np.float16), name))
        return self._node("Cast", name, to=TensorProto.FLOAT)

    def _node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name


def write_onnx(weights: Mapping[str, torch.Tensor], target: Path) -> None:
    """Write the network; its input is called `picture_and_hole`, its output `added`."""
    graph = Graph({name: value.detach().float().numpy() for name, value in weights.items()})
    graph.nodes.append(helper.make_node("Identity", [added(graph, "picture_and_hole")], ["added"]))
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "recaster-fill",
            [helper.make_tensor_value_info("picture_and_hole", TensorProto.FLOAT, [1, 4, "height", "width"])],
            [helper.make_tensor_value_info("added", TensorProto.FLOAT, [1, 3, "height", "width"])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
        producer_name="recaster tools/fill",
    )
    onnx.checker.check_model(model)
    part = target.with_suffix(".part")
    part.write_bytes(model.SerializeToString())
    os.replace(part, target)
