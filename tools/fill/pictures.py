"""The pictures the fill network is trained on, and crops of them made to look like frames of a phone video.

All pictures have a licence that allows commercial use of what is made from them without a share-alike duty:

- `openpeople` 0.1.2 from the Python package index (MIT): synthetic people. `HELD_OUT` personas are never trained on.
- sample photos of scikit-image (CC0 or public domain) and scikit-learn (CC BY 2.0), from their wheels.
- photos of Debian's `lomiri-wallpapers-16.04` 20.04.0-2 (CC BY 4.0 or CC0, those of other licences left out).
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Box = tuple[float, float, float, float]

HELD_OUT = ("P006", "P007")
SCIKIT_IMAGE = ("astronaut.png", "brick.png", "chelsea.png", "coffee.png", "grass.png", "gravel.png", "rocket.jpg")
SCIKIT_LEARN = ("china.jpg", "flower.jpg")
WALLPAPERS = (
    "aitzgorri_by_Aitzol_Berasategi.jpg",
    "friends_by_Aitzol_Berasategi.jpg",
    "life_by_Aitzol_Berasategi.jpg",
    "picosdeeuropa_by_Aitzol_Berasategi.jpg",
    "sunset_by_Aitzol_Berasategi.jpg",
    "Picture_0B_by_freespace.jpg",
    "Picture_1A_by_freespace.jpg",
    "seeding_by_Clements_Engelhardt.jpg",
    "umang_by_Abhishek_Mudgal.jpg",
    "Wine_by_Jakkub_Mede.jpg",
)
_LEVELS = 4


@dataclass(frozen=True)
class Picture:
    """One picture at several sizes, each half of the one before, and the faces in it."""

    name: str
    levels: tuple[Image, ...]
    faces: tuple[Box, ...]
    """Left, top, width and height in pixels of the first level."""
    people: bool


def pictures(wallpapers: Path, face_detector: Path, *, held_out: bool = False) -> list[Picture]:
    """All pictures to train on or, with `held_out`, those to validate with.

    `wallpapers` is the folder with the photos of the Debian package, `face_detector` the product's YuNet model.
    """
    detector = cv2.FaceDetectorYN.create(str(face_detector), "", (320, 320), 0.6)
    found = []
    for path in sorted((_package("openpeople") / "data" / "curated").glob("P*/assets/*.jpg")):
        if (path.parts[-3] in HELD_OUT) == held_out:
            found.append(_load(path, detector))
    if not held_out:
        others = [_package("skimage") / "data" / name for name in SCIKIT_IMAGE]
        others += [_package("sklearn") / "datasets" / "images" / name for name in SCIKIT_LEARN]
        others += [wallpapers / name for name in WALLPAPERS]
        found += [_load(path, None) for path in others]
    return found


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise SystemExit(f"The package {name} is not installed; see the list at the top of train.py.")
    return Path(spec.origin).parent


def _load(path: Path, detector: cv2.FaceDetectorYN | None) -> Picture:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise SystemExit(f"{path} cannot be read as a picture.")
    faces: list[Box] = []
    if detector is not None:
        scale = 1000 / max(image.shape[:2])
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        detector.setInputSize(small.shape[1::-1])
        rows = detector.detect(small)[1]
        faces = [] if rows is None else [tuple(float(v) / scale for v in row[:4]) for row in rows]
    levels = [np.asarray(image, np.uint8)]
    for _ in range(_LEVELS - 1):
        levels.append(np.asarray(cv2.pyrDown(levels[-1]), np.uint8))
    return Picture("/".join(path.parts[-3:]), tuple(levels), tuple(faces), detector is not None)


class Crops:
    """Draws crops at the scales at which videos are looked at: a face is 45 to 320 pixels wide."""

    def __init__(self, found: list[Picture], side: int, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._side = side
        self._faces = [(picture, face) for picture in found for face in picture.faces]
        self._people = [picture for picture in found if picture.people]
        self._others = [picture for picture in found if not picture.people]

    def face(self) -> Image:
        """A crop in which there is some of a face."""
        picture, (left, top, width, height) = self._faces[self._random.integers(len(self._faces))]
        wide = np.exp(self._random.uniform(np.log(45), np.log(320)))
        center = (left + width * self._random.uniform(0.0, 1.0), top + height * self._random.uniform(-0.2, 1.1))
        return self._cut(picture, center, max(width / wide, 0.8))

    def person(self) -> Image:
        """A crop of any part of a picture of a person."""
        picture = self._people[self._random.integers(len(self._people))]
        return self._anywhere(picture, self._random.uniform(1.2, 4.5))

    def scene(self) -> Image:
        """A crop of any other picture."""
        picture = self._others[self._random.integers(len(self._others))]
        most = max(1.0, min(picture.levels[0].shape[:2]) / self._side)
        return self._anywhere(picture, self._random.uniform(0.9, min(6.0, max(1.0, most))))

    def any(self) -> Image:
        """A crop for training: half of them of faces."""
        draw = self._random.random()
        image = self.face() if draw < 0.5 else self.person() if draw < 0.75 or not self._others else self.scene()
        return _recoloured(image, self._random)

    def _anywhere(self, picture: Picture, scale: float) -> Image:
        height, width = picture.levels[0].shape[:2]
        reach = min(self._side * scale / 2, width / 2, height / 2)
        center = (self._random.uniform(reach, width - reach), self._random.uniform(reach, height - reach))
        return self._cut(picture, center, scale)

    def _cut(self, picture: Picture, center: tuple[float, float], scale: float) -> Image:
        """The crop around `center` at one pixel for `scale` source pixels, perhaps mirrored, a little turned."""
        level = min(len(picture.levels) - 1, max(0, int(np.floor(np.log2(scale)))))
        source = picture.levels[level]
        step = scale / 2**level
        turn = np.radians(self._random.normal(0, 6))
        flip = -1.0 if self._random.random() < 0.5 else 1.0
        c, s = np.cos(turn) * step, np.sin(turn) * step
        linear = np.array([[c * flip, -s], [s * flip, c]])
        middle = np.array([center[0], center[1]]) / 2**level
        offset = middle - linear @ np.full(2, (self._side - 1) / 2)
        return np.asarray(
            cv2.warpAffine(
                source,
                np.hstack([linear, offset[:, None]]),
                (self._side, self._side),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REFLECT_101,
            ),
            np.uint8,
        )


def _recoloured(image: Image, random: np.random.Generator) -> Image:
    """The picture in another light: gamma, gain of each channel, contrast."""
    ramp = np.linspace(0, 1, 256)[:, None] ** np.exp(random.normal(0, 0.25))
    ramp = ramp * np.exp(random.normal(0, 0.06, 3)) * random.uniform(0.75, 1.1) + random.uniform(-0.03, 0.06)
    table = np.clip(np.rint(255 * ramp), 0, 255).astype(np.uint8)
    return np.asarray(cv2.merge([cv2.LUT(image[..., n], table[:, n].copy()) for n in range(3)]), np.uint8)


def filmed(image: Image, ink: NDArray[np.float32], random: np.random.Generator) -> tuple[Image, Image]:
    """What a camera would see without text, and the coded frame with text where `ink` (h, w) is above 0."""
    sigma = random.uniform(0.0, 1.3)
    clean = cv2.GaussianBlur(image, (0, 0), sigma) if sigma > 0.3 else image
    color = random.choice([0.0, 255.0]) if random.random() < 0.7 else random.uniform(0, 255, 3)
    shown = clean + ink[..., None] * (np.asarray(color, np.float32) - clean)
    shown += random.normal(0, random.uniform(0, 3.5), image.shape).astype(np.float32)
    frame = np.clip(np.rint(shown), 0, 255).astype(np.uint8)
    if random.random() < 0.85:
        coded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(40, 95))])[1]
        frame = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(clean, np.uint8), frame
