"""Network files that an operator adds: what they declare, and the check before one is opened. Nothing is run here.

One TOML file beside the ONNX files describes one engine: `house.toml` is the engine `house`. Its form is explained in
docs/face-generators.md. A family names a public interface and fills in what the file leaves out; a network with another
interface states everything itself.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recaster.errors import InvalidInput, LicenceRefused, ModelMissing

Kind = Literal["swapper", "restorer", "parser"]
TemplateName = Literal["arcface-112-v1", "arcface-112-v2", "arcface-128", "ffhq-512"]
Channels = tuple[float, float, float]
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ZERO: Final[Channels] = (0.0, 0.0, 0.0)
_ONE: Final[Channels] = (1.0, 1.0, 1.0)
_HALF: Final[Channels] = (0.5, 0.5, 0.5)
_IMAGENET_MEAN: Final[Channels] = (0.485, 0.456, 0.406)
_IMAGENET_DEVIATION: Final[Channels] = (0.229, 0.224, 0.225)


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NetworkFile(_Table):
    """One ONNX file."""

    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.onnx$")]
    """Name of a file in the same folder."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    licence: Annotated[str, Field(min_length=1)]
    """As its maker states it, best as an SPDX name."""
    commercial_use: bool
    """Whether that licence allows commercial use."""
    origin: str = ""
    """Where it was had from."""


class Crop(_Table):
    """The square picture a network sees."""

    size: Annotated[int, Field(ge=32, le=2048)]
    """Pixels a side."""
    template: TemplateName
    """Where eyes, nose and mouth corners stand in it (`alignment`)."""
    mean: Channels = _ZERO
    """Of red, green and blue, taken from values of 0–1."""
    deviation: Channels = _ONE
    """By which the rest is divided."""
    channels_last: bool = False
    """Whether the network wants (1, height, width, 3) instead of (1, 3, height, width)."""
    blue_first: bool = False
    """Whether it wants blue, green, red."""


class Result(_Table):
    """The picture a network gives: value * deviation + mean is 0–1, red first."""

    mean: Channels = _ZERO
    deviation: Channels = _ONE


class Identity(_Table):
    """What tells a generator whose face to draw."""

    recogniser: NetworkFile
    """Turns an aligned face into a vector, as ArcFace does."""
    crop: Crop = Crop(size=112, template="arcface-112-v2", mean=_HALF, deviation=_HALF)
    """What the recogniser sees."""
    converter: NetworkFile | None = None
    """Turns that vector into the one the generator was trained with, if that is another."""
    projection: str = ""
    """Name of a square matrix in the generator's own file by which the vector is multiplied; `last` is its last one."""
    unit_length: bool = True
    """Whether the generator wants a vector of length one."""


class SwapperFile(_Table):
    """A generator: (picture, identity) → picture, and perhaps a mask."""

    kind: Literal["swapper"]
    family: str = ""
    network: NetworkFile
    crop: Crop
    result: Result
    identity: Identity
    most_tiles: Annotated[int, Field(ge=1, le=4)] = 2
    """A face larger than the crop is drawn in up to this number of interleaved tiles a side; each costs a run."""
    shape_transfer: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How far the head is given the persona's shape before drawing; 0 for generators that do so by themselves."""

    @property
    def files(self) -> tuple[NetworkFile, ...]:
        """All files of this engine."""
        converter = (self.identity.converter,) if self.identity.converter else ()
        return (self.network, self.identity.recogniser, *converter)


class RestorerFile(_Table):
    """A restorer: picture → sharper picture."""

    kind: Literal["restorer"]
    family: str = ""
    network: NetworkFile
    crop: Crop
    result: Result
    strength: Annotated[float, Field(ge=0, le=1)] = 0.6
    """Share of the restored picture in the result."""
    fidelity: Annotated[float, Field(ge=0, le=1)] = 0.7
    """For networks with a second, scalar input: 1 stays close to what they are given."""

    @property
    def files(self) -> tuple[NetworkFile, ...]:
        """All files of this engine."""
        return (self.network,)


