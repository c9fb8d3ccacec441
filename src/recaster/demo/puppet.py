"""A person who can move: one selfie brought to life by what her other pictures show. It knows one moment, not time.

The selfie gives the picture; a sheet of expressions gives what the face does. For an expression, points move by the
difference between that picture and the neutral one, and folds and shadows come with it as the ratio of the two pictures
(Liu, Shan, Zhang: "Expressive Expression Mapping with Ratio Images", 2001), so that skin stays as sharp as in the selfie.
What a warp cannot make, the inside of the mouth and closed lids, is taken from pictures that show it. The head turns as
a relief about the neck.

Coordinates: the *stage* is the selfie, reduced until the face is `FACE_HEIGHT` high; points, meshes and textures live there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skia
from numpy.typing import NDArray

from recaster.demo.cutout import background_plate, person_matte
from recaster.demo.expressions import (
    BROWS,
    CHEEKS,
    EYE_CORNERS,
    LID_FOLDS,
    LOWER_LIDS,
    LOWER_LIPS,
    MOUTH_CORNERS,
    OUTER_LIPS,
    OVAL,
    UNDER_NOSE,
    UPPER_LIDS,
    UPPER_LIPS,
    close_lids,
    face_parts,
    read_expressions,
    read_picture,
)
from recaster.demo.meshes import (
    Layer,
    Plane,
    Triangles,
    Vertices,
    canvas_on,
    draw_mesh,
    filled,
    hull,
    layer,
    scaled,
    smooth_path,
    triangulate,
    warped,
    weighted_blur,
)
from recaster.demo.relief import Relief, Rotation, rotation
from recaster.errors import NotInstalled
from recaster.media.faces import FaceDetector, FaceLandmarker, FaceModels
from recaster.media.video import Image

FACE_HEIGHT = 494.0
"""Stage pixels from forehead to chin."""
_RINGS = ((1.10, 0.8), (1.24, 0.4), (1.42, 0.0))
"""Rings of vertices around the oval: its multiple, and how much of the oval's movement by expression reaches it."""


@dataclass(frozen=True, slots=True)
class Pose:
    """What the person does at one moment; all zero is the selfie itself."""

    yaw: float = 0.0
    """Radians to the viewer's right."""
    pitch: float = 0.0
    """Radians downwards."""
    roll: float = 0.0
    """Radians clockwise as seen."""
    open: float = 0.0
    """Jaw: 0 is closed, 1 is the picture "surprised"."""
    wide: float = 0.0
    """Corners of the mouth apart (up to 1, as for "ee") or together (down to −1, as for "oo")."""
    smile: float = 0.0
    """0 is the selfie, 1 is the picture "happy"."""
    brows: float = 0.0
    """Up to 1 raised as in "surprised", down to −1 drawn together as in "angry"."""
    blink: float = 0.0
    """0 is open, 1 is closed."""
    gaze: tuple[float, float] = (0.0, 0.0)
    """Shift of both irises as a fraction of the eye's width: to the viewer's right, and down."""


