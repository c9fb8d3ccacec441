"""The face mesh as geometry: the mean shape, its flat layout, pose of a face, and maps between layout and picture.

The layout ("texture") is one square for all faces: a place in it is the same place on every face. Around the 468 landmarks
lie three rings of made-up points, so that a texture holds hair line, jaw and neck too. No picture is read here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.faces.contours import OVAL, RIGID

Points = NDArray[np.float32]
"""Landmarks of one face, shape (468, 3): x and y in pixels of the frame, z in the same unit, smaller is nearer."""
Plane = NDArray[np.float32]

_HALVED = 160.0
"""Width in pixels from which on a face is drawn at half the size."""
_TORN = 0.06
"""Over the layout's side: places of neighbouring pixels further apart lie on two sides of an edge behind which the face goes on."""

Expression = NDArray[np.float32]
"""Mouth opening, mouth width, corner lift, brow height, eye opening: lengths over the distance between the eyes."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceMesh:
    """The mesh all faces share."""

    shape: Points
    """Mean face, (468, 3); origin between the eyes, the distance of the outer eye corners is 1."""
    layout: NDArray[np.float32]
    """Places of landmarks and ring points in the texture, 0–1, (576, 2)."""
    triangles: NDArray[np.int32]
    """Indices into `layout`, (1114, 3)."""
    rings: tuple[float, ...]
    """Distance of each ring from the oval's middle, as a multiple of the oval's."""


@lru_cache(maxsize=1)
def face_mesh() -> FaceMesh:
    """Read the packaged mesh."""
    with (
        resources.files("recaster.media.faces").joinpath("data/mesh.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as archive,
    ):
        rings = tuple(float(ring) for ring in archive["rings"])
        return FaceMesh(archive["shape"], archive["uv"], archive["triangles"], rings)


@lru_cache(maxsize=2)
def control_points(count: int) -> NDArray[np.int32]:
    """So many landmarks spread evenly over the mesh (farthest first), the oval's every second one among them."""
    layout = face_mesh().layout[:468]
    chosen = list(OVAL[::2])
    distance = np.min(np.linalg.norm(layout[:, None] - layout[chosen][None], axis=-1), axis=1)
    while len(chosen) < count:
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(layout - layout[chosen[-1]], axis=1))
    return np.asarray(chosen, np.int32)


