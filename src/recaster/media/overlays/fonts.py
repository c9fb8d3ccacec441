"""The fonts of Recaster: which ship with it, which file carries which weight, and that each is the right one.

It holds no drawing: `draw` turns a file into a typeface. No system font is ever looked at, so the same text gives the
same pixels on every machine. All fonts are under the SIL Open Font License 1.1; the licence files lie beside them, and
`fonts/fonts.toml` names origin and hash of each. The files are made by `tools/build_fonts.py`. Scripts that these lack
come from Noto fonts that are installed with Recaster as packages of their own, with their licences; those of China, Japan
and Korea, which weigh more than all others together, with an extra.
"""

from __future__ import annotations

import hashlib
import lzma
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import regex

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
    family.key: family
    for family in (
        FontFamily("tiktok-sans", "TikTok Sans", (400, 700, 900)),
        FontFamily("montserrat", "Montserrat", (700, 800)),
        FontFamily("poppins", "Poppins", (700,)),
        FontFamily("inter", "Inter", (700,)),
        FontFamily("anton", "Anton", (400,)),
        FontFamily("bebas-neue", "Bebas Neue", (400,)),
        FontFamily("oswald", "Oswald", (600,)),
        FontFamily("courier-prime", "Courier Prime", (700,)),
        FontFamily("book-serif", "Recaster Book Serif", (700,)),
        FontFamily("high-contrast-serif", "Recaster High-Contrast Serif", (700,)),
        FontFamily("fredoka", "Fredoka", (600,)),
        FontFamily("bangers", "Bangers", (400,)),
        FontFamily("caveat", "Caveat", (700,)),
        FontFamily("pacifico", "Pacifico", (400,)),
    )
}
"""Text families by key: the kinds of face that phone editors offer (plain, geometric, condensed, typewriter, serif, round,
comic, handwriting, neon script). `noto-color-emoji` is not among them: it is the fallback for emoji in every family."""

SCRIPT_FONTS: tuple[str, ...] = ("noto-sans-hebrew",)
"""Fonts that ship for one script each; asked for what a family lacks."""

FALLBACK_PACKAGES: dict[str, str] = {
    "fontpkg_noto_sans_arabic": "NotoSansArabic[wdth,wght].ttf",
    "fontpkg_noto_sans_devanagari": "NotoSansDevanagari[wdth,wght].ttf",
    "fontpkg_noto_sans_thai": "NotoSansThai[wdth,wght].ttf",
}
"""Packages that carry Noto fonts (OFL 1.1) for further scripts, and the file in each."""
FALLBACK_WEIGHT = 700
"""Weight at which the variable fallback fonts are used: overlays are set bold."""


CJK_EXTRA = "cjk"
"""The extra of the installation that brings Chinese, Japanese and Korean letters: 33 MB, so nobody gets them unasked."""
_CJK_PACKAGE, _CJK_FILE = "manimgx_fonts_cjk", "NotoSansCJK-VF.otf.ttc"
_CJK_SHA256 = "d3d8256cdec8dbcb3552284bc6b20c734dd60c2ee9df83b5758e34807c4bac32"
_CJK_LETTERS = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Bopomofo}\u3000-\u303f\uff00-\uffef]")
_CJK_MEMBERS = {"ja": 0, "ko": 1, "zh": 2}
"""Members of the font collection: the same letters, drawn as each language draws them."""


@lru_cache(maxsize=1)
def cjk_font_file() -> Path | None:
    """The collection Noto Sans CJK (OFL 1.1), unmodified as Noto publishes it; None where the extra is not installed.

    Raises `ModelMissing` when it is another file than the one that was tested.
    """
    try:
        path = Path(str(files(_CJK_PACKAGE))) / _CJK_FILE
    except ModuleNotFoundError:
        return None
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "nothing"
    if found != _CJK_SHA256:
        raise ModelMissing(
            f"The font file {_CJK_FILE} is not the one that was tested (SHA-256 {found[:12]}…, expected "
            f"{_CJK_SHA256[:12]}…); install the extra '{CJK_EXTRA}' again.",
            file=_CJK_FILE,
        )
    return path


def has_cjk(text: str) -> bool:
    """Whether a text has Chinese, Japanese or Korean letters or their punctuation."""
    return _CJK_LETTERS.search(text) is not None


def cjk_members(text: str) -> tuple[int, ...]:
    """Members of the collection in the order in which a text's letters are looked for.

    Kana are Japanese, Hangul is Korean; letters that the three share are drawn as in simplified Chinese without these.
    """
    first = (
        "ja"
        if regex.search(r"[\p{Hiragana}\p{Katakana}]", text)
        else "ko"
        if regex.search(r"\p{Hangul}", text)
        else "zh"
    )
    return (_CJK_MEMBERS[first], *(member for language, member in _CJK_MEMBERS.items() if language != first))


def remedy_for(characters: Sequence[str]) -> str:
    """What can be done about characters that no font has."""
    if any(has_cjk(one) for one in characters) and cjk_font_file() is None:
        return f"Install the extra '{CJK_EXTRA}' (pip install 'recaster[{CJK_EXTRA}]'), or use other words."
    return "Use other words or add a fallback font."


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