class Puppet:
    """Draws the person of a folder of `openpeople` in any pose, and what is behind her.

    Raises:
        NotInstalled: a picture is missing, or does not show what it should.
    """

    def __init__(self, pictures: Path, models: Mapping[str, Path]) -> None:
        faces = FaceModels.of(models)
        detector, landmarker = FaceDetector(faces), FaceLandmarker(faces)
        selfie = read_picture(pictures, "amateur_selfie")
        found = detector.find(selfie)
        if not found:
            raise NotInstalled(f"amateur_selfie.jpg in {pictures} shows no face. Reinstall the package `openpeople`.")
        points, _ = landmarker.in_box(selfie, found[0])
        scale = FACE_HEIGHT / float(np.ptp(points[:, 1]))
        stage = np.asarray(cv2.resize(selfie, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        matte = person_matte(stage, models["person_mask"])
        self.points: Vertices = points * np.float32(scale)
        """Landmarks on the stage, shape (468, 3)."""
        self.background = background_plate(stage, matte)
        """What is behind the person, as large as the stage."""
        self._texture = layer(stage, matte)
        self._expressions = read_expressions(pictures, detector, landmarker, self.points)
        self._parts = face_parts(self.points)
        self._relief = Relief(self.points, (stage.shape[1], stage.shape[0]))
        self._rest, self._triangles = self._mesh()
        low, high = self.points[:, :2].min(axis=0) - 8, self.points[:, :2].max(axis=0) + 8
        self._box = (int(low[0]), int(low[1]), int(low[0]) + int(high[0] - low[0]) // 2 * 2, int(high[1]))
        left, top, right, bottom = self._box
        self._ratios = self._light_ratios()
        self._lids, self._lid_places, self._lid_triangles = self._closed_lids(stage[top:bottom, left:right])
        self._insides = {name: self._inside(stage, name) for name in ("shocked", "happy")}

    def draw(self, pose: Pose, camera: NDArray[np.float64], size: tuple[int, int]) -> Layer:
        """The person alone.

        Args:
            pose: what she does.
            camera: affine map from stage to frame, shape (2, 3).
            size: width and height of the frame.
        """
        turn = rotation(pose.yaw, pose.pitch, pose.roll)
        pixels = self._relief.drawn(self._texture, turn, camera, size)
        canvas = canvas_on(pixels)
        canvas.concat(skia.Matrix.MakeAll(*(float(value) for value in camera.ravel()), 0, 0, 1))
        turned = self._relief.turned(self._moved(pose), self._rest[:, :2], turn)
        farthest_first = np.argsort(-turned[self._triangles, 2].mean(axis=1), kind="stable")
        triangles = self._triangles[farthest_first]
        draw_mesh(canvas, self._lit(pose), self._rest[:, :2], turned[:, :2], triangles, replace=True)
        self._draw_eyes(canvas, pose, turned, turn)
        self._draw_mouth(canvas, pose, turned)
        return pixels

    # --- what is prepared once --------------------------------------------------------------------------------------

    def _mesh(self) -> tuple[Vertices, Triangles]:
        """Landmarks and rings around them at rest, with the relief's depth; and their triangles."""
        centre = self.points[:, :2].mean(axis=0)
        oval = self.points[list(OVAL), :2]
        flat = np.concatenate([self.points[:, :2], *(centre + (oval - centre) * factor for factor, _ in _RINGS)])
        rest = np.column_stack([flat, self._relief.depth(flat)]).astype(np.float32)
        # Triangles are made on a mouth a little open, so that none reaches from one lip to the other.
        opened = self._with_rings(rest, rest[: len(self.points)] + 0.3 * self._expressions["shocked"].offset)
        return rest, triangulate(opened[:, :2])

    def _with_rings(self, rest: Vertices, face: Vertices) -> Vertices:
        """A moved face, and the rings moved along with its oval."""
        moved = (face - rest[: len(self.points)])[list(OVAL)]
        rings = np.concatenate([share * moved for _, share in _RINGS])
        return np.concatenate([face, rest[len(self.points) :] + rings]).astype(np.float32)

    @property
    def _inner_triangles(self) -> Triangles:
        return np.asarray(self._triangles[(self._triangles < len(self.points)).all(axis=1)], np.int32)

    def _light_ratios(self) -> dict[str, Plane]:
        """Light and shade of expressions against the neutral one, as logarithms at half the size of the face's box."""
        left, top, right, bottom = self._box
        size = ((right - left) // 2, (bottom - top) // 2)
        target = np.asarray((self.points[:, :2] - np.array([left, top], np.float32)) / 2, np.float32)
        triangles = self._inner_triangles
        # Eyes and lips move by themselves, and brows must not leave their shadow where they were.
        shown = filled(scaled(target[list(OVAL)], 0.9), size, size[0] * 0.035)
        for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
            eye = filled(scaled(target[[*upper, *lower[::-1]]], 1.35), size, 3)
            shown = np.asarray(shown * (1 - eye), np.float32)
        shown = np.asarray(shown * (1 - 0.6 * filled(hull(target[list(OUTER_LIPS)]), size, 3)), np.float32)

        def light(name: str) -> Plane:
            expression = self._expressions[name]
            picture = warped(expression.picture, expression.points[:, :2], target, triangles, size)
            grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)
            return np.asarray(np.log(cv2.GaussianBlur(grey, (0, 0), 1.6) + 12.0), np.float32)

        neutral = light("neutral")

        def ratio(name: str) -> Plane:
            difference = light(name) - neutral
            # The two photographs may be lit a little differently: only what is local is the face's doing.
            local = difference - cv2.GaussianBlur(difference, (0, 0), size[0] * 0.16)
            return np.asarray(np.clip(local, -0.45, 0.3) * shown, np.float32)

        eyes, nose = float(target[list(EYE_CORNERS), 1].mean()), float(target[UNDER_NOSE, 1])
        rows = np.arange(size[1], dtype=np.float32)[:, None]
        upper_half = np.clip((0.5 * (eyes + nose) - rows) / (0.5 * (nose - eyes)), 0, 1)
        surprised = ratio("surprised")
        return {
            "smile": ratio("happy"),
            "open": np.asarray(surprised * (1 - upper_half), np.float32),
            "raised": np.asarray(surprised * upper_half, np.float32),
            "drawn": np.asarray(ratio("angry") * upper_half, np.float32),
        }

    def _closed_lids(self, own: Image) -> tuple[Layer, Vertices, Triangles]:
        """Closed lids in the selfie's light, soft towards the skin around: texture of the face's box, places, triangles."""
        size = (own.shape[1], own.shape[0])
        origin = np.array([self._box[0], self._box[1]], np.float32)
        open_eyes = np.asarray(self.points[:, :2] - origin, np.float32)
        shut = np.asarray(close_lids(self.points, 1.0)[:, :2] - origin, np.float32)
        expression = self._expressions["exhausted"]
        drawn = warped(expression.picture, expression.points[:, :2], shut, self._inner_triangles, size)
        mask = np.zeros((size[1], size[0]), np.float32)
        skin = mask
        for upper, lower, fold in zip(UPPER_LIDS, LOWER_LIDS, LID_FOLDS, strict=True):
            around = hull(open_eyes[[*fold, *lower]])
            mask = np.maximum(mask, filled(scaled(around, 0.96), size, 3.0))
            eye = filled(scaled(open_eyes[[*upper, *lower[::-1]]], 1.5), size)
            skin = np.maximum(skin, np.asarray(filled(scaled(around, 1.6), size) * (1 - eye), np.float32))
        for brow in BROWS:
            skin = np.asarray(skin * (1 - filled(scaled(hull(open_eyes[list(brow)]), 1.25), size)), np.float32)
        wanted, given = (weighted_blur(one.astype(np.float32), skin, 0.05 * FACE_HEIGHT) for one in (own, drawn))
        matched = drawn.astype(np.float32) * (wanted + 4) / (given + 4)
        sharper = matched + 0.5 * (matched - cv2.GaussianBlur(matched, (0, 0), 2.0))
        texture = layer(np.clip(sharper, 0, 255).astype(np.uint8), mask)
        of_lids = [index for group in (*UPPER_LIDS, *LOWER_LIDS, *LID_FOLDS) for index in group]
        inner = self._inner_triangles
        return texture, shut, inner[np.isin(inner, of_lids).any(axis=1)]

    def _inside(self, stage: Image, name: str) -> Layer:
        """A picture of the sheet in the selfie's light, for the inside of its mouth; of a smile only the teeth."""
        expression = self._expressions[name]

        def skin(picture: Image, points: Vertices) -> float:
            spots = [cv2.getRectSubPix(picture, (9, 9), (float(x), float(y))) for x, y in points[list(CHEEKS), :2]]
            return float(np.mean(spots))

        gain = float(np.clip(skin(stage, self.points) / skin(expression.picture, expression.points), 0.8, 1.3))
        lit = expression.picture.astype(np.float32) * gain
        # Daylight reaches further into a mouth than the studio's light did.
        lit = lit + np.array([16, 18, 34], np.float32) * (1 - lit / 255)
        if name != "happy":
            return layer(np.clip(lit, 0, 255).astype(np.uint8))
        # Towards the lower lip the picture gives way to the dark of the mouth.
        top, bottom = expression.points[list(UPPER_LIPS), :2], expression.points[list(LOWER_LIPS), :2]
        teeth = np.concatenate([top - 4, (top + 0.80 * (bottom - top))[::-1]])
        alpha = filled(teeth, (lit.shape[1], lit.shape[0]), 1.6)
        return layer(np.clip(0.86 * lit, 0, 255).astype(np.uint8), alpha)

    # --- what is done for every frame -------------------------------------------------------------------------------

    def _moved(self, pose: Pose) -> Vertices:
        """The mesh after expression, speech and blink, the head not yet turned."""
        upper, lower = self._parts.upper, self._parts.lower
        happy, surprised, angry = (self._expressions[name].offset for name in ("happy", "surprised", "angry"))
        face = self._rest[: len(self.points)] + pose.open * lower * surprised
        face += pose.smile * (lower + 0.5 * upper) * happy
        face += max(0.0, pose.brows) * upper * surprised + max(0.0, -pose.brows) * upper * angry
        across = self.points[:, 0] - self.points[list(MOUTH_CORNERS), 0].mean()
        face[:, 0] += 0.16 * pose.wide * self._parts.mouth[:, 0] * across
        return self._with_rings(self._rest, close_lids(face, pose.blink))

    def _lit(self, pose: Pose) -> Layer:
        """The texture with the folds and shadows of the expression."""
        shares = {
            "smile": pose.smile,
            "open": min(pose.open, 1.0),
            "raised": max(0.0, pose.brows),
            "drawn": max(0.0, -pose.brows),
        }
        total = sum(share * self._ratios[name] for name, share in shares.items())
        left, top, right, bottom = self._box
        gain = cv2.resize(np.clip(128 * np.exp(total), 0, 255).astype(np.uint8), (right - left, bottom - top))
        texture = self._texture.copy()
        face = texture[top:bottom, left:right]
        cv2.multiply(face, cv2.merge([gain, gain, gain, np.full_like(gain, 128)]), dst=face, scale=1 / 128)
        return texture

    def _draw_eyes(self, canvas: Any, pose: Pose, turned: Vertices, turn: Rotation) -> None:
        """Eyeballs that stay where they are while lids move over them; closing lids come from a picture of closed eyes."""
        if pose.blink > 0:
            part = float(np.clip((pose.blink - 0.25) / 0.5, 0, 1))
            share = part * part * (3 - 2 * part)
            draw_mesh(
                canvas, self._lids, self._lid_places, turned[: len(self.points), :2], self._lid_triangles, opacity=share
            )
        if pose.blink > 0.92 or (pose.blink == 0 and pose.gaze == (0.0, 0.0)):
            return
        angles = np.arange(12) * (2 * np.pi / 12)
        for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
            contour = [*upper, *lower[-2:0:-1]]
            rest = self._rest[contour]
            width = float(np.linalg.norm(rest[0, :2] - rest[len(upper) - 1, :2]))
            centre = rest[:, :2].mean(axis=0)
            iris = centre + 0.235 * width * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
            flat = np.concatenate([scaled(rest[:, :2], 1.12), iris, centre[None]]).astype(np.float32)
            moved = flat.copy()
            moved[len(contour) :] += np.array(pose.gaze, np.float32) * width
            ball = np.column_stack([moved, np.full(len(flat), rest[:, 2].mean(), np.float32)])
            canvas.save()
            canvas.clipPath(smooth_path(turned[contour, :2]), doAntiAlias=True)
            draw_mesh(canvas, self._texture, flat, self._relief.turned(ball, flat, turn)[:, :2], triangulate(flat))
            canvas.restore()

    def _draw_mouth(self, canvas: Any, pose: Pose, turned: Vertices) -> None:
        """The inside of the mouth: fixed to the skull from above, uncovered by the lower lip."""
        upper, lower = turned[list(UPPER_LIPS), :2], turned[list(LOWER_LIPS), :2]
        gap = np.linalg.norm(lower - upper, axis=1)
        # The selfie's own lips are closed, although the network puts their inner borders a little apart.
        rest = np.linalg.norm(self.points[list(LOWER_LIPS), :2] - self.points[list(UPPER_LIPS), :2], axis=1)
        closed = np.clip(2 * rest - gap, 0, np.minimum(rest, gap))
        share = (0.5 * closed / np.maximum(gap, 1e-3))[:, None]
        upper, lower = upper + share * (lower - upper), lower - share * (lower - upper)
        gap = gap - closed
        if gap.max() < 1.0:
            return
        canvas.save()
        canvas.clipPath(smooth_path(np.concatenate([upper, lower[-2:0:-1]])), doAntiAlias=True)
        raised = float(self._expressions["happy"].offset[list(UPPER_LIPS), 1].mean())
        for name, hidden in (("shocked", 0.0), ("happy", (1 - pose.smile) * -raised)):
            self._draw_inside(canvas, name, hidden, upper, lower, gap)
        # The upper lip throws its shadow on the teeth.
        shadow = skia.Paint(
            AntiAlias=True,
            Color=skia.Color(20, 8, 8, 150),
            Style=skia.Paint.kStroke_Style,
            StrokeWidth=0.022 * FACE_HEIGHT,
            MaskFilter=skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, 0.009 * FACE_HEIGHT),
        )
        canvas.drawPath(smooth_path(upper, closed=False), shadow)
        canvas.restore()

    def _draw_inside(self, canvas: Any, name: str, hidden: float, upper: Vertices, lower: Vertices, gap: Plane) -> None:
        """One picture's mouth between two lips; `hidden` stage pixels of it are covered by the upper lip."""
        expression = self._expressions[name]
        top, bottom = expression.points[list(UPPER_LIPS), :2], expression.points[list(LOWER_LIPS), :2]
        scale = float(np.linalg.norm(top[0] - top[-1])) / max(float(np.linalg.norm(upper[0] - upper[-1])), 1.0)
        depth = np.maximum(np.linalg.norm(bottom - top, axis=1), 1e-3)
        # Teeth stand still: a lip that is less raised hides the upper part of what the picture shows.
        first = np.minimum(hidden * scale / depth, 0.48)
        last = np.minimum(first + gap * scale / depth, 1.0)
        seen = np.minimum((last - first) * depth / np.maximum(gap * scale, 1e-3), 1.0)
        places = np.concatenate([top + (bottom - top) * part[:, None] for part in (first, last)])
        shown = np.concatenate([upper, upper + (lower - upper) * seen[:, None]])
        count = len(UPPER_LIPS)
        quads = [(i, i + 1, count + i + 1, count + i) for i in range(count - 1)]
        strip = np.array([corners for a, b, c, d in quads for corners in ((a, b, d), (b, c, d))], np.int32)
        draw_mesh(canvas, self._insides[name], places.astype(np.float32), shown.astype(np.float32), strip)