def with_rings(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Append the ring points to landmarks of one face, (468, n) → (576, n)."""
    oval = points[list(OVAL)]
    centre = oval.mean(axis=0)
    return np.concatenate([points, *(centre + (oval - centre) * ring for ring in face_mesh().rings)])


@lru_cache(maxsize=8)
def _texels(size: int) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.bool_]]:
    """For each texel its three points, their weights, and whether the mesh covers it."""
    mesh = face_mesh()
    corners = mesh.layout * np.float32(size) - np.float32(0.5)
    owner, weights = rasterised(corners, mesh.triangles, (size, size))
    return mesh.triangles[np.maximum(owner, 0)], weights, owner >= 0


def texture_map(points: NDArray[np.float32], size: int) -> tuple[Plane, Plane]:
    """Where each texel of a texture lies in the picture whose landmarks are given: x and y, (size, size) each."""
    whole = with_rings(points[:, :2])
    corners, weights, _ = _texels(size)
    places = np.einsum("hwk,hwkc->hwc", weights, whole[corners])
    return np.ascontiguousarray(places[..., 0]), np.ascontiguousarray(places[..., 1])


def covered_texels(size: int) -> NDArray[np.bool_]:
    """Which texels lie on the mesh or its rings, (size, size)."""
    return _texels(size)[2]


def unwrapped(
    picture: NDArray[np.uint8], points: NDArray[np.float32], size: int, *, whole: bool = True, fine: bool = False
) -> NDArray[np.uint8]:
    """Texture of a face: BGR (size, size, 3).

    Texels beyond the rings are filled with their nearest neighbours' colour; unless `whole`, they hold anything. `fine`
    keeps pores that the quick filter blurs, for textures that will be drawn.
    """
    spread = float(np.ptp(points[:, 0])) / (0.62 * size)
    source = picture
    if spread > 1.15:
        # Remapping does not average when it reduces; resizing does, and by halves it is quick.
        width, height = (max(2, round(side / spread)) for side in (picture.shape[1], picture.shape[0]))
        while source.shape[0] >= 4 * height and source.shape[0] % 2 == 0 and source.shape[1] % 2 == 0:
            half = (source.shape[1] // 2, source.shape[0] // 2)
            source = np.asarray(cv2.resize(source, half, interpolation=cv2.INTER_AREA), np.uint8)
        source = np.asarray(cv2.resize(source, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        ratio = np.array([width / picture.shape[1], height / picture.shape[0]], np.float32)
        points = (points[:, :2] + np.float32(0.5)) * ratio - np.float32(0.5)
    x, y = texture_map(points, size)
    filtered = cv2.INTER_LANCZOS4 if fine else cv2.INTER_LINEAR
    texture = cv2.remap(source, x, y, filtered, borderMode=cv2.BORDER_REPLICATE)
    if not whole:
        return np.asarray(texture, np.uint8)
    return extended(np.asarray(texture, np.uint8), covered_texels(size))


def extended(texture: NDArray[np.uint8], known: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Fill unknown texels from known ones by pulling up and pushing down a pyramid (Gortler and others 1996)."""
    colors = [texture.astype(np.float32) * known[..., None]]
    weights = [known.astype(np.float32)]
    while min(weights[-1].shape) > 4:
        colors.append(np.asarray(cv2.pyrDown(colors[-1]), np.float32))
        weights.append(np.asarray(cv2.pyrDown(weights[-1]), np.float32))
    filled = colors[-1] / np.maximum(weights[-1], 1e-4)[..., None]
    for color, weight in zip(colors[-2::-1], weights[-2::-1], strict=True):
        below = cv2.resize(filled, (color.shape[1], color.shape[0]), interpolation=cv2.INTER_LINEAR)
        # A quarter of known texels is enough to go by: colours go on as they are at the border, not as they are on average.
        share = np.clip(4 * weight, 0, 1)[..., None]
        filled = color / np.maximum(weight, 1e-4)[..., None] * share + below * (1 - share)
    return np.where(known[..., None], texture, np.clip(np.round(filled), 0, 255).astype(np.uint8))


def layout_map(points: Points, shape: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Which place of the layout each pixel shows, 0–1, (*shape, 2), and which pixels show any, `shape`.

    Large faces are drawn at half the size and enlarged: the mesh is smooth. Triangles that face away are not drawn.

    Args:
        points: landmarks in pixels of the picture, (468, 3).
        shape: height and width of the picture.
    """
    mesh = face_mesh()
    whole = with_rings(points)
    triangles = mesh.triangles
    a, b, c = (whole[triangles[:, i]] for i in range(3))
    facing = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0]) > 0
    triangles = triangles[facing]
    # Far ones first, so that the nose covers the cheek behind it.
    triangles = triangles[np.argsort(-whole[triangles, 2].mean(axis=1), kind="stable")]
    halved = float(np.ptp(points[:, 0])) > _HALVED
    drawn_shape = (shape[0] // 2 + 1, shape[1] // 2 + 1) if halved else shape
    corners = whole[:, :2] / 2 - 0.25 if halved else whole[:, :2]
    owner, weights = rasterised(corners.astype(np.float32), triangles, drawn_shape)
    inside = owner >= 0
    places = np.zeros((*drawn_shape, 2), np.float32)
    places[inside] = np.einsum("nk,nkc->nc", weights[inside], mesh.layout[triangles][owner[inside]])
    known = cv2.erode(inside.astype(np.uint8), np.ones((3, 3)))
    if not halved:
        return places, known > 0
    size = (2 * drawn_shape[1], 2 * drawn_shape[0])
    large = cv2.resize(places, size, interpolation=cv2.INTER_LINEAR)
    # Beside the edge of a nose before a cheek the mean of both would be a place between them, an eye for instance.
    window = np.ones((3, 3), np.uint8)
    jump = cv2.subtract(cv2.dilate(places, window), cv2.erode(places, window)).max(axis=2)
    torn = ((jump > _TORN) & (known > 0)).astype(np.uint8)
    if torn.any():
        there = cv2.resize(torn, size, interpolation=cv2.INTER_NEAREST) > 0
        large[there] = cv2.resize(places, size, interpolation=cv2.INTER_NEAREST)[there]
    drawn = cv2.resize(known, size, interpolation=cv2.INTER_NEAREST)[: shape[0], : shape[1]]
    return np.ascontiguousarray(large[: shape[0], : shape[1]]), drawn > 0


def drawn_from_layout(plane: NDArray[Any], layout: NDArray[np.float32], *, fine: bool = False) -> NDArray[Any]:
    """Draw a square picture of the layout, any channels, at the places of `layout_map`; `fine` keeps its finest detail."""
    size = np.float32(plane.shape[0])
    x, y = cv2.split(layout * size - np.float32(0.5))
    filtered = cv2.INTER_CUBIC if fine else cv2.INTER_LINEAR
    return np.asarray(cv2.remap(plane, x, y, filtered, borderMode=cv2.BORDER_REPLICATE))


def rasterised(
    points: NDArray[np.float32], triangles: NDArray[np.int32], shape: tuple[int, int]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Triangle that owns each pixel (−1: none; a later triangle covers an earlier one) and its barycentric weights.

    All triangles are cut into rows and all rows into pixels at once, without a loop.
    """
    corners = points[triangles].astype(np.float32)
    top = np.maximum(np.ceil(corners[..., 1].min(axis=1)), 0).astype(np.int32)
    bottom = np.minimum(np.floor(corners[..., 1].max(axis=1)), shape[0] - 1).astype(np.int32)
    heights = np.maximum(bottom - top + 1, 0)
    triangle = np.repeat(np.arange(len(triangles), dtype=np.int32), heights)
    first = np.cumsum(heights) - heights
    row = top[triangle] + (np.arange(len(triangle), dtype=np.int32) - first[triangle].astype(np.int32))
    left = np.full(len(row), np.inf, np.float32)
    right = np.full(len(row), -np.inf, np.float32)
    for one, other in ((0, 1), (1, 2), (2, 0)):
        p, q = corners[triangle, one], corners[triangle, other]
        rise = q[:, 1] - p[:, 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (row - p[:, 1]) / rise
            x = p[:, 0] + share * (q[:, 0] - p[:, 0])
        crossed = (rise != 0) & (share >= -1e-6) & (share <= 1 + 1e-6)
        left = np.where(crossed, np.minimum(left, x), left)
        right = np.where(crossed, np.maximum(right, x), right)
    known = np.isfinite(left) & np.isfinite(right)
    start = np.maximum(np.ceil(np.where(known, left, 1) - 1e-4), 0).astype(np.int32)
    stop = np.minimum(np.floor(np.where(known, right, 0) + 1e-4), shape[1] - 1).astype(np.int32)
    widths = np.maximum(stop - start + 1, 0)
    span = np.repeat(np.arange(len(row), dtype=np.int32), widths)
    offset = np.cumsum(widths) - widths
    column = start[span] + (np.arange(len(span), dtype=np.int32) - offset[span].astype(np.int32))
    owner = np.full(shape, -1, np.int32)
    owner[row[span], column] = triangle[span]
    weights = np.zeros((*shape, 3), np.float32)
    rows, columns = np.nonzero(owner >= 0)
    owned = corners[owner[rows, columns]]
    a, b, c = owned[:, 0], owned[:, 1], owned[:, 2]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    area = np.where(np.abs(area) < 1e-6, 1e-6, area)
    x, y = columns.astype(np.float32), rows.astype(np.float32)
    second = ((x - a[:, 0]) * (c[:, 1] - a[:, 1]) - (y - a[:, 1]) * (c[:, 0] - a[:, 0])) / area
    third = ((b[:, 0] - a[:, 0]) * (y - a[:, 1]) - (b[:, 1] - a[:, 1]) * (x - a[:, 0])) / area
    weights[rows, columns] = np.clip(np.stack([1 - second - third, second, third], axis=1), 0, 1)
    return owner, weights


@dataclass(frozen=True, slots=True, eq=False)
class Poses:
    """Similarities that carry the mean shape onto faces: `scale * shape @ turn.T + shift`."""

    scale: NDArray[np.float32]
    """(n,), pixels for the distance between the outer eye corners."""
    turn: NDArray[np.float32]
    """(n, 3, 3), rotations."""
    shift: NDArray[np.float32]
    """(n, 3)."""

    def carried(self, row: int, offsets: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn offsets given in the shape's frame, (p, 3), into pixels of a face."""
        return np.asarray(self.scale[row] * offsets @ self.turn[row].T, np.float32)

    def placed(self, row: int, shape: Points) -> Points:
        """Put a shape, (468, 3), where a face is, in pixels."""
        return np.asarray(self.scale[row] * shape @ self.turn[row].T + self.shift[row], np.float32)

    def removed(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring faces (n, p, 3) back into the shape's frame."""
        moved = (points - self.shift[:, None]) / self.scale[:, None, None]
        return np.asarray(np.einsum("npj,njk->npk", moved, self.turn), np.float32)

    @property
    def degrees(self) -> NDArray[np.float32]:
        """Yaw, pitch and roll of each face, (n, 3); 0 faces the camera, roll turns clockwise in the picture."""
        yaw = np.arctan2(self.turn[:, 0, 2], self.turn[:, 2, 2])
        pitch = np.arcsin(np.clip(-self.turn[:, 1, 2], -1, 1))
        roll = np.arctan2(self.turn[:, 1, 0], self.turn[:, 1, 1])
        return np.asarray(np.degrees(np.stack([yaw, pitch, roll], axis=1)), np.float32)


def poses_of(points: NDArray[np.float32], shape: Points | None = None) -> Poses:
    """Fit the pose of faces (n, 468, 3) by their rigid points (Umeyama 1991); `shape` is the mean face unless given."""
    rigid = list(RIGID)
    known = (face_mesh().shape if shape is None else shape)[rigid].astype(np.float64)
    seen = points[:, rigid].astype(np.float64)
    centre_known, centre_seen = known.mean(axis=0), seen.mean(axis=1)
    left, values, right = np.linalg.svd(
        np.einsum("npi,pj->nij", seen - centre_seen[:, None], known - centre_known), full_matrices=False
    )
    sign = np.ones_like(values)
    sign[:, 2] = np.sign(np.linalg.det(left @ right))
    turn = (left * sign[:, None]) @ right
    scale = (values * sign).sum(axis=1) / ((known - centre_known) ** 2).sum()
    shift = centre_seen - scale[:, None] * np.einsum("nij,j->ni", turn, centre_known)
    return Poses(scale.astype(np.float32), turn.astype(np.float32), shift.astype(np.float32))


def expression(points: Points) -> Expression:
    """Measure an expression so that faces of different size and roll can be compared."""
    level = _level(points)

    def gap(one: int, other: int) -> float:
        return float(np.linalg.norm(level[one] - level[other]))

    eyes = gap(33, 263)
    lift = float(level[13, 1] + level[14, 1] - level[61, 1] - level[291, 1]) / 2
    brows = float(level[33, 1] + level[263, 1] - level[105, 1] - level[334, 1]) / 2
    opening = (gap(159, 145) + gap(386, 374)) / 2
    return np.array([gap(13, 14), gap(61, 291), lift, brows, opening], np.float32) / max(eyes, 1e-3)


def yaw_degrees(points: Points) -> float:
    """Turn of the head to the side, from the depth of the cheeks; 0 faces the camera."""
    across = points[454] - points[234]
    return float(np.degrees(np.arctan2(across[2], np.linalg.norm(across[:2]))))


def _level(points: Points) -> NDArray[np.float32]:
    """Points turned so that the eyes lie level."""
    eyes = points[263, :2] - points[33, :2]
    angle = np.arctan2(eyes[1], eyes[0])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], np.float32)
    return np.asarray((points[:, :2] - points[168, :2]) @ turn.T, np.float32)
