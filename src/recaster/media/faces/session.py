"""One clip's swap around any `FaceGenerator`: crop, shape transfer, mask, occluders, sharpness, blending, fades."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.errors import FaceUnsuitable
from recaster.media.faces.analysis import TEXTURE
from recaster.media.faces.blend import MASK, blended, face_mask, silhouette
from recaster.media.faces.contours import EYES
from recaster.media.faces.expressions import shape_at_rest
from recaster.media.faces.eyelids import covered_by_lids
from recaster.media.faces.finish import Finish, finish_for, usual_finish
from recaster.media.faces.follow import FollowedFace, gaussian_in_time
from recaster.media.faces.generator import FaceGenerator, FaceView
from recaster.media.faces.glasses import FrameLayer, frame_texels
from recaster.media.faces.light import filled_texels, luma, skin_texels
from recaster.media.faces.mesh import Plane, Points, drawn_from_layout, layout_map, unwrapped
from recaster.media.faces.occlusion import MOST_HIDDEN, hidden_share
from recaster.media.faces.persona import Persona
from recaster.media.faces.reshape import Reshaper, brow_offsets, held_landmarks, shape_offsets
from recaster.media.faces.suitability import MOST_YAW, hair_over_turns, kept_texels, look_of
from recaster.media.video import Image

FADE_SECONDS = 0.17
"""Time over which the swap fades in and out where the face is lost or turned away too far."""
LEAST_WIDTH = 34.0
"""Pixels; a smaller face is left as it is."""
SMALL_WIDTH = 130.0
"""Pixels; narrower faces are never sharpened."""
MOST_MATCHED = 4
"""Frames of which sharpness and grain are measured."""
REACH = 0.46
"""Of the face's size around it: everything that may change lies in this crop."""
REPEATED = 0.05
"""Mean difference in levels up to which a frame repeats the one before. Measured: repetitions 0–0.04, still faces from 0.08 on."""
_VIEW_MARGIN = 0.18
_SKIN_SPREAD = 0.008
_EYEBALL_TONE = 0.8
_EYES_YAW = 22.0
_UNUSUAL, _USUAL = 0.65, 0.9
_AWAKE_FROM, _AWAKE = 0.1, 0.3
_MOST_OWN_EYES = 0.9
_EYE_SECONDS = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What a generator sees of one frame, and where, 0–1 in its pixels, what may change."""

    view: FaceView
    mask: Plane
    tone: Plane
    skin: Plane
    """Skin without brows, eyes, lips and nostrils."""


@dataclass(frozen=True, slots=True, eq=False)
class _Swapped:
    """What was done to the last frame that was not a repetition."""

    place: tuple[slice, slice]
    """Rows and columns of the frame."""
    crop: Image
    swapped: Image
    alpha: float


class BlendedSession:
    """`SwapSession` that blends what a generator draws."""

    def __init__(self, persona: Persona, face: FollowedFace, generator: FaceGenerator) -> None:
        self._face = face
        self._alpha = presence(face)
        if not self._alpha.any():
            raise FaceUnsuitable(
                f"The face on camera is turned more than {MOST_YAW:.0f}° to the side, narrower than {LEAST_WIDTH:.0f} "
                f"pixels or hidden by more than {100 * MOST_HIDDEN:.0f} % all the time. Pick another source."
            )
        seen = [unwrapped(probe.image, probe.points, MASK, whole=False) for probe in face.probes]
        usual, first = np.median(seen, axis=0).astype(np.uint8), persona.references[0]
        look, worn = look_of(usual), look_of(unwrapped(first.image, first.landmarks, MASK, whole=False))
        self._kept = kept_texels(usual, look, worn)
        frames = np.zeros_like(self._kept)
        if look.glasses:
            frames = np.asarray(cv2.GaussianBlur(frame_texels(usual), (0, 0), 0.8), np.float32)
        self._frames = FrameLayer(frames) if look.glasses else None
        # What stands before the chin must not be bent with it; a beard is the face's own.
        before = _small(self._kept) if look.chin else np.zeros((TEXTURE, TEXTURE), np.uint8)
        self._held = held_landmarks(np.maximum(face.hidden, before))
        hair = hair_over_turns(face.textures, face.poses.degrees[:, 0])
        self._hidden = np.maximum(face.hidden, hair)
        face = replace(face, hidden=np.maximum(self._hidden, _small(np.maximum(self._kept, frames))))
        self._rows = {int(frame): row for row, frame in enumerate(face.frames)}
        rest = shape_at_rest(persona, face)
        self._offsets = shape_offsets(rest, persona.shape, generator.shape_transfer)
        self._brows = brow_offsets(face.poses.removed(face.points), rest)
        self._reshaper = Reshaper()
        self._generator = generator.begin(persona, face)
        self._mask = face_mask()
        self._skin = cv2.GaussianBlur(skin_texels(MASK), (0, 0), _SKIN_SPREAD * MASK)
        # A generator that draws eyes and teeth in the source's expression keeps all of its own.
        self._own_mouth = not generator.keeps_source_eyes
        self._own_eyes = (
            own_eyes(persona, face) if generator.keeps_source_eyes else np.ones(len(face.frames), np.float32)
        )
        self._swapped = 0
        self._before: _Swapped | None = None
        self._finish = self._matched_finish()

    @property
    def swapped_frames(self) -> int:
        """How many frames have been changed so far."""
        return self._swapped

    def swap(self, image: Image, frame_index: int) -> Image:
        """Return the frame with the persona's face."""
        row = self._rows.get(frame_index)
        if row is None or self._alpha[row] <= 0:
            return image
        points = self._face.points[row]
        left, top, right, bottom = _region(points, image, REACH)
        if right - left < 16 or bottom - top < 16:
            return image
        place, alpha = np.s_[top:bottom, left:right], float(self._alpha[row])
        known = self._before
        if known is not None and known.alpha == alpha and _repeats(image[known.place], known.crop):
            # Landmarks smoothed over time would let the face alone move in it.
            place, changed = known.place, (known.swapped != known.crop).any(axis=2, keepdims=True)
            swapped = np.where(changed, known.swapped, image[place]).astype(np.uint8)
        else:
            crop = image[place].copy()
            own = points - np.array([left, top, 0], np.float32)
            swapped = self._swapped_crop(crop, own, row, alpha)
            self._before = _Swapped(place, crop, swapped, alpha)
        result = image.copy()
        result[place] = swapped
        self._swapped += 1
        return result

    def _swapped_crop(self, crop: Image, points: Points, row: int, alpha: float) -> Image:
        moved = (self._offsets + self._brows[row]) * (1 - self._held[row])[:, None]
        offset = self._face.poses.carried(row, moved) * np.float32(alpha)
        target = points + offset
        worn = self._worn(crop, points)
        bare = crop if worn is None else worn[0].taken_off(crop, *worn[1:])
        # Frame pixels to the crop's: both kinds of points differ by the same corner.
        outline = self._face.poses.placed(row, self._face.neutral) + (points - self._face.points[row])
        bent = self._reshaper.bend(bare, points, target, outline) if np.abs(offset[:, :2]).max() > 0.2 else bare.copy()
        left, top, right, bottom = _region(target, bent, _VIEW_MARGIN)
        seen = self._seen(bent[top:bottom, left:right], target - np.array([left, top, 0], np.float32), row)
        view = seen.view
        drawn = self._generator.generate(view)
        box = _shown(seen.mask)
        place = view.image[box]
        picture = self._finish.applied(drawn.picture[box], place, seen.skin[box])
        width, share = float(np.ptp(points[:, 0])), np.float32(alpha)
        mask, tone = seen.mask[box] * drawn.coverage[box] * share, seen.tone[box] * share
        bent[top:bottom, left:right][box] = blended(place, picture, mask, tone, width)
        return bent if worn is None else worn[0].put_on(bent, crop, *worn[1:])

    def _worn(self, image: Image, points: Points) -> tuple[FrameLayer, tuple[slice, slice], Plane] | None:
        """Glasses, and where in a picture of the face their frames are."""
        return None if self._frames is None else (self._frames, *self._frames.seen(points, image.shape[:2]))

    def _seen(self, image: Image, points: Points, row: int) -> _Seen:
        """What the generator sees, and the masks in its pixels."""
        layout, on_mesh = layout_map(points, image.shape[:2])
        view = FaceView(image, points, layout, on_mesh, row)
        hidden = cv2.resize(self._hidden[row], (MASK, MASK), interpolation=cv2.INTER_LINEAR)
        shown = (1 - hidden.astype(np.float32) / 255) * (1 - self._kept) * self._mask.face
        if not self._own_mouth:
            shown *= self._mask.inside
        left = np.float32(1 - self._own_eyes[row]) * (1 - covered_by_lids(self._face.closed[row], MASK))
        mask, tone = shown * (1 - left * self._mask.eyes), shown * (1 - _EYEBALL_TONE * left * self._mask.eyeballs)
        planes = drawn_from_layout(cv2.merge([mask, tone, self._skin]), layout)
        seen = silhouette(on_mesh, float(np.ptp(points[:, 0])))
        mask, tone, skin = cv2.split(cv2.multiply(planes, cv2.merge([seen, seen, seen])))
        return _Seen(view, *(np.asarray(plane, np.float32) for plane in (mask, tone, skin)))

    def _matched_finish(self) -> Finish:
        """What makes the drawn face as soft and as grainy as the clip."""
        found = []
        usable = [probe for probe in self._face.probes if self._alpha[probe.row] > 0]
        for probe in usable[:: max(1, -(-len(usable) // MOST_MATCHED))]:
            image, worn = probe.image, self._worn(probe.image, probe.points)
            if worn is not None:
                image = worn[0].taken_off(image, *worn[1:])
            seen = self._seen(image, probe.points, probe.row)
            if (seen.mask * seen.skin > 0.5).sum() < 100:
                continue
            drawn = self._generator.generate(seen.view).picture
            may = self._face.width > SMALL_WIDTH
            found.append(finish_for(drawn, seen.view.image, seen.mask, seen.skin, may_sharpen=may))
        return usual_finish(found)


def _small(plane: Plane) -> NDArray[np.uint8]:
    """A plane of the layout, 0–1, as large and fine as a `FollowedFace`'s, 0–255."""
    small = cv2.resize(plane, (TEXTURE, TEXTURE), interpolation=cv2.INTER_AREA)
    return np.asarray(np.round(255 * small), np.uint8)


def _repeats(image: Image, before: Image) -> bool:
    """Whether a picture is the one before it once more, but for what compression did to it."""
    return image.shape == before.shape and float(cv2.absdiff(image, before).mean()) < REPEATED


def _shown(mask: Plane) -> tuple[slice, slice]:
    """Rows and columns in which a face shows, with a little around them."""
    edges = []
    for axis in (1, 0):
        used = np.flatnonzero(mask.max(axis=axis) > 0)
        low, high = (int(used[0]), int(used[-1])) if used.size else (0, 0)
        edges.append(slice(max(0, low - 4), high + 5))
    return edges[0], edges[1]


def own_eyes(persona: Persona, face: FollowedFace) -> NDArray[np.float32]:
    """How much of the persona's own eyes shows in each row, 0–1.

    They are much of what tells who it is. Wherever the source's do not look as they usually do (looking elsewhere, half
    closed) or are seen from the side, eyeballs stay the source's, and its gaze with them. It is asked of the picture:
    landmarks neither see a gaze nor hardly close.
    """
    first = persona.references[0]
    drawn = luma(unwrapped(first.image, first.landmarks, TEXTURE))
    usual = luma(np.median(face.textures[:: max(1, len(face.frames) // 48)], axis=0))
    # Who looks down all the time must not stare.
    awake = np.clip((_likeness_of_eyes(usual, drawn) - _AWAKE_FROM) / (_AWAKE - _AWAKE_FROM), 0, 1)
    # An eye behind a hand says nothing about the other one.
    seen = np.stack([1 - face.hidden[:, inside].mean(axis=1) / 255 for inside in _eye_texels()], axis=1)
    alike = np.array(
        [_likeness_of_eyes(luma(one), usual, shown) for one, shown in zip(face.textures, seen, strict=True)]
    )
    as_usual = np.clip((alike - _UNUSUAL) / (_USUAL - _UNUSUAL), 0, 1)
    # Half of each is two pupils in one eye: pass quickly.
    as_usual = as_usual * as_usual * (3 - 2 * as_usual)
    turned = np.clip((MOST_YAW - np.abs(face.poses.degrees[:, 0])) / (MOST_YAW - _EYES_YAW), 0, 1)
    share = np.asarray(_MOST_OWN_EYES * awake * turned * as_usual, np.float32)
    for run in np.unique(face.runs):
        own = face.runs == run
        share[own] = gaussian_in_time(share[own], max(0.5, _EYE_SECONDS * face.frame_rate))
    return share


def _likeness_of_eyes(one: Plane, other: Plane, seen: NDArray[np.float32] | None = None) -> float:
    """Mean correlation of the brightness of both eyes in two small textures; `seen`: how much of each shows, (2,)."""
    found = [_correlation(one[inside], other[inside]) for inside in _eye_texels()]
    return float(np.average(found, weights=None if seen is None else seen**2 + 1e-3))


@lru_cache(maxsize=1)
def _eye_texels() -> tuple[NDArray[np.bool_], ...]:
    return tuple(filled_texels(TEXTURE, eye, 1.0) > 0 for eye in EYES)


def _correlation(one: Plane, other: Plane) -> float:
    off = one - one.mean(), other - other.mean()
    return float((off[0] * off[1]).sum() / max(float(np.sqrt((off[0] ** 2).sum() * (off[1] ** 2).sum())), 1e-6))


def presence(face: FollowedFace) -> NDArray[np.float32]:
    """How much of the swap shows in each row, 0–1: less near a gap and near what cannot be swapped well."""
    frames, count = face.frames, len(face.frames)
    width = np.ptp(face.points[:, :, 0], axis=1)
    clear = hidden_share(face.hidden) <= MOST_HIDDEN
    usable = (np.abs(face.poses.degrees[:, 0]) <= MOST_YAW) & (width >= LEAST_WIDTH) & clear
    steps = max(1, round(FADE_SECONDS * face.frame_rate))
    alpha = usable.astype(np.float32)
    for row in range(count):
        for shift in range(1, steps + 1):
            for other in (row - shift, row + shift):
                # The clip's own first and last frame are no gap, and neither is a cut.
                if 0 <= other < count:
                    gap = abs(int(frames[other]) - int(frames[row])) != shift
                    if gap or (face.runs[other] == face.runs[row] and not usable[other]):
                        alpha[row] = min(alpha[row], shift / (steps + 1))
    return np.asarray(alpha * usable, np.float32)


def _region(points: Points, image: Image, share: float) -> tuple[int, int, int, int]:
    """Bounds of the landmarks with a margin, within the picture: left, top, right, bottom."""
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    margin = share * (high - low)
    return (
        max(0, int(low[0] - margin[0])),
        max(0, int(low[1] - margin[1])),
        min(image.shape[1], int(high[0] + margin[0]) + 1),
        min(image.shape[0], int(high[1] + margin[1]) + 1),
    )
