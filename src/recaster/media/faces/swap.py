"""`FaceSwapper`: the protocol, and `MeshSwapper`, the embedded default, which needs no generator network."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from recaster.media.faces.analysis import FaceAnalysis
from recaster.media.faces.follow import follow_face
from recaster.media.faces.generator import FaceGenerator
from recaster.media.faces.hands import HandFinder
from recaster.media.faces.networks import FaceModels
from recaster.media.faces.persona import Persona
from recaster.media.faces.session import BlendedSession
from recaster.media.faces.texture import TextureGenerator
from recaster.media.progress import Progress, silent
from recaster.media.video import FrameReader, Image, VideoFacts, read_frames


class SwapSession(Protocol):
    """Swaps one face in the frames of one clip."""

    @property
    def swapped_frames(self) -> int:
        """How many frames have been changed so far."""
        ...

    def swap(self, image: Image, frame_index: int) -> Image:
        """Return the frame with the persona's face; a frame without a usable face comes back unchanged.

        Pixels outside the face and the border that is bent with it are the same to the bit. Frames are given in rising
        order.
        """
        ...


class FaceSwapper(Protocol):
    """Puts a persona's face on the on-camera person of a clip."""

    def begin(
        self,
        persona: Persona,
        analysis: FaceAnalysis,
        facts: VideoFacts,
        path: Path,
        progress: Progress = silent,
        *,
        frames: FrameReader = read_frames,
    ) -> SwapSession:
        """Learn what is needed of the clip at `path`; it is read once, with `frames`.

        Give frames without the text that stands before the face, or it is taken for the face's own colours.

        Raises:
            NoFaceFound, FaceUnsuitable: there is no face that can be swapped.
            MediaInvalid: the clip cannot be decoded.
            Cancelled: `progress` did.
        """
        ...


class GeneratorSwapper:
    """`FaceSwapper` around any `FaceGenerator`: the same following, occluders and blending for all of them."""

    def __init__(self, models: FaceModels, generator: FaceGenerator) -> None:
        self._models = models
        self._generator = generator

    def begin(
        self,
        persona: Persona,
        analysis: FaceAnalysis,
        facts: VideoFacts,
        path: Path,
        progress: Progress = silent,
        *,
        frames: FrameReader = read_frames,
    ) -> SwapSession:
        """Follow the on-camera person through the clip and prepare the generator."""
        track = analysis.require_on_camera()
        hands = None
        if self._models.hand_detector is not None and self._models.hand_landmarks is not None:
            hands = HandFinder(self._models.hand_detector, self._models.hand_landmarks)
        face = follow_face(path, track, facts, hands, progress, frames=frames)
        return BlendedSession(persona, face, self._generator)


class MeshSwapper(GeneratorSwapper):
    """The embedded default: the persona's pictures as textures on the face mesh."""

    def __init__(self, models: FaceModels) -> None:
        super().__init__(models, TextureGenerator())
