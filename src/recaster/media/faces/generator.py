"""The slot for what makes the face: a `FaceGenerator` draws the persona in one frame's pose, light and expression.

Everything around it is shared by all generators and is not its business: following (`follow`), shape transfer (`reshape`),
occluders (`occlusion`), mask, sharpness and blending (`blend`), fades (`session`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recaster.media.faces.follow import FollowedFace
from recaster.media.faces.mesh import Points
from recaster.media.faces.persona import Persona
from recaster.media.video import Image

Picture = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class FaceView:
    """What a generator sees of one frame."""

    image: Image
    """BGR crop around the face; its surroundings already have the persona's outline as far as the generator wants that."""
    points: Points
    """Smoothed landmarks in pixels of the crop, (468, 3), reshaped like the image."""
    layout: Picture
    """Place of each pixel in the layout of the mesh, 0–1, (h, w, 2); for generators that draw with textures."""
    on_mesh: NDArray[np.bool_]
    """Which pixels have such a place, (h, w)."""
    row: int
    """Row of the frame in the `FollowedFace`."""


@dataclass(frozen=True, slots=True, eq=False)
class GeneratedFace:
    """The persona's face for one frame, of the view's height and width."""

    picture: Picture
    """BGR, float32, 0–255, (h, w, 3); anything where `coverage` is 0."""
    coverage: Picture
    """Where the picture may be shown, 0–1, (h, w), soft towards its edge."""


class GeneratorSession(Protocol):
    """Draws one persona into one clip."""

    def generate(self, view: FaceView) -> GeneratedFace:
        """Draw the persona for a view. Views are given in rising order; some frames may be left out."""
        ...


class FaceGenerator(Protocol):
    """Draws a persona's face in another person's pose."""

    @property
    def shape_transfer(self) -> float:
        """How far the source's head is given the persona's shape before drawing; 0 leaves it as it is."""
        ...

    @property
    def keeps_source_eyes(self) -> bool:
        """Whether eyes with their lids and the inside of the mouth stay the source's wherever its gaze is not the usual one."""
        ...

    def begin(self, persona: Persona, face: FollowedFace) -> GeneratorSession:
        """Learn what is needed of a clip.

        Raises:
            FaceUnsuitable: this generator cannot draw into this clip.
        """
        ...
