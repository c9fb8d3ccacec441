"""What a person's sheet of expressions shows: the picture of each and how the face's points move. Nothing is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from recaster.demo.meshes import Plane, Vertices
from recaster.errors import NotInstalled
from recaster.media.faces import FaceDetector, FaceLandmarker
from recaster.media.video import Image

# Contours of the 468-point face mesh (MediaPipe's published topology).
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150,
    136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
UPPER_LIPS = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_LIPS = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
OUTER_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409)
UPPER_LIDS = ((33, 246, 161, 160, 159, 158, 157, 173, 133), (263, 466, 388, 387, 386, 385, 384, 398, 362))
LOWER_LIDS = ((33, 7, 163, 144, 145, 153, 154, 155, 133), (263, 249, 390, 373, 374, 380, 381, 382, 362))
LID_FOLDS = ((247, 30, 29, 27, 28, 56, 190), (467, 260, 259, 257, 258, 286, 414))
BROWS = ((70, 63, 105, 66, 107, 55, 65, 52, 53, 46), (300, 293, 334, 296, 336, 285, 295, 282, 283, 276))
CHEEKS = (50, 280, 205, 425, 101, 330)
EYE_CORNERS, MOUTH_CORNERS, UNDER_NOSE, CHIN, EARS = (33, 263), (61, 291), 2, 152, (234, 454)
_RIGID = (10, 67, 297, 109, 338, 151, 9, 8, 168, 6, 197, 195, 5, 33, 133, 362, 263, 127, 356, 234, 454, 93, 323)
"""Points that no expression moves much."""

_SHEET = (
    ("neutral", "happy", "sad", "angry"),
    ("surprised", "disgusted", "scared", "confused"),
    ("smug", "flirty", "thoughtful", "pensive"),
    ("exhausted", "shocked", "playful", "determined"),
)
"""Where each expression stands in the sheet of `openpeople`."""
_USED = ("neutral", "happy", "angry", "surprised", "exhausted", "shocked")


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """One picture of the sheet."""

    picture: Image
    """BGR."""
    points: Vertices
    """Landmarks in the picture's pixels, shape (468, 3)."""
    offset: Vertices
    """Movement against the neutral picture, brought to the size and pose of the person's own points, shape (468, 3)."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceParts:
    """How much each landmark belongs to a part of the face, 0–1, shape (468, 1). Lids belong to none: they only blink."""

    upper: Plane
    lower: Plane
    mouth: Plane


def read_picture(folder: Path, name: str) -> Image:
    """Read one of a person's pictures.

    Raises:
        NotInstalled: it is not there.
    """
    picture = cv2.imread(str(folder / f"{name}.jpg"))
    if picture is None:
        raise NotInstalled(f"There is no {name}.jpg in {folder}. Reinstall the package `openpeople`.")
    return np.asarray(picture, np.uint8)


def read_expressions(
    folder: Path, detector: FaceDetector, landmarker: FaceLandmarker, points: Vertices
) -> Mapping[str, Expression]:
    """Cut the expressions that a puppet needs out of the sheet.

    Args:
        folder: of the person.
        detector: finds the face in each picture of the sheet.
        landmarker: finds its points.
        points: landmarks of the person's own picture, shape (468, 3), whose size and pose the offsets get.

    Raises:
        NotInstalled: the sheet is missing or does not show an expression.
    """
    sheet = read_picture(folder, "emotions_sheet")
    height, width = sheet.shape[0] // len(_SHEET), sheet.shape[1] // len(_SHEET[0])
    found: dict[str, tuple[Image, Vertices]] = {}
    for row, names in enumerate(_SHEET):
        for column, name in enumerate(names):
            # Each picture by itself: in the whole sheet the detector misses mouths that are wide open.
            picture = np.ascontiguousarray(sheet[row * height :, column * width :][:height, :width])
            boxes = detector.find(picture) if name in _USED else ()
            if boxes:
                found[name] = (picture, landmarker.in_box(picture, boxes[0])[0])
    missing = [name for name in _USED if name not in found]
    if missing:
        raise NotInstalled(
            f"emotions_sheet.jpg in {folder} does not show these expressions: {', '.join(missing)}. "
            "Reinstall the package `openpeople`."
        )
    aligned = {name: _aligned(own, points) for name, (_, own) in found.items()}
    return {
        name: Expression(picture, own, np.asarray(aligned[name] - aligned["neutral"], np.float32))
        for name, (picture, own) in found.items()
    }


def face_parts(points: Vertices) -> FaceParts:
    """Divide a face, whose landmarks have shape (468, 3), into parts that move by themselves."""
    down = points[:, 1]
    tall = float(np.ptp(down))
    eyes, nose = float(points[list(EYE_CORNERS), 1].mean()), float(points[UNDER_NOSE, 1])
    upper = np.clip((eyes + 0.004 * tall - down) / (0.05 * tall), 0, 1)
    lower = np.clip((down - (0.45 * nose + 0.55 * eyes)) / (0.4 * (nose - eyes)), 0, 1)
    lids = [index for group in (*UPPER_LIDS, *LOWER_LIDS, *LID_FOLDS) for index in group]
    upper[lids] = lower[lids] = 0
    apart = (points[:, :2] - points[list(MOUTH_CORNERS), :2].mean(axis=0)) / np.array([0.24 * tall, 0.15 * tall])
    mouth = np.exp(-((apart**2).sum(axis=1) ** 1.5))
    upper, lower, mouth = (np.asarray(part[:, None], np.float32) for part in (upper, lower, mouth))
    return FaceParts(upper, lower, mouth)


def close_lids(points: Vertices, blink: float) -> Vertices:
    """Lower the upper lids onto the lower ones: 0 leaves them, 1 shuts the eyes. Shape (468, 3) in and out."""
    result = points.copy()
    for upper, lower, fold in zip(UPPER_LIDS, LOWER_LIDS, LID_FOLDS, strict=True):
        gap = points[list(lower)] - points[list(upper)]
        result[list(upper)] += 0.97 * blink * gap
        result[list(fold)] += 0.38 * blink * gap[1:-1]
    return result


def _aligned(points: Vertices, target: Vertices) -> Vertices:
    """Turn, scale and move points so that their rigid part fits the target's best (Umeyama, 1991)."""
    one, other = points[list(_RIGID)].astype(np.float64), target[list(_RIGID)].astype(np.float64)
    middle, aim = one.mean(axis=0), other.mean(axis=0)
    u, spread, v = np.linalg.svd((other - aim).T @ (one - middle))
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ v))])
    rotation = u @ np.diag(sign) @ v
    scale = float((spread * sign).sum() / ((one - middle) ** 2).sum())
    return np.asarray(scale * (points - middle) @ rotation.T + aim, np.float32)
