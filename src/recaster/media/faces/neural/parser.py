"""The slot for face parsing: a network that sees where the face is uncovered, so that hands and hair stay in front."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.errors import InvalidInput
from recaster.media.faces.follow import FollowedFace
from recaster.media.faces.generator import FaceGenerator, FaceView, GeneratedFace, GeneratorSession
from recaster.media.faces.mesh import Plane, Points
from recaster.media.faces.neural.alignment import Matrix, crop_matrix, cut, pasted, to_tensor
from recaster.media.faces.neural.files import NeuralEngine, ParserFile
from recaster.media.faces.neural.network import Device, Network
from recaster.media.faces.neural.refining import RefinedGenerator
from recaster.media.faces.persona import Persona
from recaster.media.video import Image

_KEPT = 0.5
"""Share of the frame before in the mask: what is in front of a face moves less than a mask trembles."""
_SOFTNESS = 0.012
"""Of the mask's border, over the side of the crop."""


class FaceParser(Protocol):
    """Tells where a face is uncovered."""

    def uncovered(self, image: Image, points: Points) -> tuple[Plane, Matrix]:
        """Look at the face at `points`.

        Args:
            image: BGR, (h, w, 3), with some surroundings.
            points: landmarks in its pixels, (468, 3).

        Returns:
            A plane of an aligned crop, 0–1, 1 where skin, brows, eyes, nose and mouth are seen; and the map from the image
            to that crop. In the crop the face stands still, so planes of neighbouring frames can be averaged.
        """
        ...


class OnnxParser:
    """`FaceParser` around an operator's network.

    Raises:
        InvalidInput: the network's inputs and outputs are not those of a parser.
        ModelMissing: ONNX Runtime cannot run the file.
    """

    def __init__(self, engine: NeuralEngine, device: Device = "auto") -> None:
        declared = engine.declared_as(ParserFile)
        self._declared = declared
        self._network = Network(engine.path(declared.network), device)
        self._input = self._network.input_of_rank(4, "the aligned face")
        # Networks for parsing often give the scores of inner layers too; the first is the final one.
        self._output = str(self._network.outputs[0].name)

    def uncovered(self, image: Image, points: Points) -> tuple[Plane, Matrix]:
        """Look at the face at `points`."""
        crop = self._declared.crop
        matrix = crop_matrix(points, crop.template, crop.size)
        tensor = to_tensor(cut(image, matrix, crop.size)[None], crop)
        plane = self._face(self._network.run([self._output], {self._input.name: tensor})[0])
        if plane.shape != (crop.size, crop.size):
            plane = np.asarray(cv2.resize(plane, (crop.size, crop.size), interpolation=cv2.INTER_LINEAR), np.float32)
        soft = cv2.GaussianBlur(np.clip(plane, 0, 1), (0, 0), _SOFTNESS * crop.size)
        return np.asarray(soft, np.float32), matrix

    def _face(self, scores: NDArray[np.float32]) -> Plane:
        """From the network's answer to a plane of 0–1."""
        wanted = self._declared.face_classes
        if not wanted:
            plane = scores.squeeze()
            if plane.ndim != 2:
                raise self._strange(scores)
            return np.asarray(plane, np.float32)
        if scores.ndim != 4 or max(wanted) >= scores.shape[1]:
            raise self._strange(scores)
        exponents = np.exp(scores[0] - scores[0].max(axis=0))
        return np.asarray(exponents[list(wanted)].sum(axis=0) / exponents.sum(axis=0), np.float32)

    def _strange(self, scores: NDArray[np.float32]) -> InvalidInput:
        return InvalidInput(
            f"{self._declared.network.file} answers with the shape {scores.shape}, which does not fit "
            f"face_classes = {list(self._declared.face_classes)}. It is not of the declared family.",
            field="face_classes",
            value=list(scores.shape),
        )


class UncoveredGenerator(RefinedGenerator):
    """`FaceGenerator` that shows its faces only where a parser sees the source's face uncovered."""

    def __init__(self, generator: FaceGenerator, parser: FaceParser) -> None:
        super().__init__(generator)
        self._parser = parser

    def begin(self, persona: Persona, face: FollowedFace) -> GeneratorSession:
        """Begin the generator's session."""
        return _UncoveredSession(self._generator.begin(persona, face), self._parser, face)


class _UncoveredSession:
    def __init__(self, session: GeneratorSession, parser: FaceParser, face: FollowedFace) -> None:
        self._session = session
        self._parser = parser
        self._face = face
        self._before: tuple[int, Plane] | None = None

    def generate(self, view: FaceView) -> GeneratedFace:
        """Draw, and cover what the parser sees in front of the face."""
        drawn = self._session.generate(view)
        plane, matrix = self._parser.uncovered(view.image, view.points)
        if self._before is not None and self._follows(self._before[0], view.row):
            plane = np.asarray(_KEPT * self._before[1] + (1 - _KEPT) * plane, np.float32)
        self._before = (view.row, plane)
        uncovered = np.clip(pasted(plane, matrix, view.image.shape[:2]), 0, 1)
        return GeneratedFace(drawn.picture, np.asarray(drawn.coverage * uncovered, np.float32))

    def _follows(self, row: int, other: int) -> bool:
        """Whether two rows are neighbouring frames of one uninterrupted run."""
        frames, runs = self._face.frames, self._face.runs
        return bool(other == row + 1 and frames[other] == frames[row] + 1 and runs[other] == runs[row])
