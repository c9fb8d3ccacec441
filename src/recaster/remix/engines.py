"""Which engine does which part: chosen by settings in the worker, built in the process that runs a stage."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recaster.errors import ModelMissing
from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings
from recaster.media.copywriting import CopyAdapter, FormulaAdapter
from recaster.media.copywriting.local import LocalAdapter
from recaster.media.copywriting.provider import ModelAddress, ProviderAdapter, ProviderSettings
from recaster.media.faces import FaceFinder, FaceIdentifier, FaceModels, FaceSwapper
from recaster.media.overlays import (
    FillNetwork,
    RapidTextReader,
    SkiaTextDrawer,
    TemporalEraser,
    TextDrawer,
    TextEraser,
    TextModels,
    TextReader,
    find_tesseract,
)
from recaster.media.video import Shot, VideoFacts
from recaster.remix.face_engines import FaceChoice

LOCAL_MODEL = "smollm2"
"""Name of the model file that the copy adapter `local` runs."""
FILL_MODEL = "overlay_fill"
"""Name of the model file that the eraser runs. It comes with the product, so it is always there."""


def engine_choice(settings: Settings, models: ModelStore) -> dict[str, Any]:
    """Return as JSON what a child process needs to build its engines; every model file is checked here.

    The provider's key is not in it: the child reads it from its own settings.

    Raises:
        ModelMissing, LicenceRefused, InvalidInput: a chosen engine cannot be used.
    """
    faces = FaceChoice.of(settings)
    faces.loaded()
    paths = models.paths()
    if settings.copy_adapter == "local":
        paths[LOCAL_MODEL] = models.path(LOCAL_MODEL)
    return {"models": {name: str(path) for name, path in paths.items()}, "faces": faces.to_json()}


@dataclass(frozen=True, slots=True)
class Engines:
    """Builds engines on demand, because each stage needs only some and loading them costs time and memory."""

    models: dict[str, Path]
    settings: Settings
    faces: FaceChoice = field(default_factory=FaceChoice)

    @classmethod
    def of(cls, settings: Settings) -> Engines:
        """Build what the settings choose, in this process; raises as `engine_choice` does."""
        choice = engine_choice(settings, ModelStore(settings.folder("models")))
        return replace(cls.from_choice(choice), settings=settings)

    @classmethod
    def from_choice(cls, choice: dict[str, Any]) -> Engines:
        """Build from the JSON of `engine_choice`; a `copy_adapter` in it wins over the settings."""
        settings = Settings()
        if "copy_adapter" in choice:
            settings = settings.model_copy(update={"copy_adapter": choice["copy_adapter"]})
        paths = {name: Path(path) for name, path in choice["models"].items()}
        return cls(paths, settings, FaceChoice.from_json(choice["faces"]))

    @property
    def names(self) -> dict[str, str]:
        """Names and versions of the chosen engines, as stored in a plan."""
        return {"reader": "pp-ocrv6-small/4", "eraser": "temporal/3", "drawer": "skia/2", **self.faces.names()}

    def reader(self) -> TextReader:
        """Return a new text reader."""
        models = TextModels(self.models["text_detector"], self.models["text_recogniser"])
        return RapidTextReader(models, scripts=find_tesseract())

    def eraser(self) -> TextEraser:
        """Return a new text eraser, for one clip."""
        return TemporalEraser(fill=FillNetwork(self.models[FILL_MODEL]).fill)

    def drawer(self) -> TextDrawer:
        """Return a new text drawer."""
        return SkiaTextDrawer()

    def face_models(self) -> FaceModels:
        """Return the model files of the face room."""
        return FaceModels.of(self.models)

    def face_finder(self, facts: VideoFacts, shots: tuple[Shot, ...]) -> FaceFinder:
        """Return what finds the faces of one clip."""
        return FaceFinder(facts, shots, self.face_models())

    def swapper(self) -> FaceSwapper:
        """Return a new face swapper."""
        return self.faces.build(self.face_models())

    def identifier(self) -> FaceIdentifier:
        """Return what tells whose face it is."""
        return FaceIdentifier(self.face_models())

    def copy_adapter(self) -> CopyAdapter:
        """Return the copy adapter of the settings."""
        return copy_adapter(self.settings, self.models.get(LOCAL_MODEL))


def copy_adapter(settings: Settings, local_model: Path | None) -> CopyAdapter:
    """Return the copy adapter of the settings. `local_model` is the file of the model `local` runs."""
    formulas = FormulaAdapter(settings.copy_formulas)
    if settings.copy_adapter == "formula":
        return formulas
    if settings.copy_adapter == "local":
        if local_model is None:
            raise ModelMissing(
                f"The copy adapter `local` needs the model file '{LOCAL_MODEL}'. Run `recaster models install "
                f"{LOCAL_MODEL}`.",
                model=LOCAL_MODEL,
            )
        return LocalAdapter(
            local_model,
            formulas,
            threads=settings.copy_local_threads,
            timeout_seconds=settings.copy_timeout_seconds,
            deadline_seconds=settings.copy_deadline_seconds,
        )
    second = ModelAddress(
        settings.copy_second_model,
        settings.copy_second_family,
        settings.copy_second_base_url,
        settings.copy_second_api_key.get_secret_value(),
    )
    provider = ProviderSettings(
        base_url=settings.copy_base_url,
        model=settings.copy_model,
        api_key=settings.copy_api_key.get_secret_value(),
        family=settings.copy_family,
        second=second if second.model else None,
        max_total_tokens=settings.copy_max_total_tokens,
        timeout_seconds=settings.copy_timeout_seconds,
        deadline_seconds=settings.copy_deadline_seconds,
    )
    return ProviderAdapter(provider, formulas)
