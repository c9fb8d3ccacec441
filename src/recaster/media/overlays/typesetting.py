"""Words set in a shipped face and laid on the words that were seen: which face, how large, how widely spaced, where.

What is compared is coverage: how much of each pixel the letters take. The seen coverage comes from the pictures of a
line, the drawn one from the same text engine that later draws the new words, so that both mean the same by size and
place. It tells no colours (see `inking`) and describes no blocks (see `style`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays._typefaces import FINE
from recaster.media.overlays.fonts import FONTS
from recaster.media.overlays.model import Box
from recaster.media.overlays.seen_letters import Field, Seen
from recaster.media.overlays.setting import DEFAULT_FACE, Face, Fit, Setting, typesetter

_WIDTHS = (0.84, 0.88, 0.92, 0.96, 1.0, 1.04, 1.08, 1.12, 1.16, 1.2)
"""Sizes that are tried, as shares of the measured one: what stands beside the letters may have been taken for one."""
_STEP = 1.02
"""Sizes nearer to each other than by this are tried once."""
_FINALISTS = 3
"""Faces that are fitted exactly."""
_FAR_BEHIND = 0.2
"""Agreement at whole pixels that a face may lack against the best one to be fitted exactly."""
_LEAST_ENERGY = 1e-3
"""Mean square of the coverage where there may be letters."""
_SPACED_OUT = 1.06
"""Width of a line, against what its height makes expect, from which its letters may be spaced."""
_GAIN_OF_SPACING = 0.06
"""Agreement at whole pixels that spaced letters have to gain against larger ones."""
_CLEARLY_SPACED = 0.012
"""Extra advance per em that is no error of the measure."""
_TRACKED = 6
"""Letters from which on size and spacing can be told apart."""
_LARGE = 28.0
"""Em size in pixels from which faces are compared at half the size."""
_WRONG = 3
"""Pixels by which a place that was found at half the size may be wrong."""
_ABOVE, _BELOW = 1.7, 1.0
"""How far letters with marks on them reach above and below the baseline, at most, in em."""
_CERTAIN = 0.8
"""Agreement at an angle from which letters need not be compared level."""
_MOST_TILT, _LEAST_TILT = 0.06, 0.006
"""Radians by which letters may be turned in pictures that should have them level, and from which that is looked at."""
_GAIN_OF_TILT = 0.02
"""Agreement that a tilt has to gain."""


def compared(text: str, seen: Seen, box: Box, em: float, room: Box) -> list[Fit]:
    """The text in every face that has its letters, laid on what was seen; the best first.

    `box` is about where the letters are, `room` where they may be as well. The first few are fitted exactly. A line
    whose letters stand at an angle in its pictures is compared at that angle as well.
    """
    tilt = _likely_tilt(seen, box, em)
    turned = _compared_at(tilt, text, seen, box, em, room) if abs(tilt) >= _LEAST_TILT else []
    if turned and turned[0].agreement > _CERTAIN:
        return turned
    level = _compared_at(0.0, text, seen, box, em, room)
    return turned if turned and turned[0].agreement > level[0].agreement + _GAIN_OF_TILT else level


def _compared_at(tilt: float, text: str, seen: Seen, box: Box, em: float, room: Box) -> list[Fit]:
    setter = typesetter()
    faces = [Face(key, weight) for key, family in FONTS.items() for weight in family.weights]
    faces = [face for face in faces if setter.has(text, face)] or [DEFAULT_FACE]
    reach = 0.5 * em
    left, top = (max(0, int(min(box[side], room[side]) - reach)) for side in (0, 1))
    right, bottom = (max(0, math.ceil(max(box[side], room[side]) + reach)) for side in (2, 3))
    whole, seen = seen, seen.part(slice(top, bottom), slice(left, right))
    box = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
    centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    if tilt:
        seen = seen.levelled(tilt, centre)
    fits = sorted((_coarse(text, face, seen, box, em) for face in faces), key=lambda fit: -fit.agreement)
    fits = [replace(fit, setting=_moved(_turned(fit.setting, tilt, centre), left, top)) for fit in fits]
    near = [fit for fit in fits if fit.agreement > fits[0].agreement - _FAR_BEHIND]
    exact = [fitted(text, whole, fit.setting, tilts=bool(tilt)) for fit in near[:_FINALISTS]]
    # Weights of one family are told from each other by exact fits alone.
    family = max(exact, key=lambda fit: fit.agreement).setting.face.font
    others = [fit for fit in fits if fit not in near[:_FINALISTS]]
    exact += [fitted(text, whole, fit.setting, tilts=bool(tilt)) for fit in others if fit.setting.face.font == family]
    others = [fit for fit in others if fit.setting.face.font != family]
    return sorted([*exact, *others], key=lambda fit: -fit.agreement)


def _likely_tilt(seen: Seen, box: Box, em: float) -> float:
    """Radians clockwise by which the letters in `box` are turned: the angle at which rows of letters have the hardest ends.

    (The projection profile, the usual measure for the skew of a scanned page; Postl, 1986.)
    """
    reach = 0.4 * em
    rows = slice(max(0, int(box[1] - reach)), max(0, math.ceil(box[3] + reach)))
    columns = slice(max(0, int(box[0])), max(0, math.ceil(box[2])))
    part = np.ascontiguousarray(np.minimum(seen.cover[rows, columns], 1.0))
    height, width = part.shape
    if min(height, width) < 8 or width < 3 * em:
        return 0.0

    def hardness(slope: float) -> float:
        # Columns are moved up or down: for so small an angle that is a turn.
        upright = np.array([[1.0, 0.0, 0.0], [-slope, 1.0, slope * width / 2]])
        profile = cv2.warpAffine(part, upright, (width, height)).sum(axis=1)
        return float((np.diff(profile) ** 2).sum())

    slopes = np.linspace(-_MOST_TILT, _MOST_TILT, 25)
    found = [hardness(float(slope)) for slope in slopes]
    best = int(np.argmax(found))
    if not 0 < best < len(found) - 1:
        return 0.0
    before, at, after = found[best - 1 : best + 2]
    bend = before - 2 * at + after
    step = float(slopes[1] - slopes[0])
    return float(slopes[best]) + (0.5 * (before - after) / bend * step if bend < 0 else 0.0)


def _turned(setting: Setting, tilt: float, centre: tuple[float, float]) -> Setting:
    """A setting as it stands once the picture that it was laid on level is turned by `tilt` about `centre`."""
    if not tilt:
        return setting
    c, s = math.cos(tilt), math.sin(tilt)
    x, y = setting.x - centre[0], setting.baseline - centre[1]
    return replace(setting, x=centre[0] + c * x - s * y, baseline=centre[1] + s * x + c * y, tilt=tilt)


def _moved(setting: Setting, right: float, down: float) -> Setting:
    return replace(setting, x=setting.x + right, baseline=setting.baseline + down)


def _coarse(text: str, face: Face, seen: Seen, box: Box, em: float) -> Fit:
    """The best of a few sizes, each at the whole pixel where it fits best. Large type is told apart at half the size first."""
    middle = Setting(face, em, 0.0, (box[0] + box[2]) / 2, box[1] + 0.8 * (box[3] - box[1]), 0.0)
    sample = _Sample.of(text, replace(middle, size=max(24.0, em)))
    # Width and height contradict each other where something beside or above the letters was taken for one of them.
    by_width = sample.setting.size * (box[2] - box[0]) / sample.width
    by_height = sample.setting.size * (box[3] - box[1]) / sample.height
    sizes = _apart(size * share for size in (by_width, by_height) for share in _WIDTHS)
    pixel = 2 if em >= _LARGE and min(seen.cover.shape) >= _LARGE else 1
    whole, cover = sample, seen.cover
    if pixel == 2:
        sample, cover = sample.halved(), _halved(seen.cover)
    tried = [sample.placed(cover, size, pixel) for size in sizes if 0.55 * em < size < 1.7 * em]
    best = max(tried, key=lambda fit: fit.agreement, default=Fit(middle, 0.0))
    gaps = len(text) - 1
    if gaps >= _TRACKED and by_width > _SPACED_OUT * by_height:
        # Wider than high: larger letters, or the same ones farther apart.
        spacing = ((box[2] - box[0]) / by_height - whole.width / whole.setting.size) / gaps
        spaced = _Sample.of(text, replace(whole.setting, spacing=spacing))
        small = spaced.halved() if pixel == 2 else spaced
        plain = best.agreement
        for size in _apart(by_height * share for share in _WIDTHS):
            fit = small.placed(cover, size, pixel)
            if fit.agreement > plain + _GAIN_OF_SPACING and fit.agreement > best.agreement:
                best, whole, sample = fit, spaced, small
    for way in (1.04, 1 / 1.04):
        while 0.5 * em < best.setting.size < 2.0 * em:
            further = sample.placed(cover, best.setting.size * way, pixel)
            if further.agreement <= best.agreement:
                break
            best = further
    return whole.placed_near(seen.cover, best.setting) if pixel == 2 and tried else best


def _apart(sizes: Iterable[float]) -> list[float]:
    """The sizes in rising order, of those that hardly differ the smallest."""
    kept: list[float] = []
    for size in sorted(sizes):
        if not kept or size >= _STEP * kept[-1]:
            kept.append(size)
    return kept


def _halved(field: Field) -> Field:
    return np.asarray(cv2.resize(field, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32)


def placed(text: str, seen: Seen, setting: Setting) -> Fit:
    """The setting at the whole pixel of the picture where it lies best; as it is where it has no room in the picture.

    A tilted one is placed in the picture turned level.
    """
    if not setting.tilt:
        return _Sample.of(text, setting).placed(seen.cover, setting.size)
    centre = (setting.x, setting.baseline)
    level = seen.levelled(setting.tilt, centre).cover
    laid = _Sample.of(text, replace(setting, tilt=0.0)).placed(level, setting.size)
    return replace(laid, setting=_turned(laid.setting, setting.tilt, centre))


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """Letters drawn once, to be scaled to several sizes."""

    setting: Setting
    cells: NDArray[np.uint8]
    """Fine cells of their coverage, cut to them."""
    fine: float
    """Cells per pixel."""
    left: float
    top: float
    """Where the letters begin against the centre of the advance and the baseline, in pixels."""

    @classmethod
    def of(cls, text: str, setting: Setting) -> _Sample:
        setter, size = typesetter(), setting.size
        advance = setter.advance(text, setting.face, setting.spacing) * size
        shape = (math.ceil((_ABOVE + _BELOW) * size), math.ceil(advance + 2 * size))
        local = replace(setting, x=size + advance / 2, baseline=_ABOVE * size, tilt=0.0)
        cells = setter.fine(text, local, shape)
        left, top, width, height = cv2.boundingRect(cv2.threshold(cells, 127, 255, cv2.THRESH_BINARY)[1])
        return cls(
            setting,
            cells[top : top + max(1, height), left : left + max(1, width)],
            FINE,
            left / FINE - local.x,
            top / FINE - local.baseline,
        )

    @property
    def width(self) -> float:
        return float(self.cells.shape[1]) / self.fine

    @property
    def height(self) -> float:
        return float(self.cells.shape[0]) / self.fine

    def halved(self) -> _Sample:
        """The same in cells twice as large."""
        rows, columns = (max(2, length + length % 2) for length in self.cells.shape)
        cells = np.zeros((rows, columns), np.uint8)
        cells[: self.cells.shape[0], : self.cells.shape[1]] = self.cells
        half = cv2.resize(cells, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)
        return replace(self, cells=np.asarray(half, np.uint8), fine=self.fine / 2)

    def placed(self, cover: Field, size: float, pixel: int = 1) -> Fit:
        """The letters at a size, at the whole pixel of a seen coverage where they lie best.

        A pixel of `cover` is `pixel` pixels of the picture wide and high.
        """
        scale = size / self.setting.size
        columns, rows = max(1, round(self.width * scale / pixel)), max(1, round(self.height * scale / pixel))
        if rows > cover.shape[0] or columns > cover.shape[1]:
            return Fit(replace(self.setting, size=size), 0.0)
        drawn = cv2.resize(self.cells, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        agreement = cv2.matchTemplate(cover, drawn, cv2.TM_CCOEFF_NORMED)
        # Where nothing is seen the correlation is one rounding error by another.
        energy = cv2.boxFilter(cover * cover, -1, (columns, rows), anchor=(0, 0))
        agreement[energy[: agreement.shape[0], : agreement.shape[1]] < _LEAST_ENERGY] = -1.0
        row, column = np.unravel_index(int(agreement.argmax()), agreement.shape)
        place = replace(
            self.setting,
            size=size,
            x=float(column) * pixel - self.left * scale,
            baseline=float(row) * pixel - self.top * scale,
            tilt=0.0,
        )
        return Fit(place, float(agreement.max()))

    def placed_near(self, cover: Field, about: Setting) -> Fit:
        """The same at the size of `about`, no farther from it than it may be wrong."""
        scale = about.size / self.setting.size
        left, top = about.x + self.left * scale, about.baseline + self.top * scale
        x0, y0 = max(0, math.floor(left) - _WRONG), max(0, math.floor(top) - _WRONG)
        x1 = math.ceil(left + self.width * scale) + _WRONG
        y1 = math.ceil(top + self.height * scale) + _WRONG
        fit = self.placed(np.ascontiguousarray(cover[y0:y1, x0:x1]), about.size)
        place = fit.setting
        return replace(fit, setting=replace(place, x=place.x + x0, baseline=place.baseline + y0))


def fitted(text: str, seen: Seen, start: Setting, *, same_type: bool = False, tilts: bool = False) -> Fit:
    """The setting near `start` with the least squared difference from what was seen (Gauss and Newton).

    With `same_type` size and spacing stay, only the place is fitted; with `tilts` the tilt is fitted, too.
    """
    setter = typesetter()
    letters = sum(not one.isspace() for one in text)
    rows, columns = _around(text, start, seen.cover.shape)
    seen = seen.part(rows, columns)
    shape = (seen.cover.shape[0], seen.cover.shape[1])
    setting = start = replace(start, x=start.x - columns.start, baseline=start.baseline - rows.start)
    if min(shape) < 4:
        return Fit(replace(start, x=start.x + columns.start, baseline=start.baseline + rows.start), 0.0)
    drawn = setter.coverage(text, start, shape)
    best = Fit(start, _agreement(seen, drawn, start.size))
    # Changes that move the line's ends by half a pixel: what moves farther than a stem is wide tells no slope.
    width = setter.advance(text, start.face, start.spacing) * start.size
    grown, parted = 1.0 / max(width, 20.0), 1.0 / max(len(text) * start.size, 20.0)
    stalled = 0
    for _ in range(8):
        near = _near(drawn, setting.size) & seen.known
        if not near.any():
            break
        across, down = _slopes(drawn)
        ys, xs = np.nonzero(near)
        changes = [-across[near], -down[near]]
        if not same_type:
            larger = replace(setting, size=(1 + grown) * setting.size)
            changes.append((setter.coverage(text, larger, shape)[near] - drawn[near]) / grown)
        spaced = not same_type and letters >= _TRACKED
        if spaced:
            wider = replace(setting, spacing=setting.spacing + parted)
            changes.append((setter.coverage(text, wider, shape)[near] - drawn[near]) / parted)
        if tilts:
            changes.append(across[near] * (ys - setting.baseline) - down[near] * (xs - setting.x))
        model = np.stack([*changes, drawn[near], np.ones(len(ys), np.float32)], axis=1).astype(np.float64)
        apart = (seen.cover - drawn)[near].astype(np.float64)
        # Strong differences are scenery, not a wrong place.
        weights = 1.0 / np.maximum(1.0, np.abs(apart) / 0.35)
        normal = model.T @ (model * weights[:, None])
        normal[np.diag_indices_from(normal)] *= 1.0 + 1e-6
        if spaced:
            normal[3, 3] += 0.05 * letters  # without a reason letters are not spaced
        step = np.linalg.solve(normal + 1e-9 * np.eye(len(normal)), model.T @ (apart * weights))
        limit = 0.06 * setting.size
        tilt = float(step[len(changes) - 1]) if tilts else 0.0
        setting = replace(
            setting,
            x=setting.x + float(np.clip(step[0], -limit, limit)),
            baseline=setting.baseline + float(np.clip(step[1], -limit, limit)),
            size=setting.size if same_type else setting.size * (1.0 + float(np.clip(step[2], -0.04, 0.04))),
            spacing=setting.spacing + (float(np.clip(step[3], -0.02, 0.02)) if spaced else 0.0),
            tilt=setting.tilt + float(np.clip(tilt, -0.01, 0.01)),
        )
        drawn = setter.coverage(text, setting, shape)
        fit = Fit(setting, _agreement(seen, drawn, setting.size))
        gained = fit.agreement - best.agreement
        if gained > 0:
            best = fit
        stalled = 0 if gained >= 5e-4 else stalled + 1
        # The engine sets letters on whole cells, which of spaced ones may hide the gain of a step.
        if stalled > (abs(setting.spacing) > _CLEARLY_SPACED):
            break
    place = best.setting
    return replace(best, setting=replace(place, x=place.x + columns.start, baseline=place.baseline + rows.start))


def _around(text: str, setting: Setting, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of a picture that hold the letters, with room to move."""
    left, top, right, bottom = typesetter().ink_box(text, setting)
    room = 0.35 * setting.size + abs(setting.tilt) * (right - left) / 2
    return (
        slice(min(shape[0], max(0, int(top - room))), max(0, min(shape[0], math.ceil(bottom + room)))),
        slice(min(shape[1], max(0, int(left - room))), max(0, min(shape[1], math.ceil(right + room)))),
    )


def _near(drawn: Field, size: float) -> NDArray[np.bool_]:
    reach = 2 * max(1, round(0.08 * size)) + 1
    return np.asarray(cv2.dilate((drawn > 0.05).astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0, np.bool_)


def _agreement(seen: Seen, drawn: Field, size: float) -> float:
    """Correlation of what is seen and what is drawn on the letters and close to them."""
    near = _near(drawn, size) & seen.known
    if not near.any():
        return 0.0
    one, other = seen.cover[near] - seen.cover[near].mean(), drawn[near] - drawn[near].mean()
    return float((one * other).sum() / max(float(np.sqrt((one * one).sum() * (other * other).sum())), 1e-6))


def _slopes(field: Field) -> tuple[Field, Field]:
    kernel = np.array([[-0.5, 0.0, 0.5]], np.float32)
    across = cv2.filter2D(field, cv2.CV_32F, kernel)
    down = cv2.filter2D(field, cv2.CV_32F, np.ascontiguousarray(kernel.T))
    return np.asarray(across, np.float32), np.asarray(down, np.float32)
