"""Carries a restored picture from frame to frame along the motion, with what is known about its error.

The state of a `Carrier` is a crop without text and, for each pixel, the squared error to expect of it. A step moves the
state to the neighbouring frame: pixels that are seen there are taken as they are; hidden ones come from the state along
dense flow, their error grows with the misfit seen beside them, and where it exceeds that of a fill from around, the
fill takes over. So what was really seen at any time wins over what is invented, what is invented is invented once, and a
resting scene does not flicker. This is a Kalman filter in which the fill plays the measurement.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays._fill import Fill, Plane, largest_difference, mean_square, push_pull, smooth_known
from recaster.media.overlays._motion import NeighbourFlow
from recaster.media.video.model import Image, Mask

NOISE = 4.0
"""Squared error of a pixel that is seen: what coding does to it."""
LOST = 1e4
"""Squared error of a pixel nothing is known about."""
_SLOW = 25.0
"""Misfit, in multiples of the noise, of a picture laid on its neighbour unmoved, up to which its motion is slow."""
_MADE_UP = 0.6
"""Mean error of what is behind the text, against that of a fill, from which it counts as made up."""
_DRIFT = 0.15
"""Growth of the squared error per frame even where all fits."""
_LEAST_SHARE = 0.02
"""A pixel that a fill would change by no more than this share is left as it is."""
_FILLED_FROM, _FILL_STEP = 24, 16
"""Cells of the grid around what is filled that a fill gets to see, and steps in which it may work."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """Estimates for the hidden pixels of one frame, in the order of `np.flatnonzero(text)`."""

    colors: Plane
    """(n, 3)."""
    variance: Plane
    """(n,) squared error to expect."""


class Carrier:
    """One direction of carrying. Feed neighbouring frames of one shot, all of the same crop.

    `fill` makes up what the state does not know; without it the state only says that it does not know.
    """

    def __init__(self, reduction: float, flow: NeighbourFlow, fill: Fill | None = None) -> None:
        self._reduction = reduction
        self._flow = flow
        self._fill = fill
        self._picture: Image | None = None
        self._variance: Plane = np.zeros((0, 0), np.float32)
        self._small: Plane = np.zeros((0, 0, 3), np.float32)

    def restart(self) -> None:
        """Forget the state: the next frame begins a shot."""
        self._picture = None

    def estimate(self, picture: Image, text: Mask) -> Hidden:
        """Estimate the pixels of the next frame that are hidden where `text` is not 0. `settle` it before going on."""
        if not text.any():
            return Hidden(np.zeros((0, 3), np.float32), np.zeros(0, np.float32))
        grid = self._grid(text)
        known_full = np.asarray(text == 0, np.float32)
        known = np.asarray(cv2.resize(known_full, grid, interpolation=cv2.INTER_AREA), np.float32)
        seen = cv2.resize(picture * known_full[..., None], grid, interpolation=cv2.INTER_AREA)
        colors = np.asarray(seen / np.maximum(known, 1e-3)[..., None], np.float32)
        sure = np.asarray(known > 0.45, np.float32)
        spots = Spots.of(text, (grid[1], grid[0]))
        if self._picture is not None:
            return self._moved(colors, sure, spots)
        if self._fill is None:
            return Hidden(spots.sample(push_pull(colors, sure)), np.full(len(spots.pixels), LOST, np.float32))
        return Hidden(spots.sample(self._fill(colors, sure)), spots.sample(_fill_error(colors, sure))[:, 0])

    def settle(self, picture: Image, text: Mask, hidden: Hidden) -> Image:
        """Make a frame with its hidden pixels filled in the state, and return it."""
        height, width = text.shape
        restored = picture
        self._variance = np.full((height, width), NOISE, np.float32)
        if len(hidden.colors):
            restored = picture.copy()
            pixels = np.flatnonzero(text)
            restored.reshape(-1, 3)[pixels] = np.clip(np.rint(hidden.colors), 0, 255).astype(np.uint8)
            self._variance.ravel()[pixels] = hidden.variance
        self._picture = restored
        self._small = np.asarray(cv2.resize(restored, self._grid(text), interpolation=cv2.INTER_AREA), np.float32)
        return restored

    def _grid(self, text: Mask) -> tuple[int, int]:
        height, width = text.shape
        return max(8, round(width / self._reduction)), max(8, round(height / self._reduction))

    def _moved(self, colors: Plane, sure: Plane, spots: Spots) -> Hidden:
        """Bring the state along the flow to a frame of which `colors` are seen where `sure` is 1."""
        assert self._picture is not None
        stay_error, stay_offset = _misfit(colors, self._small, sure)
        spatial = _fill_error(colors, sure)
        moves = np.asarray((stay_error > 1.5 * NOISE), np.float32)
        flow: Plane | None = None
        error, offset, carried = stay_error, stay_offset, self._small
        if float(moves.mean()) > 0.002:
            # Where little moves, what was really seen under the text a frame ago stands in for it; what was made up, or
            # has moved on since, would hold the motion back.
            doubt = cv2.resize(self._variance, sure.shape[::-1], interpolation=cv2.INTER_AREA) / spatial
            believed = np.clip(1.0 - 3.0 * doubt, 0.0, 1.0) * (stay_error < _SLOW * NOISE)
            trust = np.where(sure > 0, 1.0, believed).astype(np.float32)
            guess = push_pull(np.where(sure[..., None] > 0, colors, self._small).astype(np.float32), trust)
            fine = float(np.minimum(doubt, 1.0)[sure == 0].mean()) < _MADE_UP if (sure == 0).any() else True
            flow = self._flow.between(guess, self._small, sure, fine=fine)
            guess = np.where(sure[..., None] > 0, colors, _warped(self._small, flow)).astype(np.float32)
            flow = self._flow.between(guess, self._small, sure, fine=fine)
            moved = _warped(self._small, flow)
            error, offset = _misfit(colors, moved, sure)
            # A resting pixel stays exactly where it is: moving it by a tenth of a pixel would blur it and make it tremble.
            rests = (stay_error <= 1.1 * error + 0.5) & (largest_difference(flow) < 0.12)
            flow[rests] = 0.0
            error = np.where(rests, stay_error, error).astype(np.float32)
            offset = np.where(rests[..., None], stay_offset, offset).astype(np.float32)
            carried = np.where(rests[..., None], self._small, moved).astype(np.float32)
        growth = 0.5 * np.maximum(0.0, error - 1.5 * NOISE)
        if flow is None:
            here = self._picture.reshape(-1, 3)[spots.pixels].astype(np.float32)
            variance = self._variance.ravel()[spots.pixels]
        else:
            here, variance = self._sampled(flow, spots)
        extra = spots.sample(np.asarray(cv2.merge([*cv2.split(offset), growth]), np.float32))
        here = here + extra[:, :3]
        variance = variance + extra[:, 3] + np.float32(_DRIFT)
        stand_in = np.where(sure[..., None] > 0, colors, carried + offset).astype(np.float32)
        return self._renewed(Hidden(here, variance), stand_in, spatial, sure, spots)

    def _renewed(self, carried: Hidden, stand_in: Plane, spatial: Plane, sure: Plane, spots: Spots) -> Hidden:
        """What was carried, with a fill where that is expected to be better.

        `stand_in` is `carried` on the grid, `spatial` the squared error to expect of a fill.
        """
        if self._fill is None:
            return carried
        expected = spots.sample(spatial)[:, 0]
        share = np.clip(1.0 - expected / np.maximum(carried.variance, 1e-3), 0.0, 1.0)
        doubtful = np.flatnonzero(share > _LEAST_SHARE)
        if not len(doubtful):
            return carried
        # What the state knows well helps to fill what it does not know.
        cells = spots.cells(sure.shape)
        counts = np.maximum(np.bincount(cells, minlength=sure.size), 1)
        variance = (np.bincount(cells, weights=carried.variance, minlength=sure.size) / counts).reshape(sure.shape)
        trust = np.where(sure > 0, 1.0, spatial / (spatial + 2.0 * variance)).astype(np.float32)
        xs, ys, part = spots.grid_xs[doubtful], spots.grid_ys[doubtful], share[doubtful]
        window = _window(xs, ys, sure.shape)
        filled = stand_in.copy()
        filled[window] = self._fill(stand_in[window], trust[window])
        renewed = Hidden(carried.colors.copy(), carried.variance.copy())
        renewed.colors[doubtful] += part[:, None] * (sampled(filled, xs, ys) - carried.colors[doubtful])
        renewed.variance[doubtful] += part * (expected[doubtful] - carried.variance[doubtful])
        return renewed

    def _sampled(self, flow: Plane, spots: Spots) -> tuple[Plane, Plane]:
        """Colours and errors of the state at the hidden pixels' places in it."""
        assert self._picture is not None
        height, width = self._variance.shape
        rows, columns = flow.shape[:2]
        shift = spots.sample(flow)
        xs = spots.xs + shift[:, 0] * np.float32(width / columns)
        ys = spots.ys + shift[:, 1] * np.float32(height / rows)
        # Sharper ways of sampling sharpen a little each time: carried over many frames that makes dots and halos.
        colors = sampled(self._picture, xs, ys)
        variance = sampled(self._variance, xs, ys)[:, 0]
        outside = (xs < -0.5) | (ys < -0.5) | (xs > width - 0.5) | (ys > height - 0.5)
        return colors, np.where(outside, np.float32(LOST), variance)


