"""Which face engines the settings choose, and building them: the embedded mesh, or networks that the operator added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from recaster.errors import InvalidInput
from recaster.infra.settings import Settings
from recaster.media.faces import FaceModels, FaceSwapper, GeneratorSwapper, MeshSwapper
from recaster.media.faces.generator import FaceGenerator
from recaster.media.faces.neural import (
    Device,
    NeuralEngine,
    OnnxGenerator,
    OnnxParser,
    OnnxRestorer,
    load_engine,
    refined,
)
from recaster.media.faces.neural.files import Kind
from recaster.media.faces.texture import TextureGenerator

ONNX = "onnx:"
"""What stands before the name of a generator in the setting `face_swapper`."""
_MESH_VERSION = "mesh/4"


def with_swapper(settings: Settings, swapper: str | None) -> Settings:
    """Return the settings with another `face_swapper`, or as they are for None.

    Raises:
        InvalidInput: the value has no known form.
    """
    if swapper is None:
        return settings
    if swapper != "mesh" and not (swapper.startswith(ONNX) and len(swapper) > len(ONNX)):
        raise InvalidInput(
            f"'{swapper}' is no face swapper: give `mesh`, or `{ONNX}` and the name of an engine that is described in "
            f"{settings.engines_folder}.",
            field="swapper",
            value=swapper,
            limit=["mesh", f"{ONNX}NAME"],
        )
    return settings.model_copy(update={"face_swapper": swapper})


@dataclass(frozen=True, slots=True)
class FaceChoice:
    """The face engines of one render."""

    swapper: str = "mesh"
    """`mesh`, or `onnx:` and the name of an engine."""
    restorer: str = ""
    """Name of an engine, or empty."""
    parser: str = ""
    """Name of an engine, or empty."""
    folder: str = ""
    """Where engines are described."""
    allowed: tuple[str, ...] = ()
    """Engines whose non-commercial licence the operator accepts."""
    device: Device = "auto"

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return what the settings choose."""
        return cls(
            swapper=settings.face_swapper,
            restorer=settings.face_restorer,
            parser=settings.face_parser,
            folder=str(settings.engines_folder),
            allowed=tuple(settings.noncommercial_engines),
            device=settings.inference_device,
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from the JSON of `to_json`."""
        return cls(**{**data, "allowed": tuple(data["allowed"])})

    def to_json(self) -> dict[str, Any]:
        """Return JSON that `from_json` understands."""
        return asdict(self)

    def loaded(self) -> dict[Kind, NeuralEngine]:
        """Check licence and bytes of all chosen networks.

        Raises:
            InvalidInput, LicenceRefused, ModelMissing: an engine cannot be used; see `load_engine`.
        """
        chosen: dict[Kind, str] = {"restorer": self.restorer, "parser": self.parser}
        if self.swapper.startswith(ONNX):
            chosen["swapper"] = self.swapper.removeprefix(ONNX)
        return {kind: load_engine(Path(self.folder), name, kind, self.allowed) for kind, name in chosen.items() if name}

    def names(self) -> dict[str, str]:
        """Names and versions, as stored in a plan."""
        engines = self.loaded()
        generator = engines.get("swapper")
        names = {"swapper": f"{ONNX}{generator.version}" if generator else _MESH_VERSION}
        return names | {f"face_{kind}": engine.version for kind, engine in engines.items() if kind != "swapper"}

    def build(self, models: FaceModels) -> FaceSwapper:
        """Return a new swapper.

        Raises:
            InvalidInput, LicenceRefused, ModelMissing: an engine cannot be used.
        """
        engines = self.loaded()
        if not engines:
            return MeshSwapper(models)
        own: FaceGenerator = (
            OnnxGenerator(engines["swapper"], self.device) if "swapper" in engines else TextureGenerator()
        )
        restorer = OnnxRestorer(engines["restorer"], self.device) if "restorer" in engines else None
        parser = OnnxParser(engines["parser"], self.device) if "parser" in engines else None
        return GeneratorSwapper(models, refined(own, restorer, parser))
