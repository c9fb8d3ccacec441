"""Running an operator's ONNX file: on the graphics processor where there is one, with inputs told apart by their shapes."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

from recaster.errors import InvalidInput, ModelMissing, NotInstalled

Device = Literal["auto", "cpu"]
Tensor = NDArray[np.float32]

_ACCELERATORS: Final = (
    "CUDAExecutionProvider",
    "MIGraphXExecutionProvider",
    "ROCMExecutionProvider",
    "DmlExecutionProvider",
    "CoreMLExecutionProvider",
)
"""In the order in which they are tried; what a machine has depends on the installed build of ONNX Runtime."""
_REFUSALS: Final = (
    runtime.Fail,
    runtime.InvalidArgument,
    runtime.InvalidGraph,
    runtime.InvalidProtobuf,
    runtime.NoModel,
    runtime.NotImplemented,
    runtime.RuntimeException,
)
"""The runtime's errors share no class of their own."""
_TYPES: Final = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


def execution_providers(device: Device) -> list[str]:
    """Execution providers for a device, best first; the processor itself always comes last."""
    present = ort.get_available_providers() if device == "auto" else []
    return [*(name for name in _ACCELERATORS if name in present), "CPUExecutionProvider"]


class Network:
    """One opened ONNX file.

    Args:
        path: of the file, whose hash has been checked.
        device: where it runs.
        threads: on the processor.

    Raises:
        ModelMissing: the file is no model that ONNX Runtime can run.
        NotInstalled: the graphics processor that ONNX Runtime was built for cannot be started.
    """

    def __init__(self, path: Path, device: Device = "auto", threads: int = 2) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.path = path
        try:
            self._session = ort.InferenceSession(str(path), options, providers=execution_providers(device))
        except _REFUSALS as error:
            raise ModelMissing(f"{path} cannot be run by ONNX Runtime: {error}", model=path.name) from error
        wanted, started = execution_providers(device)[0], self._session.get_providers()
        if wanted not in started:
            # The runtime would go on a hundred times slower without a word.
            raise NotInstalled(
                f"ONNX Runtime was built for {wanted} but could not start it (it started {', '.join(started)}). Install "
                "the driver and libraries that it needs, or set `inference_device` to `cpu`.",
                provider=wanted,
            )
        self.inputs: tuple[Any, ...] = tuple(self._session.get_inputs())
        self.outputs: tuple[Any, ...] = tuple(self._session.get_outputs())

    def input_of_rank(self, rank: int, purpose: str) -> Any:
        """The one input with that number of dimensions.

        Raises:
            InvalidInput: there is none, or more than one.
        """
        found = [entry for entry in self.inputs if len(entry.shape) == rank]
        if len(found) != 1:
            shapes = ", ".join(f"{entry.name} {entry.shape}" for entry in self.inputs)
            raise InvalidInput(
                f"{self.path.name} should have one input of {rank} dimensions for {purpose}; its inputs are {shapes}. "
                "It is not of the declared family.",
                field="network.file",
                value=shapes,
            )
        return found[0]

    def output_with_channels(self, channels: int, purpose: str) -> str:
        """Name of the one output of four dimensions with that number of channels.

        Raises:
            InvalidInput: there is none, or more than one.
        """
        found = [entry.name for entry in self.outputs if len(entry.shape) == 4 and entry.shape[1] == channels]
        if len(found) != 1:
            shapes = ", ".join(f"{entry.name} {entry.shape}" for entry in self.outputs)
            raise InvalidInput(
                f"{self.path.name} should have one output of {channels} channels for {purpose}; its outputs are {shapes}. "
                "It is not of the declared family.",
                field="network.file",
                value=shapes,
            )
        return str(found[0])

    def run(self, names: Sequence[str], values: dict[str, NDArray[Any]]) -> list[Tensor]:
        """Run it; inputs are brought to the type that the network wants, results to float32."""
        wanted = {entry.name: _TYPES.get(entry.type, np.float32) for entry in self.inputs}
        fed = {name: np.ascontiguousarray(value, wanted[name]) for name, value in values.items()}
        return [np.asarray(result, np.float32) for result in self._session.run(list(names), fed)]


def square_matrix(path: Path, name: str, side: int) -> Tensor:
    """Read a matrix out of an ONNX file that no node of its graph need use.

    The inswapper interface keeps its projection of the identity there: as the last of the graph's initializers. The file is
    a protocol buffer (onnx.proto): field 7 of the model is the graph, field 5 of the graph are its initializers.

    Args:
        path: of the file.
        name: of the initializer, or `last`.
        side: of the matrix.

    Raises:
        InvalidInput: there is no such matrix.
    """
    found: NDArray[Any] | None = None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for field, start, end in _fields(content, 0, len(content)):
            if field != 7:
                continue
            for inner, first, last in _fields(content, start, end):
                if inner == 5:
                    called, values = _tensor(content, first, last, side * side)
                    if name == "last" or called == name:
                        found = values
    if found is None:
        raise InvalidInput(
            f"{path.name} holds no {side}x{side} matrix '{name}' of floating-point numbers as projection of the identity. "
            "It is not of the declared family.",
            field="identity.projection",
            value=name,
            limit=side,
        )
    return np.asarray(found.reshape(side, side), np.float32)


def _tensor(content: mmap.mmap, start: int, end: int, count: int) -> tuple[str, NDArray[Any] | None]:
    """Name and values of a TensorProto, whose data type is field 2, name 8, and values 4 (floats) or 9 (raw)."""
    name, kind, values = "", 0, None
    for field, first, last in _fields(content, start, end):
        if field == 8:
            name = content[first:last].decode("utf-8", "replace")
        elif field == 2:
            kind = first
        elif field in (4, 9):
            values = (first, last)
    size = {1: 4, 10: 2}.get(kind)  # FLOAT and FLOAT16
    if values is None or size is None or values[1] - values[0] != count * size:
        return name, None
    return name, np.frombuffer(content[values[0] : values[1]], np.float32 if size == 4 else np.float16)


def _fields(content: mmap.mmap, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, beginning and end of each field of a protocol buffer; of a varint its value stands for the beginning."""
    while position < end:
        key, position = _varint(content, position)
        kind = key & 7
        if kind == 0:
            value, position = _varint(content, position)
            yield key >> 3, value, position
        elif kind == 2:
            length, position = _varint(content, position)
            yield key >> 3, position, position + length
            position += length
        else:
            position += 8 if kind == 1 else 4


def _varint(content: mmap.mmap, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
