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
from recaster.media.faces.eyelids import closed_reference
from recaster.media.faces.light import fit_brightness, luma, relight, skin_likeness, skin_texels
from recaster.media.faces.mesh import Expression, Points, expression, face_mesh, poses_of, unwrapped, yaw_degrees
from recaster.media.faces.networks import (
    Embedding,
    FaceBox,
    FaceDetector,
    FaceIdentifier,
    FaceLandmarker,
    FaceModels,
    similarity,
)
from recaster.media.progress import Progress, silent
from recaster.media.video import Image

PERSONA_VERSION = 3
LEAST_FACE = 90
"""Pixels of a face's height in a reference picture."""
MOST_YAW = 25.0
SAME_PERSON = 0.5
"""SFace cosine to the mean of the others below which a face is somebody else's, or not to be recognised."""
MOST_REFERENCES = 20
LEAST_SHARPNESS = 12.0
"""Variance of the Laplacian of a face brought to 160 pixels; below it the picture is blurred."""
MOST_STRANGE = 0.14
"""Share of the skin that may differ from the persona's skin: beyond it a hand, glasses or hair is in front of the face."""
MOST_REDNESS = 13.0
"""How much redder than in the neutral picture the lower lip's edge may be."""
_CROP = 1280
_LARGE = 640
"""Pixels of a crop from which on a picture's size does not speak for it any more."""
_MOST_PIXELS = 40_000_000
_SMALL = 64


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """One face of the persona."""

    image: Image
    """BGR crop with hair and neck, at most 1280 pixels a side: a face of 600 pixels, for pores in large faces."""
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
    shape: Points
    """The face at rest in the frame of the mean shape (`mesh.face_mesh`), (468, 3)."""
    missing: tuple[str, ...]
    """What further pictures would help, as sentences."""
    rejected: tuple[tuple[str, str], ...]
    """Name of a picture and why a face in it was not used."""

    def save(self, path: Path) -> None:
        """Write the persona as one NumPy archive, atomically."""
        arrays: dict[str, NDArray[np.generic]] = {"embedding": self.embedding, "shape": self.shape}
        for position, reference in enumerate(self.references):
            arrays[f"image{position}"] = reference.image
            arrays[f"landmarks{position}"] = reference.landmarks
            arrays[f"expression{position}"] = reference.expression
            arrays[f"embedding{position}"] = reference.embedding
        values = {
            "version": PERSONA_VERSION,
            "count": len(self.references),
            "missing": self.missing,
            "rejected": self.rejected,
        }
        arrays["values"] = np.frombuffer(json.dumps(values).encode(), np.uint8)
        write_archive(path, arrays)

    @classmethod
    def load(cls, path: Path) -> Persona:
        """Read what `save` wrote.

        Raises:
            InfluencerUnusable: the file was written by another version of this program.
        """
        with np.load(path, allow_pickle=False) as archive:
            values = json.loads(archive["values"].tobytes())
            if values.get("version") != PERSONA_VERSION:
                raise InfluencerUnusable(
                    f"The persona file has version {values.get('version')}, this program reads {PERSONA_VERSION}. "
                    "Train the influencer again.",
                    field="version",
                    value=values.get("version"),
                    limit=PERSONA_VERSION,
                )
            references = tuple(
                Reference(
                    archive[f"image{position}"],
                    archive[f"landmarks{position}"],
                    archive[f"expression{position}"],
                    archive[f"embedding{position}"],
                )
                for position in range(values["count"])
            )
            rejected = tuple((str(name), str(reason)) for name, reason in values["rejected"])
            return cls(references, archive["embedding"], archive["shape"], tuple(values["missing"]), rejected)


