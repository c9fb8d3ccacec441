"""The fonts of Recaster: which ship with it, which file carries which weight, and that each is the right one.

It holds no drawing: `draw` turns a file into a typeface. No system font is ever looked at, so the same text gives the
same pixels on every machine. All fonts are under the SIL Open Font License 1.1; the licence files lie beside them, and
`fonts/fonts.toml` names origin and hash of each. The files are made by `tools/build_fonts.py`. Scripts that these lack
come from Noto fonts that are installed with Recaster as packages of their own, with their licences.
"""

from __future__ import annotations

import hashlib
import lzma
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from recaster.errors import InvalidInput, ModelMissing

FONT_FOLDER = Path(__file__).parent / "fonts"
DEFAULT_FONT = "tiktok-sans"
EMOJI_FONT = "noto-color-emoji"


@dataclass(frozen=True, slots=True)
class FontFamily:
    """A family that a `TextStyle.font` may name."""

    key: str
    title: str
    weights: tuple[int, ...]
    """Weights that have a file of their own; others are served by the nearest."""


FONTS: dict[str, FontFamily] = {
    "tiktok-sans": FontFamily("tiktok-sans", "TikTok Sans", (400, 700, 900)),
    "montserrat": FontFamily("montserrat", "Montserrat", (700, 800)),
    "anton": FontFamily("anton", "Anton", (400,)),
    "courier-prime": FontFamily("courier-prime", "Courier Prime", (700,)),
    "lora": FontFamily("lora", "Lora", (700,)),
    "caveat": FontFamily("caveat", "Caveat", (700,)),
    "pacifico": FontFamily("pacifico", "Pacifico", (400,)),
}
"""Text families by key: one for each kind of face that phone editors offer (plain, geometric, condensed, typewriter, serif,
handwriting, neon script). `noto-color-emoji` is not among them: it is the fallback for emoji in every family."""


FALLBACK_PACKAGES: dict[str, str] = {
    "fontpkg_noto_sans_arabic": "NotoSansArabic[wdth,wght].ttf",
    "fontpkg_noto_sans_devanagari": "NotoSansDevanagari[wdth,wght].ttf",
    "fontpkg_noto_sans_thai": "NotoSansThai[wdth,wght].ttf",
}
"""Packages that carry Noto fonts (OFL 1.1) for further scripts, and the file in each."""
FALLBACK_WEIGHT = 700
"""Weight at which the variable fallback fonts are used: overlays are set bold."""


def fallback_font_files() -> tuple[Path, ...]:
    """The Noto fonts, in the order in which they are asked for a character.

    Raises `ModelMissing` when a package is not there.
    """
    found = []
    for package, file in FALLBACK_PACKAGES.items():
        try:
            folder = Path(str(files(package)))
        except ModuleNotFoundError as error:
            raise ModelMissing(
                f"The font package {package} is missing from the installation; install Recaster again."
            ) from error
        found.append(folder / "files" / file)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class FontFile:
    """One entry of the manifest."""

    key: str
    title: str
    weight: int
    file: str
    sha256: str
    licence: str
    licence_file: str
    origin: str
    commercial_use: bool


def font_manifest(folder: Path = FONT_FOLDER) -> tuple[FontFile, ...]:
    """Read the manifest `fonts.toml` of `folder`."""
    with (folder / "fonts.toml").open("rb") as file:
        entries = tomllib.load(file)["font"]
    return tuple(FontFile(**entry) for entry in entries)


def find_font(key: str, weight: int, folder: Path = FONT_FOLDER) -> FontFile:
    """The file that serves a family and a weight: the nearest weight there is, the heavier one of two equally near.

    Raises `InvalidInput` when there is no family of that key.
    """
    entries = [entry for entry in font_manifest(folder) if entry.key == key]
    if not entries:
        raise InvalidInput(
            f"There is no font '{key}'. Fonts that ship: {', '.join(FONTS)}. Name one of these.",
            field="font",
            value=key,
            limit=list(FONTS),
        )
    return min(entries, key=lambda entry: (abs(entry.weight - weight), -entry.weight))


def read_font(entry: FontFile, folder: Path = FONT_FOLDER) -> bytes:
    """The TrueType bytes of a font file, unpacked.

    Raises `ModelMissing` when the file is not there or has another SHA-256 than the manifest says.
    """
    path = folder / entry.file
    if not path.is_file():
        raise ModelMissing(f"The font file {entry.file} is missing from the installation; install Recaster again.")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != entry.sha256:
        raise ModelMissing(
            f"The font file {entry.file} is not the one that was shipped (SHA-256 {found[:12]}…, expected "
            f"{entry.sha256[:12]}…); install Recaster again.",
            file=entry.file,
        )
    return lzma.decompress(data) if entry.file.endswith(".xz") else data
