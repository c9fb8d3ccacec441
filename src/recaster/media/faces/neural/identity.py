"""A persona as the vector that a generator was trained to draw from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recaster.errors import InvalidInput
from recaster.media.faces.neural.alignment import crop_matrix, cut, to_tensor
from recaster.media.faces.neural.files import Identity, NeuralEngine
from recaster.media.faces.neural.network import Device, Network, square_matrix
from recaster.media.faces.persona import Persona

Vector = NDArray[np.float32]
"""Shape (1, n)."""


class PersonaEncoder:
    """Turns personas into vectors with an engine's own recogniser."""

    def __init__(self, engine: NeuralEngine, identity: Identity, length: int | None, device: Device) -> None:
        self._identity = identity
        self._recogniser = Network(engine.path(identity.recogniser), device)
        self._input = self._recogniser.input_of_rank(4, "the aligned face")
        self._output = str(self._recogniser.outputs[0].name)
        converter = identity.converter
        self._converter = Network(engine.path(converter), device) if converter else None
        self._length = length
        self._projection = None
        if identity.projection:
            if length is None:
                raise InvalidInput(
                    f"{engine.declared.network.file} leaves the length of the identity open, so no projection can be read.",
                    field="identity.projection",
                    value=identity.projection,
                )
            self._projection = square_matrix(engine.path(engine.declared.network), identity.projection, length)

    def encode(self, persona: Persona) -> Vector:
        """The mean over the persona's pictures, each with the same say.

        Raises:
            InvalidInput: the recogniser's vector has another length than the generator wants.
        """
        crop = self._identity.crop
        vectors = []
        for reference in persona.references:
            face = cut(reference.image, crop_matrix(reference.landmarks, crop.template, crop.size), crop.size)
            result = self._recogniser.run([self._output], {self._input.name: to_tensor(face[None], crop)})[0]
            vectors.append(result.reshape(-1))
        lengths = [float(np.linalg.norm(vector)) for vector in vectors]
        mean = np.mean([vector / max(own, 1e-9) for vector, own in zip(vectors, lengths, strict=True)], axis=0)
        vector = (_unit(mean) * np.float32(np.mean(lengths)))[None]
        if self._converter is not None:
            vector = self._converter.run(
                [str(self._converter.outputs[0].name)], {str(self._converter.inputs[0].name): vector}
            )[0].reshape(1, -1)
        if self._length is not None and vector.shape[1] != self._length:
            raise InvalidInput(
                f"The recogniser {self._identity.recogniser.file} gives {vector.shape[1]} numbers, the generator wants "
                f"{self._length}: they do not belong together.",
                field="identity.recogniser",
                value=vector.shape[1],
                limit=self._length,
            )
        if self._projection is not None:
            vector = _unit(vector) @ self._projection
        return np.asarray(_unit(vector) if self._identity.unit_length else vector, np.float32)


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), np.float32)
