"""Blinks: how far each eye is closed, told by the picture, and the persona's closed lids drawn over it.

The landmark network closes an eye by a third of what it closes (measured on a computed head), so an eye is asked for itself:
what of its usual look is still to be seen? The persona's lids come down as a curtain with its lashes at the hem: from a
picture of closed eyes, or, without one, made of the skin around its eyes and the edge of its upper lids.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.faces.contours import EYES, LOWER_LIDS, UPPER_LIDS
from recaster.media.faces.light import filled_texels, luma
from recaster.media.faces.mesh import Plane, extended, face_mesh
from recaster.media.video import Image

if TYPE_CHECKING:
    from recaster.media.faces.persona import Reference

ROWS, COLUMNS = 24, 32
"""Of an eye's small picture; its upper half of a height and lower half of a height are lids."""
_ABOVE, _BELOW = 0.5, 1.5
_BALL = (slice(6, 19), slice(6, 26))
"""What of the small picture is eyeball while the eye is open."""
_SEARCH = (slice(3, 22), slice(2, 30))
"""Where it is looked for: a gaze moves it."""
_USUALLY_OPEN = 80
"""Percentile of openness that counts as open."""
_OPEN = 0.88
"""Share of its usual look from which on an eye closes. Measured: open ones of three people 0.87–1.15."""
_CLOSED, _CLOSED_MARGIN = (0.2, 0.5), 0.03
"""Bounds of the share at which it is closed, which is the clip's least and a little. Measured: 0.2–0.47."""
_WINK = 0.35
"""By so much less an eye shows of its usual look than one that is open when it is closed alone."""
_LEAST_CONTRAST = 0.05
_CLOSED_PICTURE, _CLOSED_READING = 0.62, 0.8
"""Share of the neutral picture's look of the eyes and of its opening by landmarks below which a picture shows closed eyes: light
changes the one, a smile the other. Measured: three closed ones 0.46–0.57 and 0.65–0.75."""
_REACH = (1.25, 2.3)
"""Over the eye: where lids are drawn."""
_FEATHER = 0.012
_HEM = 0.2
"""Lashes below the edge of the lid, over the eye's height."""
_SHUT_FROM = 0.75
_RISEN = -0.15
_SOFT_HEM = 0.12
_LINE = 0.78
"""Where closed lids meet, over the eye's height."""
_OWN_EDGE = (-0.4, -0.2, -0.06, 0.02)
"""Rows about the edge of an open upper lid, over the eye's height, that hold its lashes, from nothing to all to nothing."""


