"""Makes `src/recaster/media/faces/data/mesh.npz`: the mean face shape, its flat layout and its triangles.

The shape is the mean of the landmarks of two synthetic people (package `openpeople`), made symmetric. The layout is the
shape partly unrolled from a cylinder around the head, measured with the mouth open and the eyes open so that lips and lids do not
touch in it. Triangles are Delaunay's in that layout. Run it again only when the landmark network changes.
"""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings
from recaster.media.faces.contours import OVAL, RIGID
from recaster.media.faces.networks import FaceDetector, FaceLandmarker, FaceModels
from recaster.media.faces.persona import read_picture

RINGS = (1.10, 1.24, 1.42)
"""How far the rings around the oval lie from its middle, so that a texture has skin, hair and neck beyond the points."""
TARGET = Path("src/recaster/media/faces/data/mesh.npz")
Points = NDArray[np.float32]


def main() -> None:
    """Measure, unroll, triangulate and write."""
    store = ModelStore(Settings().folder("models"))
    models = FaceModels.of(store.paths())
    detector, landmarker = FaceDetector(models), FaceLandmarker(models)
    root = Path(str(distribution("openpeople").locate_file("openpeople/data/curated")))
    neutral: list[Points] = []
    moving: list[Points] = []
    for person in ("P006", "P007"):
        for name, kept in (("studio_portrait", neutral), ("emotions_sheet", moving)):
            image = read_picture(root / person / "assets" / f"{name}.jpg")
            for box in detector.find_thoroughly(image):
                points, presence = landmarker.in_box(image, box)
                if presence > 0.6:
                    kept.append(points)
    shape = symmetric(mean_shape(neutral))
    opened = sorted((aligned(points, shape) for points in moving), key=lambda one: one[13, 1] - one[14, 1])[:10]
    layout = unrolled(symmetric(np.mean(opened, axis=0)))
    layout = with_rings(layout)
    low, high = layout.min(axis=0), layout.max(axis=0)
    middle = (low + high) / 2
    uv = (layout - middle) / (1.02 * float((high - low).max())) + 0.5
    triangles = triangulated(uv)
    TARGET.parent.mkdir(exist_ok=True)
    np.savez_compressed(
        TARGET,
        shape=shape.astype(np.float32),
        uv=uv.astype(np.float32),
        triangles=triangles.astype(np.int32),
        rings=np.asarray(RINGS, np.float32),
    )
    print(TARGET, shape.shape, uv.shape, triangles.shape)


def normalised(points: Points) -> Points:
    """Centre the points between the eyes; the distance of the outer eye corners becomes 1."""
    moved = points - (points[33] + points[263]) / 2
    return np.asarray(moved / np.linalg.norm(points[33] - points[263]), np.float32)


def aligned(points: Points, shape: Points) -> Points:
    """Turn, move and scale the points onto the shape by its rigid part (Umeyama 1991)."""
    rigid = list(RIGID)
    one, other = points[rigid].astype(np.float64), shape[rigid].astype(np.float64)
    centre_one, centre_other = one.mean(axis=0), other.mean(axis=0)
    left, values, right = np.linalg.svd((other - centre_other).T @ (one - centre_one))
    sign = np.array([1, 1, np.sign(np.linalg.det(left @ right))])
    turn = left @ np.diag(sign) @ right
    scale = (values * sign).sum() / ((one - centre_one) ** 2).sum()
    return np.asarray((points - centre_one) @ (scale * turn).T + centre_other, np.float32)


def mean_shape(faces: list[Points]) -> Points:
    """Mean of the faces, aligned with the first and then with their mean."""
    mean = normalised(faces[0])
    for _ in range(3):
        mean = normalised(np.mean([aligned(points, mean) for points in faces], axis=0))
    return mean


def symmetric(shape: Points) -> Points:
    """Average the shape with its mirror image; partners are the nearest points."""
    mirrored = shape * np.array([-1, 1, 1], np.float32)
    partner = np.argmin(np.linalg.norm(shape[:, None] - mirrored[None], axis=-1), axis=1)
    mutual = partner[partner] == np.arange(len(shape))
    result = shape.copy()
    result[mutual] = (shape[mutual] + mirrored[partner[mutual]]) / 2
    return result


def unrolled(shape: Points) -> Points:
    """Between the front view and a cylinder's unrolling: the front keeps its room, the cheeks still have some."""
    axis = float(shape[list(OVAL), 2].max()) + 0.15
    radius = axis - float(shape[:, 2].min())
    angle = np.arctan2(shape[:, 0], axis - shape[:, 2])
    return np.stack([0.7 * shape[:, 0] + 0.25 * radius * angle, shape[:, 1]], axis=1).astype(np.float32)


def with_rings(layout: Points) -> Points:
    """Add rings of points around the oval."""
    oval = layout[list(OVAL)]
    centre = oval.mean(axis=0)
    return np.concatenate([layout, *(centre + (oval - centre) * ring for ring in RINGS)])


def triangulated(uv: Points) -> NDArray[np.int32]:
    """Delaunay triangles with one direction of turning; none of them across the open mouth."""
    scaled = np.round(uv * 4000) + 10
    plane = cv2.Subdiv2D((0, 0, 4100, 4100))
    lookup: dict[tuple[int, int], int] = {}
    for index, (x, y) in enumerate(scaled):
        plane.insert((float(x), float(y)))
        lookup[int(x), int(y)] = index
    found = []
    for corners in plane.getTriangleList():
        keys = [(round(float(corners[i])), round(float(corners[i + 1]))) for i in (0, 2, 4)]
        if all(key in lookup for key in keys):
            found.append([lookup[key] for key in keys])
    triangles = np.asarray(found, np.int32)
    a, b, c = (uv[triangles[:, i]] for i in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    triangles[area < 0] = triangles[area < 0][:, [0, 2, 1]]
    return triangles


if __name__ == "__main__":
    main()
