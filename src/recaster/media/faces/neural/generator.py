"""`OnnxSwapper`: a generator network in place of the mesh's textures, with the same following and blending around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recaster.errors import InvalidInput
from recaster.media.faces.follow import FollowedFace
from recaster.media.faces.generator import FaceGenerator, FaceView, GeneratedFace, GeneratorSession
from recaster.media.faces.networks import FaceModels
from recaster.media.faces.neural.alignment import (
    Picture,
    crop_matrix,
    cut,
    faded,
    from_tensor,
    pasted,
    scale_of,
    to_tensor,
)
from recaster.media.faces.neural.files import NeuralEngine, SwapperFile
from recaster.media.faces.neural.identity import PersonaEncoder, Vector
from recaster.media.faces.neural.network import Device, Network
from recaster.media.faces.neural.parser import FaceParser, UncoveredGenerator
from recaster.media.faces.neural.restorer import FaceRestorer, RestoredGenerator
from recaster.media.faces.persona import Persona
from recaster.media.faces.swap import GeneratorSwapper


class OnnxGenerator:
    """`FaceGenerator` around an operator's network.

    Args:
        engine: of kind `swapper`, checked by `load_engine`.
        device: where it runs.

    Raises:
        InvalidInput: the network's inputs and outputs are not those that its description declares.
        ModelMissing: ONNX Runtime cannot run a file.
    """

    def __init__(self, engine: NeuralEngine, device: Device = "auto") -> None:
        declared = engine.declared_as(SwapperFile)
        self._declared = declared
        self._network = Network(engine.path(declared.network), device)
        self._target = self._network.input_of_rank(4, "the aligned face")
        self._source = self._network.input_of_rank(2, "the identity")
        self._picture = self._network.output_with_channels(3, "the drawn face")
        masks = [entry for entry in self._network.outputs if len(entry.shape) == 4 and entry.shape[1] == 1]
        self._mask = str(masks[0].name) if masks else None
        sides = [side for side in self._target.shape[2:] if isinstance(side, int)]
        if any(side != declared.crop.size for side in sides):
            raise InvalidInput(
                f"{declared.network.file} wants pictures of {sides}, its description says {declared.crop.size}.",
                field="crop.size",
                value=declared.crop.size,
                limit=sides,
            )
        length = self._source.shape[1]
        self._encoder = PersonaEncoder(engine, declared.identity, length if isinstance(length, int) else None, device)

    @property
    def shape_transfer(self) -> float:
        """As declared; most generators draw the persona's shape by themselves."""
        return self._declared.shape_transfer

    @property
    def keeps_source_eyes(self) -> bool:
        """A generator draws eyes and mouth in the source's pose itself."""
        return False

    def begin(self, persona: Persona, face: FollowedFace) -> GeneratorSession:
        """Encode the persona, and choose for the whole clip how many tiles the face needs."""
        crop = self._declared.crop
        middle = face.points[int(np.argsort(np.ptp(face.points[:, :, 0], axis=1))[len(face.points) // 2])]
        enlarged = 1 / scale_of(crop_matrix(middle, crop.template, crop.size))
        tiles = int(np.clip(np.ceil(enlarged - 0.25), 1, self._declared.most_tiles))
        return _OnnxSession(self, self._encoder.encode(persona), tiles)

    def drawn(self, crops: NDArray[np.uint8], identity: Vector) -> tuple[Picture, Picture]:
        """Run the network on aligned crops (n, side, side, 3).

        Returns:
            BGR pictures of 0–255 (n, side, side, 3), and masks of 0–1 (n, side, side), all ones for a network without.
        """
        tensor = to_tensor(crops, self._declared.crop)
        names = [self._picture] if self._mask is None else [self._picture, self._mask]
        several = not any(isinstance(entry.shape[0], int) for entry in (self._target, self._source))
        parts = [tensor] if several else list(tensor[:, None])
        results = [
            self._network.run(
                names, {self._target.name: part, self._source.name: np.repeat(identity, len(part), axis=0)}
            )
            for part in parts
        ]
        pictures = from_tensor(np.concatenate([result[0] for result in results]), self._declared.result)
        if self._mask is None:
            return pictures, np.ones(pictures.shape[:3], np.float32)
        masks = np.concatenate([result[1][:, 0] for result in results])
        return pictures, np.asarray(np.clip(masks, 0, 1), np.float32)

    @property
    def declared(self) -> SwapperFile:
        """What the engine declares."""
        return self._declared


class _OnnxSession:
    def __init__(self, generator: OnnxGenerator, identity: Vector, tiles: int) -> None:
        self._generator = generator
        self._identity = identity
        self._tiles = tiles
        self._fade = faded(generator.declared.crop.size * tiles)

    def generate(self, view: FaceView) -> GeneratedFace:
        """Draw the persona for a view.

        A face that is larger than the network's picture is cut out so much larger, and each tile takes every n-th pixel
        of it: all tiles show the whole face, a fraction of a pixel apart, and their answers are woven together again.
        """
        crop, tiles = self._generator.declared.crop, self._tiles
        side = crop.size * tiles
        matrix = crop_matrix(view.points, crop.template, side)
        face = cut(view.image, matrix, side)
        offsets = [(row, column) for row in range(tiles) for column in range(tiles)]
        parts = np.stack([face[row::tiles, column::tiles] for row, column in offsets])
        pictures, masks = self._generator.drawn(parts, self._identity)
        whole, shown = np.empty((side, side, 3), np.float32), np.empty((side, side), np.float32)
        for (row, column), picture, mask in zip(offsets, pictures, masks, strict=True):
            whole[row::tiles, column::tiles] = picture
            shown[row::tiles, column::tiles] = mask
        shape = view.image.shape[:2]
        coverage = np.clip(pasted(shown * self._fade, matrix, shape), 0, 1)
        return GeneratedFace(np.clip(pasted(whole, matrix, shape), 0, 255), np.asarray(coverage, np.float32))


class OnnxSwapper(GeneratorSwapper):
    """`FaceSwapper` with an operator's generator, and if wanted a restorer and a parser around it."""

    def __init__(
        self,
        models: FaceModels,
        engine: NeuralEngine,
        *,
        restorer: FaceRestorer | None = None,
        parser: FaceParser | None = None,
        device: Device = "auto",
    ) -> None:
        super().__init__(models, refined(OnnxGenerator(engine, device), restorer, parser))


def refined(
    generator: FaceGenerator, restorer: FaceRestorer | None = None, parser: FaceParser | None = None
) -> FaceGenerator:
    """Any generator with a restorer after it and a parser that says where the face is uncovered."""
    if restorer is not None:
        generator = RestoredGenerator(generator, restorer)
    if parser is not None:
        generator = UncoveredGenerator(generator, parser)
    return generator