def eye_pictures(image: Image, points: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Both eyes upright and as large as their landmarks say, grey, (2, 24, 32); the picture's left one first.

    Args:
        image: BGR.
        points: landmarks in its pixels, (468, 2 or more).
    """
    found = []
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        top, bottom = points[list(upper), :2], points[list(lower), :2]
        along = np.linspace(0, len(upper) - 1, COLUMNS + 2)[1:-1]
        at = np.clip(along.astype(int), 0, len(upper) - 2)
        share = (along - at)[:, None]
        edges = [edge[at] * (1 - share) + edge[at + 1] * share for edge in (top, bottom)]
        height = float(np.linalg.norm(edges[1] - edges[0], axis=1).max())
        middle = len(upper) // 2
        down = bottom[middle] - top[middle]
        down = down / max(float(np.linalg.norm(down)), 1e-6)
        rows = (np.linspace(-_ABOVE, _BELOW, ROWS) - 0.5)[:, None, None] * height * down
        places = ((edges[0] + edges[1]) / 2 + rows).astype(np.float32)
        low = np.maximum(np.floor(places.reshape(-1, 2).min(axis=0)).astype(int) - 2, 0)
        high = np.ceil(places.reshape(-1, 2).max(axis=0)).astype(int) + 3
        cut = image[low[1] : max(high[1], low[1] + 2), low[0] : max(high[0], low[0] + 2)]
        if cut.size == 0:
            found.append(np.zeros((ROWS, COLUMNS), np.uint8))
            continue
        gray = cv2.cvtColor(cut, cv2.COLOR_BGR2GRAY)
        x, y = (np.ascontiguousarray(places[..., axis] - np.float32(low[axis])) for axis in (0, 1))
        found.append(np.asarray(cv2.remap(gray, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8))
    return np.stack(found)


def closed_eyes(
    pictures: NDArray[np.uint8], readings: NDArray[np.float32], widths: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How far each eye is closed, 0–1, (n, 2).

    Args:
        pictures: of `eye_pictures`, (n, 2, 24, 32).
        readings: openings by landmarks, any unit, (n,): in the more open half of the rows the eyes are taken to be open.
        widths: of the eyes in pixels, (n, 2): of a turned head the near eye is believed.
    """
    usual = _openness(pictures, readings >= np.median(readings))
    if usual is None:
        return np.zeros((len(pictures), 2), np.float32)
    trust = widths**2 / np.maximum((widths**2).sum(axis=1, keepdims=True), 1e-6)
    both = (usual * trust).sum(axis=1, keepdims=True)
    # One eye may be shaded or turned away and show little of a change; only beside a fully open one it winks.
    winking = (usual.max(axis=1, keepdims=True) > _OPEN) & (np.ptp(usual, axis=1, keepdims=True) > _WINK)
    own = np.where(winking, usual, both)
    closed = float(np.clip(both.min() + _CLOSED_MARGIN, *_CLOSED))
    return np.asarray(np.clip((_OPEN - own) / (_OPEN - closed), 0, 1), np.float32)


def _openness(pictures: NDArray[np.uint8], awake: NDArray[np.bool_]) -> NDArray[np.float32] | None:
    """How much of each eye's look in the rows `awake` is seen in each row, about 1 when open, (n, 2); None: nothing is seen."""
    shares = []
    for eye in (0, 1):
        looks = pictures[:, eye].astype(np.float32)
        looks /= np.maximum(np.median(looks, axis=(1, 2), keepdims=True), 1)
        looks = np.stack([cv2.GaussianBlur(look, (0, 0), 1.0) for look in looks])
        usual = np.median(looks[awake], axis=0)[_BALL]
        usual = usual - usual.mean()
        if float(usual.std()) < _LEAST_CONTRAST:
            return None
        strength = float((usual**2).sum())
        seen = [cv2.matchTemplate(look[_SEARCH], usual, cv2.TM_CCORR).max() / strength for look in looks]
        shares.append(np.asarray(seen) / max(float(np.percentile(seen, _USUALLY_OPEN)), 1e-3))
    return np.stack(shares, axis=1).astype(np.float32)


def closed_reference(references: Sequence[Reference]) -> Reference | None:
    """The picture with the most closed eyes of a persona's, of which the first is the neutral one; None when it has none."""
    pictures = np.stack([eye_pictures(one.image, one.landmarks) for one in references])
    awake = np.zeros(len(pictures), np.bool_)
    awake[0] = True
    usual = _openness(pictures, awake)
    if usual is None:
        return None
    looks = (usual / np.maximum(usual[0], 1e-3)).mean(axis=1)
    readings = np.array([one.expression[4] for one in references])
    readings = readings / max(float(readings[0]), 1e-3)
    closed = np.flatnonzero((looks < _CLOSED_PICTURE) & (readings < _CLOSED_READING))
    if closed.size == 0:
        return None
    return references[int(closed[np.argmin((looks * readings)[closed])])]


class Eyelids:
    """The persona's lids as a texture; any side."""

    def __init__(self, texture: Image, closed: Image | None) -> None:
        """Prepare lids.

        Args:
            texture: the persona with open eyes, BGR (s, s, 3).
            closed: the same with closed ones, in the same light; None makes lids of the skin around the eyes.
        """
        side = texture.shape[0]
        self._side = side
        self._boxes = [_box(side, eye) for eye in (0, 1)]
        if closed is None:
            made = _made_lids(texture)
            self._lids = [made[box].astype(np.float32) for box in self._boxes]
        else:
            self._lids = []
            for eye, box in enumerate(self._boxes):
                line = _line_of(luma(closed), side, eye)
                self._lids.append(_fallen(_matched(closed, texture, eye)[box], (_LINE - line) * _edge(side, eye)[1]))

    def drawn(self, texture: Image, closed: NDArray[np.float32]) -> Image:
        """Put lids on a texture, BGR (s, s, 3): each eye closed by its share `closed`, (2,)."""
        result = texture.copy()
        for eye, box in enumerate(self._boxes):
            share = float(closed[eye])
            if share > 0:
                lid = _fallen(self._lids[eye], (1 - share) * (_RISEN - _LINE) * _edge(self._side, eye)[1])
                weight = (_cover(self._side, eye, share) * _place(self._side, eye))[box][..., None]
                result[box] = np.round(lid * weight + texture[box] * (1 - weight)).astype(np.uint8)
        return result


def covered_by_lids(closed: NDArray[np.float32], size: int) -> Plane:
    """What of the eyes `Eyelids` draws when they are closed by the shares `closed`, (2,): 0–1, (size, size)."""
    covered = np.zeros((size, size), np.float32)
    for eye in (0, 1):
        if closed[eye] > 0:
            box = _box(size, eye)
            covered[box] = np.maximum(covered[box], _cover(size, eye, float(closed[eye]))[box])
    return covered


def _fallen(lid: NDArray[np.generic], rows: float) -> NDArray[np.float32]:
    """A lid moved down by so many rows."""
    matrix = np.array([[1.0, 0, 0], [0, 1, rows]])
    size = (lid.shape[1], lid.shape[0])
    moved = cv2.warpAffine(
        lid.astype(np.float32), matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, np.float32)


@lru_cache(maxsize=8)
def _box(size: int, eye: int) -> tuple[slice, slice]:
    """Rows and columns around an eye's lids."""
    used = _place(size, eye) > 0
    rows, columns = (np.flatnonzero(used.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


@lru_cache(maxsize=8)
def _place(size: int, eye: int) -> Plane:
    """Where lids are drawn, 0–1, soft."""
    hard = filled_texels(size, EYES[eye], _REACH)
    soft = cv2.GaussianBlur(cv2.erode(hard, np.ones((3, 3), np.uint8)), (0, 0), _FEATHER * size)
    return np.where(soft > 0.01, soft, 0).astype(np.float32)


@lru_cache(maxsize=8)
def _edge(size: int, eye: int) -> tuple[NDArray[np.float32], float]:
    """Row of the open upper lid's edge in each column, (size,), and the eye's height in rows."""
    layout = face_mesh().layout * np.float32(size) - np.float32(0.5)
    upper, lower = layout[list(UPPER_LIDS[eye])], layout[list(LOWER_LIDS[eye])]
    order = np.argsort(upper[:, 0])
    rows = np.interp(np.arange(size), upper[order, 0], upper[order, 1])
    return rows.astype(np.float32), float((lower[:, 1] - upper[:, 1]).max())


def _heights(size: int, eye: int) -> Plane:
    """How far below the upper lid's edge each texel lies, over the eye's height, (size, size)."""
    edge, height = _edge(size, eye)
    # The hem of a falling lid is less bent than the open lid's edge.
    flat = 0.5 * edge + 0.5 * float(edge[_box(size, eye)[1]].mean())
    return np.asarray((np.arange(size)[:, None] - flat[None]) / height, np.float32)


def _cover(size: int, eye: int, closed: float) -> Plane:
    hem = closed * _LINE + (1 - closed) * _RISEN + _HEM
    shut = max(0.0, closed - _SHUT_FROM) / (1 - _SHUT_FROM)
    hem += 3 * shut * shut
    begun = min(1.0, closed / 0.25)
    return np.asarray(begun * np.clip((hem - _heights(size, eye)) / _SOFT_HEM + 0.5, 0, 1), np.float32)


def _line_of(bright: Plane, size: int, eye: int) -> float:
    """Where closed lids meet, over the eye's height: the darkest row beside the lids' skin."""
    heights, place = _heights(size, eye), filled_texels(size, EYES[eye], (0.8, 1.6)) > 0
    steps = np.arange(0.1, 1.3, 0.1)
    profile = [float(bright[place & (np.abs(heights - step) < 0.1)].mean()) for step in steps]
    return float(steps[int(np.argmin(profile))])


def _matched(lids: Image, texture: Image, eye: int) -> NDArray[np.float32]:
    """Lids as bright and of the colour of the skin around the open eye."""
    size = texture.shape[0]
    ring = (_place(size, eye) > 0) & (filled_texels(size, EYES[eye], (1.3, 1.9)) == 0)
    wanted, given = (np.median(one[ring].astype(np.float32), axis=0) for one in (texture, lids))
    return np.asarray(np.clip(lids * (wanted + 4) / (given + 4), 0, 255), np.float32)


def _made_lids(texture: Image) -> Image:
    """Closed lids of a face that is only known with open eyes: skin from around, and the upper lid's edge moved down."""
    size = texture.shape[0]
    result = texture.copy()
    for eye in (0, 1):
        edge, height = _edge(size, eye)
        box = _box(size, eye)
        bare = (filled_texels(size, EYES[eye], (1.06, 1.5)) == 0)[box]
        skin = extended(texture[box], bare)
        result[box] = skin
        shift = np.float32(_LINE * height)
        rows, columns = np.meshgrid(
            np.arange(box[0].start, box[0].stop, dtype=np.float32),
            np.arange(box[1].start, box[1].stop, dtype=np.float32),
            indexing="ij",
        )
        flat = 0.5 * edge + 0.5 * float(edge[box[1]].mean())
        fall = shift + (flat - edge)[box[1]][None]
        hem = np.asarray(cv2.remap(texture, columns, rows - fall, cv2.INTER_LINEAR), np.float32)
        # Lashes lie side by side; what shines between them is the eye.
        hem = np.asarray(cv2.blur(hem, (2 * round(0.02 * size) + 1, 1)), np.float32)
        near = np.interp(_heights(size, eye)[box] - _LINE, _OWN_EDGE, (0, 1, 1, 0)).astype(np.float32)
        inside = cv2.GaussianBlur(filled_texels(size, EYES[eye], (1.0, 2.4)), (0, 0), 0.01 * size)[box]
        weight = (near * inside)[..., None]
        # Of the edge only what is darker than skin: lashes, no eyeball.
        lashes = np.minimum(hem, skin)
        result[box] = np.round(lashes * weight + skin * (1 - weight)).astype(np.uint8)
    return result