def combined(one: Hidden, other: Hidden) -> Hidden:
    """Both directions' estimates, each by how well it knows."""
    a, b = 1.0 / one.variance**2, 1.0 / other.variance**2
    share = (a / (a + b))[:, None]
    return Hidden(
        np.asarray(one.colors * share + other.colors * (1 - share), np.float32),
        np.minimum(one.variance, other.variance),
    )


def _window(xs: Plane, ys: Plane, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The part of a grid of `shape` around some positions, with enough beside them to fill from.

    It begins at a multiple of the steps a fill may work in, so that a fill does not change with the window.
    """
    found = []
    for values, size in ((ys, shape[0]), (xs, shape[1])):
        first = max(0, int(values.min()) - _FILLED_FROM) // _FILL_STEP * _FILL_STEP
        found.append(slice(first, min(size, int(values.max()) + 2 + _FILLED_FROM)))
    return found[0], found[1]


def _misfit(colors: Plane, moved: Plane, sure: Plane) -> tuple[Plane, Plane]:
    """Squared error to expect of a moved picture at each place, and the smooth colour difference taken off before."""
    apart = colors - moved
    offset, reach = smooth_known(apart, sure, 12.0)
    offset = offset * np.minimum(1.0, reach / 0.05)[..., None]
    # Coding noise is no change of light.
    offset = (np.sign(offset) * np.clip(np.abs(offset) - 0.75, 0.0, 16.0)).astype(np.float32)
    squares = mean_square(np.asarray(apart - offset, np.float32))
    error, weight = smooth_known(squares, sure, 3.0)
    wide, wide_weight = smooth_known(squares, sure, 14.0)
    share = np.minimum(1.0, weight / 0.05)
    far = np.where(wide_weight > 1e-3, wide, LOST)
    return np.asarray(error * share + far * (1 - share), np.float32), offset


def _fill_error(colors: Plane, sure: Plane) -> Plane:
    """Squared error to expect of a smooth fill: grows with the texture around and the distance into the hole."""
    mean, _ = smooth_known(colors, sure, 5.0)
    texture, _ = smooth_known(mean_square(np.asarray(colors - mean, np.float32)), sure, 8.0)
    depth = cv2.distanceTransform((sure < 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    return np.asarray(1.5 * texture * (1.0 - np.exp(-((depth / 4.0) ** 2))) + 2.0 * NOISE, np.float32)


def _warped(picture: Plane, flow: Plane) -> Plane:
    height, width = flow.shape[:2]
    xs = flow[..., 0] + np.arange(width, dtype=np.float32)
    ys = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    return np.asarray(cv2.remap(picture, xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def sampled(values: Image | Plane, xs: Plane, ys: Plane) -> Plane:
    """Interpolated values at scattered positions, shape (n, channels)."""
    columns = 1024  # the remapping call takes pictures, not lists: fold the list into rows
    count = len(xs)
    rows = -(-count // columns)
    folded = [np.pad(v.astype(np.float32), (0, rows * columns - count)).reshape(rows, columns) for v in (xs, ys)]
    found = cv2.remap(values, folded[0], folded[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32).reshape(rows * columns, -1)[:count]


@dataclass(frozen=True, slots=True)
class Spots:
    """The pixels of a hole: flat indices and positions in the crop, and their positions on its reduced grid."""

    pixels: NDArray[np.intp]
    xs: Plane
    ys: Plane
    grid_xs: Plane
    grid_ys: Plane

    @classmethod
    def of(cls, hole: Mask, grid: tuple[int, int]) -> Spots:
        """The non-zero pixels of `hole`, against a reduced grid of (rows, columns)."""
        pixels = np.flatnonzero(hole)
        ys, xs = (v.astype(np.float32) for v in np.divmod(pixels, hole.shape[1]))
        sx, sy = hole.shape[1] / grid[1], hole.shape[0] / grid[0]
        half = np.float32(0.5)
        return cls(pixels, xs, ys, (xs + half) / np.float32(sx) - half, (ys + half) / np.float32(sy) - half)

    def sample(self, plane: Plane) -> Plane:
        """Values of a plane of the reduced grid at the hole's pixels, shape (n, channels)."""
        return sampled(plane, self.grid_xs, self.grid_ys)

    def cells(self, grid: tuple[int, ...]) -> NDArray[np.intp]:
        """Flat index of the cell of the reduced grid that each pixel lies in."""
        rows = np.clip(np.rint(self.grid_ys), 0, grid[0] - 1).astype(np.intp)
        columns = np.clip(np.rint(self.grid_xs), 0, grid[1] - 1).astype(np.intp)
        return rows * grid[1] + columns


def reduction_of(width: int, height: int, most_cells: int) -> float:
    """How much smaller than the crop motion is measured, 2 to 4: large regions are measured more coarsely."""
    return min(4.0, max(2.0, math.sqrt(width * height / most_cells)))
