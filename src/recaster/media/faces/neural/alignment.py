"""Cutting a face out the way a network was trained on, and bringing its answer back. No network is run here."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.faces.mesh import Points
from recaster.media.faces.networks import LEFT_EYE, LEFT_MOUTH, NOSE, RIGHT_EYE, RIGHT_MOUTH
from recaster.media.faces.neural.files import Crop, Result, TemplateName
from recaster.media.video import Image

Picture = NDArray[np.float32]
Matrix = NDArray[np.float64]
"""Affine map from view to crop, shape (2, 3)."""

_ARCFACE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
TEMPLATES: Final[dict[TemplateName, NDArray[np.float64]]] = {
    "arcface-112-v1": np.array([[39.73, 51.138], [72.27, 51.138], [56.0, 68.493], [42.463, 87.01], [69.537, 87.01]])
    / 112,
    "arcface-112-v2": _ARCFACE / 112,
    # The same face in the middle of a picture that is 16 pixels wider.
    "arcface-128": (_ARCFACE + np.array([8.0, 0.0])) / 128,
    "ffhq-512": np.array(
        [
            [192.98138, 239.94708],
            [318.90277, 240.1936],
            [256.63416, 314.01935],
            [201.26117, 371.41043],
            [313.08905, 371.15118],
        ]
    )
    / 512,
}
"""Where eyes, nose and mouth corners stand in the square picture, as fractions of its side, shape (5, 2)."""
_BORDER = 0.06
"""Share of the crop over which its picture fades out at each side."""


def crop_matrix(points: Points, template: TemplateName, side: int) -> Matrix:
    """The similarity that brings a face's eyes, nose and mouth corners best onto a template (least squares).

    Args:
        points: landmarks, shape (468, 3).
        template: by name.
        side: of the crop in pixels.
    """
    eyes = [points[list(pair), :2].mean(axis=0) for pair in (LEFT_EYE, RIGHT_EYE)]
    five = np.array([*eyes, points[NOSE, :2], points[LEFT_MOUTH, :2], points[RIGHT_MOUTH, :2]], np.float64)
    # As complex numbers a similarity is one product and one sum, and the best one has a closed form: no random sampling,
    # which would tremble from frame to frame.
    own = five[:, 0] + 1j * five[:, 1]
    aim = (TEMPLATES[template] @ np.array([1.0, 1j])) * side
    centred = own - own.mean()
    factor = (np.conj(centred) @ (aim - aim.mean())) / (np.conj(centred) @ centred).real
    shift = aim.mean() - factor * own.mean()
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def scale_of(matrix: Matrix) -> float:
    """Crop pixels per view pixel."""
    return float(np.hypot(matrix[0, 0], matrix[1, 0]))


def cut(image: Image, matrix: Matrix, side: int) -> Image:
    """The aligned crop, BGR, averaged where it becomes smaller; beyond the picture it is mirrored."""
    scale = scale_of(matrix)
    source = cv2.GaussianBlur(image, (0, 0), 0.4 / scale) if scale < 0.8 else image
    flags = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    return np.asarray(
        cv2.warpAffine(source, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REFLECT_101), np.uint8
    )


def pasted(plane: Picture, matrix: Matrix, shape: tuple[int, int]) -> Picture:
    """A crop's picture or plane in the pixels of the view (height, width); nothing beyond the crop."""
    flags = cv2.INTER_CUBIC if scale_of(matrix) < 1 else cv2.INTER_AREA
    size = (shape[1], shape[0])
    return np.asarray(cv2.warpAffine(plane, matrix, size, flags=flags | cv2.WARP_INVERSE_MAP), np.float32)


def faded(side: int) -> Picture:
    """1 inside a crop, falling softly to 0 at its border, shape (side, side)."""
    ramp = np.clip((np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5) / (_BORDER * side), 0, 1)
    soft = ramp * ramp * (3 - 2 * ramp)
    return np.asarray(soft[:, None] * soft[None, :], np.float32)


def to_tensor(images: NDArray[np.uint8], crop: Crop) -> NDArray[np.float32]:
    """BGR pictures, shape (n, side, side, 3), as a network wants them."""
    colors = images if crop.blue_first else images[..., ::-1]
    mean, deviation = np.array(crop.mean, np.float32), np.array(crop.deviation, np.float32)
    values = (colors.astype(np.float32) / np.float32(255) - mean) / deviation
    return np.ascontiguousarray(values if crop.channels_last else values.transpose(0, 3, 1, 2), np.float32)


def from_tensor(tensor: NDArray[np.float32], result: Result) -> Picture:
    """A network's pictures (n, 3, side, side) as BGR of 0–255, shape (n, side, side, 3)."""
    mean, deviation = np.array(result.mean, np.float32), np.array(result.deviation, np.float32)
    colors = tensor.transpose(0, 2, 3, 1) * deviation + mean
    return np.ascontiguousarray(np.clip(colors, 0, 1)[..., ::-1] * 255.0, np.float32)