def inspect_reference(path: Path, models: FaceModels) -> None:
    """Check that a picture holds exactly one usable face.

    Raises:
        InfluencerUnusable: it does not; the message names the picture and the reason.
    """
    image = read_picture(path)
    found = FaceDetector(models).find_thoroughly(image)
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

    The person is who most faces agree on. Left out, with the reason in `Persona.rejected`: faces too small, turned away, cut
    off, blurred, of somebody else, and faces that something hides (hand, sunglasses, tongue).

    Raises:
        InfluencerUnusable: no picture has a usable face; `details["pictures"]` names each picture's reason.
        Cancelled: `progress` did.
    """
    detector, landmarker, identifier = FaceDetector(models), FaceLandmarker(models), FaceIdentifier(models)
    found: list[tuple[str, Reference]] = []
    rejected: list[tuple[str, str]] = []
    for position, path in enumerate(pictures):
        image = read_picture(path)
        boxes = detector.find_thoroughly(image)
        if not boxes:
            rejected.append((path.name, "no face was found"))
        for box in boxes:
            reason = _unusable(box)
            if reason is None:
                points, presence = landmarker.in_box(image, box)
                reason = _unsuitable(image, points, presence)
                if reason is None:
                    found.append((path.name, _reference(image, points, identifier.embed(image, points))))
            if reason is not None:
                rejected.append((path.name, reason))
        progress(position + 1, len(pictures))
    if not found:
        reasons: dict[str, str] = {}
        for name, reason in rejected:
            reasons.setdefault(name, reason)
        told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise InfluencerUnusable(f"No picture shows a usable face ({told}). Add frontal pictures.", pictures=reasons)
    person = _one_person(found, rejected)
    person.sort(key=lambda entry: _restlessness(entry[1]))
    person = _unhidden(person, rejected)
    references = [reference for _, reference in person]
    return Persona(
        tuple(_varied(references)),
        _mean_embedding(references),
        _shape_at_rest(references),
        _missing(references, rejected),
        tuple(rejected),
    )


def _unsuitable(image: Image, points: Points, presence: float) -> str | None:
    """Why a face with these landmarks is not used, or None."""
    if presence < 0.6:
        return "the face is hidden or cut off"
    yaw = abs(yaw_degrees(points))
    if yaw > MOST_YAW:
        return f"the face is turned {yaw:.0f}° to the side"
    low, high = points[:, :2].min(axis=0).astype(int), points[:, :2].max(axis=0).astype(int)
    face = image[max(0, low[1]) : high[1] + 1, max(0, low[0]) : high[0] + 1]
    scale = 160 / max(face.shape[:2])
    gray = cv2.cvtColor(cv2.resize(face, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    if float(cv2.Laplacian(gray, cv2.CV_32F).var()) < LEAST_SHARPNESS:
        return "the face is blurred"
    return None


def _one_person(found: list[tuple[str, Reference]], rejected: list[tuple[str, str]]) -> list[tuple[str, Reference]]:
    """The faces that agree on who it is; the others go to `rejected`."""
    votes = [sum(similarity(one.embedding, other.embedding) for _, other in found) for _, one in found]
    anchor = found[int(np.argmax(votes))][1].embedding
    agreed = [entry for entry in found if similarity(entry[1].embedding, anchor) >= SAME_PERSON]
    mean = _mean_embedding([reference for _, reference in agreed])
    person = []
    for name, reference in found:
        if similarity(reference.embedding, mean) >= SAME_PERSON:
            person.append((name, reference))
        else:
            rejected.append((name, "the face looks like somebody else's"))
    return person


def _unhidden(person: list[tuple[str, Reference]], rejected: list[tuple[str, str]]) -> list[tuple[str, Reference]]:
    """Leave out faces of which something hides a part: their skin differs from the most neutral face's."""
    textures = [unwrapped(reference.image, reference.landmarks, _SMALL) for _, reference in person]
    kept = [person[0]]
    for entry, texture in zip(person[1:], textures[1:], strict=True):
        share = strange_share(texture, textures[0])
        if share > MOST_STRANGE:
            rejected.append((entry[0], f"something hides {100 * share:.0f} % of the face"))
        elif _chin_redness(texture) - _chin_redness(textures[0]) > MOST_REDNESS:
            rejected.append((entry[0], "the tongue or something red covers the lower lip"))
        else:
            kept.append(entry)
    return kept


