"""What restorers and parsers have in common: a generator around a generator. It does nothing to the faces itself."""

from __future__ import annotations

from recaster.media.faces.generator import FaceGenerator


class RefinedGenerator:
    """The part of a `FaceGenerator` that stays as the generator inside says."""

    def __init__(self, generator: FaceGenerator) -> None:
        self._generator = generator

    @property
    def shape_transfer(self) -> float:
        """Of the generator inside."""
        return self._generator.shape_transfer

    @property
    def keeps_source_eyes(self) -> bool:
        """Of the generator inside."""
        return self._generator.keeps_source_eyes
