"""A persona: what is known of an influencer's face from pictures, ready for swapping. Made once, stored, used often."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps

from recaster.errors import InfluencerUnusable
from recaster.media.faces.archive import write_archive
from recaster.media.faces.mesh import Expression, expression, yaw_degrees
from recaster.media.faces.networks import (
    Embedding,
    FaceBox,
    FaceDetector,
    FaceIdentifier,
    FaceLandmarker,
    FaceModels,
    Points,
    similarity,
)
from recaster.media.progress import Progress, silent
from recaster.media.video import Image

LEAST_FACE = 90
"""Pixels of a face's height in a reference picture."""
MOST_YAW = 25.0
SAME_PERSON = 0.45
MOST_REFERENCES = 12
_CROP = 512
_MOST_PIXELS = 40_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """One face of the persona."""

    image: Image
    """BGR crop, at most 512 pixels a side."""
    landmarks: Points
    """In pixels of the crop."""
    expression: Expression
    embedding: Embedding


@dataclass(frozen=True, slots=True, eq=False)
class Persona:
    """All usable faces of an influencer; the first is the most neutral frontal one."""

    references: tuple[Reference, ...]
    embedding: Embedding
    """Mean of the references."""
    missing: tuple[str, ...]
    """What further pictures would help, as sentences."""

    def save(self, path: Path) -> None:
        """Write the persona as one NumPy archive, atomically."""
        arrays: dict[str, NDArray[np.generic]] = {"embedding": self.embedding}
        for position, reference in enumerate(self.references):
            arrays[f"image{position}"] = reference.image
            arrays[f"landmarks{position}"] = reference.landmarks
            arrays[f"expression{position}"] = reference.expression
            arrays[f"embedding{position}"] = reference.embedding
        values = json.dumps({"count": len(self.references), "missing": self.missing})
        arrays["values"] = np.frombuffer(values.encode(), np.uint8)
        write_archive(path, arrays)

    @classmethod
    def load(cls, path: Path) -> Persona:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as archive:
            values = json.loads(archive["values"].tobytes())
            references = tuple(
                Reference(
                    archive[f"image{position}"],
                    archive[f"landmarks{position}"],
                    archive[f"expression{position}"],
                    archive[f"embedding{position}"],
                )
                for position in range(values["count"])
            )
            return cls(references, archive["embedding"], tuple(values["missing"]))


def inspect_reference(path: Path, models: FaceModels) -> None:
    """Check that a picture holds exactly one usable face.

    Raises:
        InfluencerUnusable: it does not; the message names the picture and the reason.
    """
    image = read_picture(path)
    found = FaceDetector(models).find(image)
    if len(found) != 1:
        raise InfluencerUnusable(
            f"The reference picture {path.name} shows {len(found)} faces; it must show exactly one. Replace it.",
            field="assetIds",
            value=path.name,
            limit=1,
        )
    reason = _unusable(found[0])
    if reason:
        raise InfluencerUnusable(
            f"The reference picture {path.name} cannot be used: {reason}. Replace it.", value=path.name
        )


def prepare_persona(pictures: Sequence[Path], models: FaceModels, progress: Progress = silent) -> Persona:
    """Cut all usable faces out of pictures and sheets of one person.

    Raises:
        InfluencerUnusable: no picture has a usable face; `details["pictures"]` names each picture's reason.
        Cancelled: `progress` did.
    """
    detector, landmarker, identifier = FaceDetector(models), FaceLandmarker(models), FaceIdentifier(models)
    found: list[Reference] = []
    reasons: dict[str, str] = {}
    for position, path in enumerate(pictures):
        image = read_picture(path)
        boxes = detector.find(image)
        if not boxes:
            reasons[path.name] = "no face was found"
        for box in boxes:
            reason = _unusable(box)
            if reason is None:
                points, presence = landmarker.in_box(image, box)
                yaw = abs(yaw_degrees(points))
                if presence < 0.6:
                    reason = "the face is hidden or cut off"
                elif yaw > MOST_YAW:
                    reason = f"the face is turned {yaw:.0f}° to the side"
                else:
                    found.append(_reference(image, points, identifier.embed(image, points)))
            if reason is not None:
                reasons.setdefault(path.name, reason)
        progress(position + 1, len(pictures))
    if not found:
        told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise InfluencerUnusable(f"No picture shows a usable face ({told}). Add frontal pictures.", pictures=reasons)
    # The person is who most faces agree on; a stranger in a picture is left out.
    votes = [sum(similarity(one.embedding, other.embedding) for other in found) for one in found]
    anchor = found[int(np.argmax(votes))]
    person = [one for one in found if similarity(one.embedding, anchor.embedding) >= SAME_PERSON]
    person.sort(key=_restlessness)
    chosen = _varied(person)
    mean = np.mean([one.embedding for one in person], axis=0)
    embedding = np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float32)
    return Persona(tuple(chosen), embedding, _missing(chosen))


