"""Networks that an operator adds to the face room: generators, restorers, parsers. See docs/face-generators.md."""

from recaster.media.faces.neural.files import (
    AnyFile,
    NeuralEngine,
    declared_engines,
    load_engine,
    read_declaration,
)
from recaster.media.faces.neural.generator import OnnxGenerator, OnnxSwapper, refined
from recaster.media.faces.neural.network import Device, execution_providers
from recaster.media.faces.neural.parser import FaceParser, OnnxParser
from recaster.media.faces.neural.restorer import FaceRestorer, OnnxRestorer

__all__ = [
    "AnyFile",
    "Device",
    "FaceParser",
    "FaceRestorer",
    "NeuralEngine",
    "OnnxGenerator",
    "OnnxParser",
    "OnnxRestorer",
    "OnnxSwapper",
    "declared_engines",
    "execution_providers",
    "load_engine",
    "read_declaration",
    "refined",
]
