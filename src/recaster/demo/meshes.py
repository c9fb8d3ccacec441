"""Drawing of textured triangle meshes, and the plain geometry around it. It knows nothing of faces or people."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import skia
from numpy.typing import NDArray

from recaster.media.video import Image

Plane = NDArray[np.float32]
"""One value per pixel, shape (height, width), or per vertex, shape (n,)."""
Vertices = NDArray[np.float32]
"""Shape (n, 2) or (n, 3): x and y in pixels and, where given, depth in the same unit, smaller is nearer."""
Triangles = NDArray[np.int32]
"""Rows of three indices of vertices."""
Layer = NDArray[np.uint8]
"""BGRA with colours multiplied by alpha, shape (height, width, 4)."""


def layer(picture: Image, alpha: Plane | None = None) -> Layer:
    """A BGR picture with an alpha plane (0–1), opaque without one."""
    if alpha is None:
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA), np.uint8)
    color = np.rint(picture.astype(np.float32) * alpha[..., None]).astype(np.uint8)
    return np.ascontiguousarray(np.dstack([color, np.rint(alpha * 255).astype(np.uint8)]))


def canvas_on(pixels: Layer) -> Any:
    """A Skia canvas that draws straight into the given pixels."""
    info = skia.ImageInfo.Make(pixels.shape[1], pixels.shape[0], skia.kBGRA_8888_ColorType, skia.kPremul_AlphaType)
    return skia.Surface.MakeRasterDirect(info, pixels).getCanvas()


def draw_mesh(
    canvas: Any,
    texture: Layer,
    places: Vertices,
    shown: Vertices,
    triangles: Triangles,
    *,
    opacity: float = 1.0,
    replace: bool = False,
) -> None:
    """Draw a mesh, its triangles in the given order.

    Args:
        canvas: of Skia.
        texture: what is on the mesh; it must stay alive until the canvas is done.
        places: where the vertices are on the texture, shape (n, 2).
        shown: where they are drawn, shape (n, 2).
        triangles: of indices.
        opacity: 0–1.
        replace: whether the texture's transparent parts take away what was there before.
    """
    image = skia.Image.fromarray(texture, colorType=skia.kBGRA_8888_ColorType, copy=False)
    sampling = skia.SamplingOptions(skia.FilterMode.kLinear)
    paint = skia.Paint(
        Shader=image.makeShader(skia.TileMode.kClamp, skia.TileMode.kClamp, sampling),
        BlendMode=skia.BlendMode.kSrc if replace else skia.BlendMode.kSrcOver,
    )
    paint.setAlphaf(opacity)
    vertices = skia.Vertices(
        skia.Vertices.VertexMode.kTriangles_VertexMode,
        [skia.Point(x, y) for x, y in shown.tolist()],
        [skia.Point(x, y) for x, y in places.tolist()],
        None,
        triangles.ravel().tolist(),
    )
    canvas.drawVertices(vertices, paint)


def warped(picture: Image, places: Vertices, shown: Vertices, triangles: Triangles, size: tuple[int, int]) -> Image:
    """A picture drawn onto other places by a mesh, black around it, averaged where it becomes smaller.

    Args:
        picture: BGR.
        places: vertices in the picture, shape (n, 2).
        shown: the same vertices in the result.
        triangles: of indices.
        size: width and height of the result.
    """
    scale = float(np.ptp(shown[:, 0]) / np.ptp(places[:, 0]))
    source = cv2.GaussianBlur(picture, (0, 0), 0.4 / scale) if scale < 0.8 else picture
    pixels = np.zeros((size[1], size[0], 4), np.uint8)
    draw_mesh(canvas_on(pixels), layer(np.asarray(source, np.uint8)), places, shown, triangles, replace=True)
    return np.ascontiguousarray(pixels[..., :3])


def triangulate(places: Vertices) -> Triangles:
    """Delaunay triangles over places, shape (n, 2)."""
    low, high = places.min(axis=0) - 10, places.max(axis=0) + 10
    plane = cv2.Subdiv2D((int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])))
    numbers: dict[int, int] = {}
    for index, (x, y) in enumerate(places):
        numbers.setdefault(plane.insert((float(x), float(y))), index)
    triangles = []
    for corners in np.asarray(plane.getTriangleList()).reshape(-1, 3, 2):
        # The list also holds triangles that reach to the plane's outermost corners.
        if (corners >= low).all() and (corners <= high).all():
            nearest = [plane.findNearest((float(x), float(y)))[0] for x, y in corners]
            if all(corner in numbers for corner in nearest):
                triangles.append([numbers[corner] for corner in nearest])
    return np.asarray(triangles, np.int32)


def smooth_path(polygon: Vertices, *, closed: bool = True) -> Any:
    """A Skia path, smooth through the middles of the polygon's sides; or open through all its corners."""
    path = skia.Path()
    corners = polygon.astype(float)
    if not closed:
        path.moveTo(*corners[0])
        for corner in corners[1:]:
            path.lineTo(*corner)
        return path
    middles = (corners + np.roll(corners, -1, axis=0)) / 2
    path.moveTo(*middles[-1])
    for corner, middle in zip(corners, middles, strict=True):
        path.quadTo(*corner, *middle)
    path.close()
    return path


def scaled(polygon: Vertices, factor: float) -> Vertices:
    """A polygon made larger or smaller about the mean of its corners."""
    centre = polygon.mean(axis=0)
    return np.asarray(centre + (polygon - centre) * factor, np.float32)


def hull(places: Vertices) -> Vertices:
    """The convex polygon around places, shape (n, 2)."""
    return np.asarray(cv2.convexHull(places)[:, 0], np.float32)


def filled(polygon: Vertices, size: tuple[int, int], softness: float = 0.0) -> Plane:
    """1 inside a polygon and 0 outside, blurred by `softness` pixels; `size` is width and height."""
    plane = np.zeros((size[1], size[0]), np.uint8)
    cv2.fillPoly(plane, [np.rint(polygon * 16).astype(np.int32)], 255, lineType=cv2.LINE_AA, shift=4)
    soft = cv2.GaussianBlur(plane, (0, 0), softness) if softness > 0 else plane
    return np.asarray(soft, np.float32) / np.float32(255)


def weighted_blur(picture: Plane, weight: Plane, sigma: float) -> Plane:
    """Blur of a picture, shape (height, width, 3), that looks only at pixels with weight."""
    light = cv2.GaussianBlur(weight, (0, 0), sigma)
    color = cv2.GaussianBlur(picture * weight[..., None], (0, 0), sigma)
    return np.asarray(color / np.maximum(light, 1e-4)[..., None], np.float32)