def read_picture(path: Path) -> Image:
    """Decode a picture as BGR, upright.

    Raises:
        InfluencerUnusable: it is not a JPEG, PNG or WebP picture of at most 40 megapixels.
    """
    try:
        with Pillow.open(path, formats=("JPEG", "PNG", "WEBP")) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise InfluencerUnusable(
                    f"The picture {path.name} has {picture.width}x{picture.height} pixels; at most 40 megapixels are read.",
                    value=path.name,
                )
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except OSError as error:
        raise InfluencerUnusable(
            f"{path.name} is not a JPEG, PNG or WebP picture: {error}.", value=path.name
        ) from error
    return np.asarray(cv2.cvtColor(np.asarray(upright), cv2.COLOR_RGB2BGR), np.uint8)


def _unusable(box: FaceBox) -> str | None:
    height = box[3] - box[1]
    return f"the face is {height:.0f} pixels high, {LEAST_FACE} are needed" if height < LEAST_FACE else None


def _reference(image: Image, points: Points, embedding: Embedding) -> Reference:
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    side = 1.35 * float((high - low).max())
    centre = (low + high) / 2
    scale = min(1.0, _CROP / side)
    size = max(8, round(side * scale))
    matrix = np.array([[scale, 0, size / 2 - scale * centre[0]], [0, scale, size / 2 - scale * centre[1]]])
    flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    # warpAffine does not average when it reduces; a blur of the right size does.
    source = cv2.GaussianBlur(image, (0, 0), 0.4 / scale) if scale < 0.8 else image
    crop = cv2.warpAffine(source, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    moved = points.copy()
    moved[:, :2] = points[:, :2] * scale + matrix[:, 2].astype(np.float32)
    moved[:, 2] *= scale
    return Reference(np.asarray(crop, np.uint8), moved, expression(moved), embedding)


def _restlessness(reference: Reference) -> float:
    """How far a face is from neutral and frontal; open eyes, closed mouth, sharp and large come first."""
    mouth, _, lift, _, eyes = (float(value) for value in reference.expression)
    size = reference.image.shape[0] / _CROP
    return float(
        3 * mouth + abs(lift) + max(0.0, 0.12 - eyes) * 4 + abs(yaw_degrees(reference.landmarks)) / 60 - 0.6 * size
    )


def _varied(person: Sequence[Reference]) -> list[Reference]:
    """The most neutral face, then always the one least like those already chosen."""
    chosen = [person[0]]
    rest = list(person[1:])
    while rest and len(chosen) < MOST_REFERENCES:
        distances = [min(float(np.linalg.norm(one.expression - other.expression)) for other in chosen) for one in rest]
        chosen.append(rest.pop(int(np.argmax(distances))))
    return chosen


def _missing(references: Sequence[Reference]) -> tuple[str, ...]:
    expressions = np.stack([reference.expression for reference in references])
    wishes = []
    if expressions[:, 0].max() < 0.15:
        wishes.append("A picture with an open mouth would help.")
    if expressions[:, 1].max() < 1.15 * expressions[0, 1]:
        wishes.append("A picture with a broad smile would help.")
    if len(references) < 4:
        wishes.append("More pictures with different expressions would help.")
    return tuple(wishes)