class ParserFile(_Table):
    """A parser: picture → where the face is uncovered, as scores of classes or as one plane."""

    kind: Literal["parser"]
    family: str = ""
    network: NetworkFile
    crop: Crop
    face_classes: tuple[int, ...] = ()
    """Classes that are face; empty for a network with one plane, 1 where the face is uncovered."""

    @property
    def files(self) -> tuple[NetworkFile, ...]:
        """All files of this engine."""
        return (self.network,)


AnyFile = SwapperFile | RestorerFile | ParserFile
_File = TypeVar("_File", bound=SwapperFile | RestorerFile | ParserFile)
_KINDS: Final[dict[str, type[SwapperFile] | type[RestorerFile] | type[ParserFile]]] = {
    "swapper": SwapperFile,
    "restorer": RestorerFile,
    "parser": ParserFile,
}

FAMILIES: Final[dict[str, dict[str, dict[str, dict[str, Any]]]]] = {
    "swapper": {
        "inswapper": {
            "crop": {"size": 128, "template": "arcface-128"},
            "result": {},
            "identity": {"projection": "last", "unit_length": True},
        },
        "simswap": {
            "crop": {
                "size": 256,
                "template": "arcface-112-v1",
                "mean": _IMAGENET_MEAN,
                "deviation": _IMAGENET_DEVIATION,
            },
            "result": {},
            "identity": {"unit_length": True},
        },
        "ghost": {
            "crop": {"size": 256, "template": "arcface-112-v1", "mean": _HALF, "deviation": _HALF},
            "result": {"mean": _HALF, "deviation": _HALF},
            "identity": {"unit_length": False},
        },
        "hyperswap": {
            "crop": {"size": 256, "template": "arcface-128", "mean": _HALF, "deviation": _HALF},
            "result": {"mean": _HALF, "deviation": _HALF},
            "identity": {"unit_length": True},
        },
    },
    "restorer": {
        # GFPGAN, GPEN, RestoreFormer and, with a second input for fidelity, CodeFormer.
        "gfpgan": {
            "crop": {"size": 512, "template": "ffhq-512", "mean": _HALF, "deviation": _HALF},
            "result": {"mean": _HALF, "deviation": _HALF},
        },
    },
    "parser": {
        # BiSeNet with the 19 classes of CelebAMask-HQ: skin, brows, eyes, nose, mouth, lips are face; glasses, hair and ears not.
        "bisenet": {
            "crop": {
                "size": 512,
                "template": "ffhq-512",
                "mean": _IMAGENET_MEAN,
                "deviation": _IMAGENET_DEVIATION,
            },
            "": {"face_classes": (1, 2, 3, 4, 5, 10, 11, 12, 13)},
        },
        "xseg": {
            "crop": {"size": 256, "template": "arcface-128", "channels_last": True, "blue_first": True},
        },
    },
}
"""By kind and family, the tables of what a public interface fixes; the table "" holds values of the top level."""


@dataclass(frozen=True, slots=True)
class NeuralEngine:
    """An engine whose licence and bytes have been checked."""

    name: str
    declared: AnyFile
    folder: Path

    def declared_as(self, kind: type[_File]) -> _File:
        """What the engine declares, if it is of that kind.

        Raises:
            InvalidInput: it is of another kind.
        """
        if not isinstance(self.declared, kind):
            wanted = next(name for name, table in _KINDS.items() if table is kind)
            raise InvalidInput(
                f"The face engine '{self.name}' is a {self.declared.kind}, not a {wanted}.",
                field="kind",
                value=self.declared.kind,
                limit=wanted,
            )
        return self.declared

    def path(self, file: NetworkFile) -> Path:
        """Path of one of its files."""
        return self.folder / file.file

    @property
    def version(self) -> str:
        """Name and the beginning of the network's SHA-256, as stored in plans."""
        return f"{self.name}/{self.declared.network.sha256[:12]}"