def _chin_redness(texture: Image) -> float:
    """How much redder the edge of the lower lip is than the cheeks, in a of Lab."""
    tone = cv2.cvtColor(cv2.GaussianBlur(texture, (3, 3), 0).astype(np.float32) / 255, cv2.COLOR_BGR2Lab)[..., 1]
    places = (face_mesh().layout * texture.shape[0]).astype(int)
    lip, left, right = (float(tone[places[index, 1], places[index, 0]]) for index in (17, 205, 425))
    return lip - (left + right) / 2


def strange_share(texture: Image, known: Image) -> float:
    """Share of the skin that differs from the same person's skin after the light has been evened out, 0–1."""
    skin = skin_texels(texture.shape[0]) * skin_likeness(known)
    lit = relight(texture, known, skin, fit_brightness(luma(texture), luma(known), skin)).applied(known)
    both = [cv2.cvtColor(one.astype(np.float32) / 255, cv2.COLOR_BGR2Lab) for one in (texture, lit)]
    off = np.linalg.norm((both[0] - both[1]) / np.array([30, 9, 12], np.float32), axis=2)
    return float((skin * (off > 1)).sum() / max(float(skin.sum()), 1.0))


def _mean_embedding(references: Sequence[Reference]) -> Embedding:
    mean = np.mean([reference.embedding for reference in references], axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float32)


def _shape_at_rest(references: Sequence[Reference]) -> Points:
    """Median shape of the most neutral faces, which come first."""
    calm = references[: max(1, len(references) // 3)]
    points = np.stack([reference.landmarks for reference in calm])
    return np.asarray(np.median(poses_of(points).removed(points), axis=0), np.float32)


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
    side = max(8, round(1.75 * float((high - low).max())))
    left, top = (round(float(value) - side / 2) for value in (low + high) / 2)
    # Beyond the picture its last pixels go on.
    rows = np.clip(np.arange(top, top + side), 0, image.shape[0] - 1)
    columns = np.clip(np.arange(left, left + side), 0, image.shape[1] - 1)
    crop = image[rows[:, None], columns]
    size = min(_CROP, side)
    if size < side:
        crop = np.asarray(cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
    scale = np.float32(size / side)
    moved = points.copy()
    moved[:, :2] = (points[:, :2] - np.array([left, top], np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    moved[:, 2] *= scale
    return Reference(crop, moved, expression(moved), embedding)


def _restlessness(reference: Reference) -> float:
    """How far a face is from neutral and frontal; open eyes, closed mouth, sharp and large come first."""
    mouth, _, lift, _, eyes = (float(value) for value in reference.expression)
    size = min(1.0, reference.image.shape[0] / _LARGE)
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


def _missing(references: Sequence[Reference], rejected: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    expressions = np.stack([reference.expression for reference in references])
    yaws = [yaw_degrees(reference.landmarks) for reference in references]
    wishes = []
    if references[0].image.shape[0] < 400:
        wishes.append("A larger portrait would help: the best face is small.")
    if max(yaws) < 10:
        wishes.append("A picture with the head turned a little to the left would help.")
    if min(yaws) > -10:
        wishes.append("A picture with the head turned a little to the right would help.")
    if closed_reference(references) is None:
        wishes.append("A picture with closed eyes would help.")
    if expressions[:, 0].max() < 0.15:
        wishes.append("A picture with an open mouth would help.")
    if expressions[:, 1].max() < 1.15 * expressions[0, 1]:
        wishes.append("A picture with a broad smile would help.")
    if len(references) < 4:
        wishes.append("More pictures with different expressions would help.")
    if rejected and len(rejected) > len(references):
        wishes.append("More than half of the faces could not be used; see the reasons.")
    return tuple(wishes)
