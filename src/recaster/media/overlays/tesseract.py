"""Scripts that the packaged network does not know, read by the program Tesseract where it is installed.

Cyrillic, Arabic, Devanagari, Thai and Korean. The program is optional and external: nothing is bundled, and without it
such lines are still found, only not read. What it reads counts less than what the network reads; it is only asked about
lines that the network was not sure of.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from recaster.media.video.model import Image

SCRIPTS: dict[str, str] = {
    "rus": r"\u0400-\u052f",
    "ukr": r"\u0400-\u052f",
    "ara": r"\u0600-\u06ff\u0750-\u077f",
    "fas": r"\u0600-\u06ff\u0750-\u077f",
    "hin": r"\u0900-\u097f",
    "tha": r"\u0e00-\u0e7f",
    "kor": r"\uac00-\ud7af\u1100-\u11ff",
}
"""Language of Tesseract → letters of its script, as a class of a regular expression."""
_WITHOUT_GAPS = frozenset({"tha"})
"""Languages that set no gap between words; Tesseract tells their words apart all the same."""
TRUST = 0.75
"""Share of Tesseract's own confidence that counts."""
_LEAST_CONFIDENCE = 45.0
_LEAST_SHARE = 0.7
"""Share of the letters that must be of the language's own script."""
_HEIGHT = 64
_SECONDS = 20


@dataclass(frozen=True, slots=True)
class ScriptReading:
    """What a line says in a script of its own."""

    text: str
    """In logical order, right-to-left scripts too."""
    confidence: float
    """0–1, already lowered by `TRUST`."""
    language: str


class ScriptReader(Protocol):
    """Reads lines in scripts that the network lacks."""

    def read(self, line: Image) -> ScriptReading | None:
        """The words of a level BGR picture of one line; None where it is in none of the reader's scripts."""
        ...


class TesseractReader:
    """`ScriptReader` that runs the program `tesseract` once per language and line."""

    def __init__(self, program: Path, languages: Sequence[str]) -> None:
        self._program = program
        self._languages = tuple(languages)

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages that are installed and of use here."""
        return self._languages

    def read(self, line: Image) -> ScriptReading | None:
        """See `ScriptReader.read`. A language on which the program fails is passed over."""
        best: ScriptReading | None = None
        for picture in _black_on_white(line):
            data = cv2.imencode(".png", picture)[1].tobytes()
            for language in self._languages:
                reading = self._run(data, language)
                if reading is not None and (best is None or reading.confidence > best.confidence):
                    best = reading
        return best

    def _run(self, png: bytes, language: str) -> ScriptReading | None:
        command = [str(self._program), "stdin", "stdout", "-l", language, "--psm", "7", "tsv"]
        try:
            done = subprocess.run(command, input=png, capture_output=True, timeout=_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        if done.returncode != 0:
            return None
        return _reading(done.stdout.decode("utf-8", "replace"), language)


def find_tesseract() -> TesseractReader | None:
    """The installed Tesseract with those of its languages that are of use; None where there is none."""
    found = shutil.which("tesseract")
    if found is None:
        return None
    try:
        listed = subprocess.run([found, "--list-langs"], capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    names = set(listed.stdout.decode("utf-8", "replace").split())
    languages = [language for language in SCRIPTS if language in names]
    return TesseractReader(Path(found), languages) if languages else None


def _reading(table: str, language: str) -> ScriptReading | None:
    """The words of Tesseract's table of tab-separated values."""
    words, confidences = [], []
    for row in table.splitlines()[1:]:
        cells = row.split("\t")
        if len(cells) >= 12 and cells[11].strip() and float(cells[10]) >= 0:
            words.append(cells[11].strip())
            confidences.append(float(cells[10]))
    text = ("" if language in _WITHOUT_GAPS else " ").join(words)
    letters = [character for character in text if character.isalpha()]
    if not letters:
        return None
    own = len(re.findall(f"[{SCRIPTS[language]}]", "".join(letters)))
    mean = float(np.average(confidences, weights=[len(word) for word in words]))
    if own < _LEAST_SHARE * len(letters) or mean < _LEAST_CONFIDENCE:
        return None
    return ScriptReading(text, round(TRUST * mean / 100, 3), language)


def _black_on_white(line: Image) -> tuple[Image, Image]:
    """The line as black letters on white, once taken for bright and once for dark letters."""
    scale = _HEIGHT / line.shape[0]
    large = cv2.resize(line, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    gray = cv2.GaussianBlur(cv2.cvtColor(large, cv2.COLOR_BGR2GRAY), (0, 0), 0.8)
    bright = cv2.threshold(gray, 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)[1]
    framed = [
        cv2.copyMakeBorder(picture, 12, 12, 12, 12, cv2.BORDER_CONSTANT, value=255)
        for picture in (bright, cv2.bitwise_not(bright))
    ]
    return np.asarray(framed[0], np.uint8), np.asarray(framed[1], np.uint8)
