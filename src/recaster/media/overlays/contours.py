"""The contours of one text line as a pattern that can be looked for in any frame: is it there, how strong, where.

A pattern is the brightness gradient at the line's hard edges. What is compared is how much of that gradient a frame
shows at the same pixels: about 1 where the line stands complete, about 0 where it does not, and in between while it
fades. The pattern is cut into slices along the line, so that text being typed and captions whose words change colour can
be told from text that goes. It knows nothing of detectors, tracks or words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays.geometry import axes, bounds, line_height, line_width
from recaster.media.overlays.networks import Quad
from recaster.media.video.model import Luma

Gradient = NDArray[np.float32]
"""Sobel derivatives across and down, shape (height, width, 2), limited so that one hard edge is not all."""

_LIMIT = 400.0
_MOST_POINTS = 1200
_FAINT = 150.0
"""Sobel response up to which the edges of a line are weak: a step of about 38 of 255."""
_LEAST_GRADIENT = 48.0
"""Sobel response of the faintest edge that may belong to text: a step of 12 of 255."""


def gradient(luma: Luma) -> Gradient:
    """Derivatives of a brightness picture (height, width)."""
    across = cv2.Sobel(luma, cv2.CV_16S, 1, 0, ksize=3)
    down = cv2.Sobel(luma, cv2.CV_16S, 0, 1, ksize=3)
    both = np.asarray(cv2.merge([across, down]), np.float32)
    return np.clip(both, -_LIMIT, _LIMIT, out=both)


@dataclass(frozen=True, slots=True)
class Presence:
    """How much of a pattern a frame shows."""

    slices: NDArray[np.float32]
    """Strength per slice from the beginning of the line to its end: about 1 complete, 0 absent."""
    strength: float
    """Strength of the whole line."""
    likeness: float
    """Correlation with the pattern whatever its strength, −1 … 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Contours:
    """A line's pattern in pixels of the frame."""

    quad: Quad
    points: NDArray[np.int32]
    """x, y of the pixels, shape (n, 2)."""
    values: Gradient
    """Gradient at each, shape (n, 2)."""
    slice_of: NDArray[np.int32]
    slice_count: int
    weights: NDArray[np.float64]
    """Power of the gradient per slice."""
    box: tuple[int, int, int, int]
    """Left, top, right, bottom of the pixels, the last two not included."""

    @property
    def is_faint(self) -> bool:
        """Whether its edges are so weak that the scene behind it may drown it for a while."""
        return float(np.sqrt((self.values**2).sum(axis=1).mean())) < _FAINT

    def presence(self, luma: Luma, origin: tuple[int, int] = (0, 0), offset: tuple[int, int] = (0, 0)) -> Presence:
        """Look for the pattern, moved by `offset`, in a picture whose left top pixel is `origin` of the frame.

        Points outside the picture count as absent.
        """
        left, top, right, bottom = self.box
        dx, dy = offset[0] - origin[0], offset[1] - origin[1]
        x0, y0 = max(0, left + dx - 1), max(0, top + dy - 1)
        x1, y1 = min(luma.shape[1], right + dx + 1), min(luma.shape[0], bottom + dy + 1)
        if x1 - x0 < 3 or y1 - y0 < 3:
            return Presence(np.zeros(self.slice_count, np.float32), 0.0, 0.0)
        whole = left + dx >= x0 and top + dy >= y0 and right + dx <= x1 and bottom + dy <= y1
        return self._measure(luma[y0:y1, x0:x1], (dx - x0, dy - y0), whole)

    def _measure(self, luma: Luma, move: tuple[int, int], whole: bool) -> Presence:
        """Compare the pattern, moved by `move`, with a picture that has all of its points if it is `whole`."""
        height, width = luma.shape
        flat = (self.points[:, 1] + move[1]) * width + (self.points[:, 0] + move[0])
        inside: NDArray[np.bool_] | None = None
        if not whole:
            x, y = self.points[:, 0] + move[0], self.points[:, 1] + move[1]
            inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
            flat = np.where(inside, flat, 0)
        found = np.empty(self.values.shape, np.float32)
        found[:, 0] = cv2.Sobel(luma, cv2.CV_16S, 1, 0, ksize=3).ravel().take(flat)
        found[:, 1] = cv2.Sobel(luma, cv2.CV_16S, 0, 1, ksize=3).ravel().take(flat)
        np.clip(found, -_LIMIT, _LIMIT, out=found)
        if inside is not None:
            found *= inside[:, None]
        product = np.einsum("ij,ij->i", found, self.values)
        total, energy, shared = float(self.weights.sum()), float(np.vdot(found, found)), float(product.sum())
        slices = np.bincount(self.slice_of, product, self.slice_count)
        return Presence(
            (slices / np.maximum(self.weights, 1e-6)).astype(np.float32),
            shared / max(total, 1e-6),
            shared / max(float(np.sqrt(total * energy)), 1e-6),
        )


