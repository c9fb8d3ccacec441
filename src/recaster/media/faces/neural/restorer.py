"""The slot for face restoration: a network that makes a drawn face sharper, after any generator."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from recaster.media.faces.follow import FollowedFace
from recaster.media.faces.generator import FaceGenerator, FaceView, GeneratedFace, GeneratorSession
from recaster.media.faces.mesh import Points
from recaster.media.faces.neural.alignment import Picture, crop_matrix, cut, faded, from_tensor, pasted, to_tensor
from recaster.media.faces.neural.files import NeuralEngine, RestorerFile
from recaster.media.faces.neural.network import Device, Network
from recaster.media.faces.neural.refining import RefinedGenerator
from recaster.media.faces.persona import Persona
from recaster.media.video import Image


class FaceRestorer(Protocol):
    """Makes the picture of a face sharper and cleaner without making it somebody else's."""

    def restore(self, image: Image, points: Points) -> Picture:
        """Restore the face at `points`.

        Args:
            image: BGR, (h, w, 3), with some surroundings.
            points: landmarks in its pixels, (468, 3).

        Returns:
            BGR, float32, 0–255, of the same shape; unchanged away from the face.
        """
        ...


class OnnxRestorer:
    """`FaceRestorer` around an operator's network.

    Raises:
        InvalidInput: the network's inputs and outputs are not those of a restorer.
        ModelMissing: ONNX Runtime cannot run the file.
    """

    def __init__(self, engine: NeuralEngine, device: Device = "auto") -> None:
        declared = engine.declared_as(RestorerFile)
        self._declared = declared
        self._network = Network(engine.path(declared.network), device)
        self._input = self._network.input_of_rank(4, "the aligned face")
        self._output = self._network.output_with_channels(3, "the restored face")
        # CodeFormer's second input: how far to trust what it is given.
        self._scalars = [entry.name for entry in self._network.inputs if len(entry.shape) <= 1]
        self._fade = faded(declared.crop.size) * np.float32(declared.strength)

    def restore(self, image: Image, points: Points) -> Picture:
        """Restore the face at `points`."""
        crop = self._declared.crop
        matrix = crop_matrix(points, crop.template, crop.size)
        values = {self._input.name: to_tensor(cut(image, matrix, crop.size)[None], crop)}
        values |= {name: np.array([self._declared.fidelity], np.float32) for name in self._scalars}
        restored = from_tensor(self._network.run([self._output], values)[0], self._declared.result)[0]
        shape = image.shape[:2]
        share = np.clip(pasted(self._fade, matrix, shape), 0, 1)[..., None]
        base = image.astype(np.float32)
        return np.asarray(base + share * (np.clip(pasted(restored, matrix, shape), 0, 255) - base), np.float32)


class RestoredGenerator(RefinedGenerator):
    """`FaceGenerator` whose faces go through a restorer."""

    def __init__(self, generator: FaceGenerator, restorer: FaceRestorer) -> None:
        super().__init__(generator)
        self._restorer = restorer

    def begin(self, persona: Persona, face: FollowedFace) -> GeneratorSession:
        """Begin the generator's session."""
        return _RestoredSession(self._generator.begin(persona, face), self._restorer)


class _RestoredSession:
    def __init__(self, session: GeneratorSession, restorer: FaceRestorer) -> None:
        self._session = session
        self._restorer = restorer

    def generate(self, view: FaceView) -> GeneratedFace:
        """Draw, set into the surroundings that a restorer expects around a face, and restore."""
        drawn = self._session.generate(view)
        share = drawn.coverage[..., None]
        whole = view.image + share * (drawn.picture - view.image)
        image = np.clip(np.rint(whole), 0, 255).astype(np.uint8)
        return GeneratedFace(self._restorer.restore(image, view.points), drawn.coverage)