def declared_engines(folder: Path) -> Iterator[str]:
    """Names of all engines that are described in a folder, sorted."""
    yield from sorted(path.stem for path in folder.glob("*.toml"))


def read_declaration(folder: Path, name: str) -> AnyFile:
    """Read what an engine declares, without looking at its network files.

    Raises:
        InvalidInput: there is no such description, or it is not of the form; the message names the key.
    """
    path = folder / f"{name}.toml"
    if not _NAME.fullmatch(name) or not path.is_file():
        known = ", ".join(declared_engines(folder)) or "none"
        raise InvalidInput(
            f"There is no face engine called '{name}': {path} does not exist. Described there: {known}.",
            field="name",
            value=name,
            limit=known,
        )
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is not valid TOML: {error}.", field="name", value=name) from error
    kind = table.get("kind")
    if kind not in _KINDS:
        raise InvalidInput(
            f"{path} has kind = {kind!r}; it must be one of {', '.join(_KINDS)}.",
            field="kind",
            value=kind,
            limit=list(_KINDS),
        )
    try:
        return _KINDS[kind].model_validate(_completed(table, kind, path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(
            f"{path}, key {key or 'of the top level'}: {first['msg']}. See docs/face-generators.md.",
            field=key,
            value=repr(first.get("input"))[:80],
        ) from error


def load_engine(folder: Path, name: str, kind: Kind, allowed: Collection[str] = ()) -> NeuralEngine:
    """Check an engine's description, licence and bytes.

    Args:
        folder: with descriptions and network files.
        name: of the engine.
        kind: that is wanted.
        allowed: engines whose non-commercial licence the operator accepts by name.

    Raises:
        InvalidInput: there is no such engine, it is of another kind, or its description is wrong.
        LicenceRefused: a file may not be used commercially and the engine is not in `allowed`.
        ModelMissing: a file is not there or does not have its SHA-256.
    """
    engine = NeuralEngine(name, read_declaration(folder, name), folder)
    declared = engine.declared_as(_KINDS[kind])
    for file in declared.files:
        if not file.commercial_use and name not in allowed:
            raise LicenceRefused(
                f"The face engine '{name}' uses {file.file}, whose licence ({file.licence}) does not allow commercial use. "
                f"If your use is allowed, add '{name}' to the setting `noncommercial_engines`.",
                engine=name,
                file=file.file,
                licence=file.licence,
            )
    for file in declared.files:
        _check_bytes(folder / file.file, file)
    return engine


def _completed(table: dict[str, Any], kind: str, path: Path) -> dict[str, Any]:
    """The table with what its family fixes; what the file states itself wins."""
    family = table.get("family", "")
    if not family:
        return table
    families = FAMILIES[kind]
    if family not in families:
        known = ", ".join(families)
        raise InvalidInput(
            f"{path} has family = {family!r}; for a {kind} it is one of {known}, or left out.",
            field="family",
            value=family,
            limit=known,
        )
    result = dict(table)
    for name, defaults in families[family].items():
        if name == "":
            result = {**defaults, **result}
        elif isinstance(result.get(name, {}), dict):
            result[name] = {**defaults, **result.get(name, {})}
    return result


def _check_bytes(path: Path, file: NetworkFile) -> None:
    if not path.is_file():
        raise ModelMissing(
            f"The network file {path} is missing. Put it there, or remove its description.", model=file.file
        )
    state = path.stat()
    found = _digest(path, state.st_size, state.st_mtime_ns)
    if found != file.sha256:
        raise ModelMissing(
            f"The network file {path} has the SHA-256 {found}, its description declares {file.sha256}. "
            "It is another file than the one that was described: check where it came from.",
            model=file.file,
        )


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, changed: int) -> str:
    """SHA-256 of a file; worked out again only when its size or time of change is another, since such files are large."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