def contours_of(pictures: Sequence[tuple[Luma, tuple[int, int]]], quad: Quad) -> Contours | None:
    """The pattern of the line in `quad` from one or more pictures of it.

    Each picture comes with the place of its left top pixel in the frame, moved so that the line lies at `quad` in all.
    Edges that only some of the pictures show belong to the scene and drop out. None where there is no hard edge at all.
    """
    left, top, right, bottom = (round(value) for value in bounds(quad))
    for luma, (x, y) in pictures:
        left, top = max(left, x), max(top, y)
        right, bottom = min(right, x + luma.shape[1]), min(bottom, y + luma.shape[0])
    if right - left < 4 or bottom - top < 4:
        return None
    fields = [gradient(luma[top - y : bottom - y, left - x : right - x]) for luma, (x, y) in pictures]
    stable = fields[0] if len(fields) == 1 else np.median(np.stack(fields), axis=0).astype(np.float32)
    inside = np.zeros(stable.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.rint(quad - [left, top]).astype(np.int32)], 1)
    magnitude = (np.abs(stable[..., 0]) + np.abs(stable[..., 1])) * inside
    lit = magnitude[inside > 0]
    if lit.size == 0:
        return None
    hard = magnitude >= max(_LEAST_GRADIENT, 0.35 * float(np.quantile(lit, 0.97)))
    ys, xs = np.nonzero(hard)
    if len(xs) < 12:
        return None
    step = -(-len(xs) // _MOST_POINTS)
    xs, ys = xs[::step], ys[::step]
    points = np.stack([xs + left, ys + top], axis=1).astype(np.int32)
    corner, along, _ = axes(quad)
    count = int(np.clip(round(line_width(quad) / max(line_height(quad), 1.0) * 1.2), 1, 16))
    place = (points - corner) @ along / max(line_width(quad), 1.0)
    slices = np.clip((place * count).astype(np.int32), 0, count - 1)
    values = stable[ys, xs]
    weights = np.asarray(np.bincount(slices, (values**2).sum(axis=1), count), np.float64)
    box = (int(xs.min()) + left, int(ys.min()) + top, int(xs.max()) + left + 1, int(ys.max()) + top + 1)
    return Contours(quad, points, values, slices, count, weights, box)


def find_offset(
    pattern: Luma, picture: Luma, expected: tuple[int, int], reach: tuple[int, int], *, halve: bool = True
) -> tuple[tuple[int, int], float]:
    """Where in `picture` the patch `pattern` lies: left top pixel near `expected`, no farther than `reach`, and how alike.

    Compared are gradient magnitudes at half size, then the pixel is found at full size; at once at full size where
    `halve` is not wanted. Likeness is −1 … 1; it is −1 where the patch does not fit.
    """
    height, width = pattern.shape
    x0, y0 = max(0, expected[0] - reach[0]), max(0, expected[1] - reach[1])
    x1 = min(picture.shape[1], expected[0] + reach[0] + width)
    y1 = min(picture.shape[0], expected[1] + reach[1] + height)
    if x1 - x0 < width or y1 - y0 < height or min(width, height) < 8:
        return expected, -1.0
    part, small = _edge_picture(picture[y0:y1, x0:x1]), _edge_picture(pattern)
    if not halve:
        _, alike, _, (bx, by) = cv2.minMaxLoc(cv2.matchTemplate(part, small, cv2.TM_CCOEFF_NORMED))
        return (x0 + bx, y0 + by), float(alike)
    half = cv2.matchTemplate(
        cv2.resize(part, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        cv2.resize(small, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
        cv2.TM_CCOEFF_NORMED,
    )
    _, _, _, (bx, by) = cv2.minMaxLoc(half)
    fx0, fy0 = max(0, 2 * bx - 2), max(0, 2 * by - 2)
    fx1, fy1 = min(part.shape[1], 2 * bx + width + 3), min(part.shape[0], 2 * by + height + 3)
    if fx1 - fx0 < width or fy1 - fy0 < height:
        fx0, fy0 = min(fx0, part.shape[1] - width), min(fy0, part.shape[0] - height)
        fx1, fy1 = fx0 + width, fy0 + height
    fine = cv2.matchTemplate(part[fy0:fy1, fx0:fx1], small, cv2.TM_CCOEFF_NORMED)
    _, best, _, (cx, cy) = cv2.minMaxLoc(fine)
    return (x0 + fx0 + cx, y0 + fy0 + cy), float(best)


def _edge_picture(luma: Luma) -> NDArray[np.float32]:
    """Sum of the gradient's two limited magnitudes."""
    across, down = (
        np.minimum(np.abs(cv2.Sobel(luma, cv2.CV_16S, x, 1 - x, ksize=3)), np.int16(_LIMIT)) for x in (1, 0)
    )
    return np.asarray(cv2.add(across, down), np.float32)
