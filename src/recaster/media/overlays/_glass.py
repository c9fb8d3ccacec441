"""See-through letters: what still shines through them, and how far that can be trusted.

A letter of opacity o that covers a pixel by c turns a background B into (1 - oc) B + oc F. The fill F and o are known,
c only roughly, so the solution for B comes with an error; it is small where background and fill are alike and where the
letter is faint. `_carry` weighs it against what other frames say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays._carry import NOISE, Hidden
from recaster.media.overlays._fill import Plane
from recaster.media.overlays._letters import Letters, Samples, strokes
from recaster.media.overlays.model import OverlayTrack
from recaster.media.video.model import Image, Mask

_MOST_OPAQUE, _MOST_OPAQUE_DRAWN_AROUND = 0.8, 0.55
"""Beyond this opacity what comes back is worse than what other frames say; sooner where outline or shadow, which shine
through as well, blur the measure of the cover."""


@dataclass(frozen=True, slots=True)
class Glass:
    """Opacity of each pixel of a block's mask, and its standard error; an error of 1 says that nothing is known."""

    opacity: Plane
    error: Plane
    fill: NDArray[np.float32]
    """BGR."""

    def cut(self, part: tuple[slice, slice]) -> Glass:
        """The same for a part of the mask."""
        return Glass(np.ascontiguousarray(self.opacity[part]), np.ascontiguousarray(self.error[part]), self.fill)

    def behind(self, seen: Plane, opacity: Plane, error: Plane) -> Hidden:
        """What lies behind pixels (n, 3), with the squared error to expect."""
        through = np.maximum(1.0 - opacity, 0.05)
        colors = np.clip((seen - opacity[:, None] * self.fill) / through[:, None], 0.0, 255.0)
        wrong = np.abs(colors - self.fill).max(axis=1) * error / through
        variance = wrong**2 + 3.0 * NOISE / through**2
        return Hidden(
            np.asarray(colors, np.float32), np.where(error >= 1.0, np.float32(1e6), variance).astype(np.float32)
        )


def find_glass(track: OverlayTrack, samples: Samples, letters: Letters) -> Glass | None:
    """The opacities of see-through letters; None where the letters are opaque, or stand on a slab."""
    style = track.style
    most = _MOST_OPAQUE if style.stroke is None and style.shadow is None else _MOST_OPAQUE_DRAWN_AROUND
    if style.opacity > most or style.slab is not None:
        return None
    covers = [strokes(picture, style.size, style.fill)[0] for picture in samples.pictures]
    cover = np.median(np.stack(covers), axis=0)
    o = np.float32(style.opacity)
    told = cover > 0.0
    core = letters.core > 0
    opacity = np.where(core, np.clip(cover, 0.6 * o, o), np.clip(cover, 0.0, o))
    error = np.full(samples.shape, 0.15 * o, np.float32)
    # Where fill and background are too alike to tell the cover, it matters little.
    opacity = np.where(told, opacity, 0.5 * o)
    error = np.where(told, error, 0.4 * o)
    if style.stroke is not None or style.shadow is not None:
        error = np.where(core, error, 1.0)  # beside the letters it may be outline or shadow that is seen
    return Glass(np.asarray(opacity, np.float32), np.asarray(error, np.float32), np.array(style.fill[::-1], np.float32))


def weighed(hidden: Hidden, other: Hidden) -> Hidden:
    """Two independent estimates of the same pixels, each by its error."""
    share = hidden.variance / (hidden.variance + other.variance)
    return Hidden(
        np.asarray(hidden.colors + share[:, None] * (other.colors - hidden.colors), np.float32),
        np.asarray(hidden.variance * (1.0 - share), np.float32),
    )


def seen_through(glasses: list[tuple[Glass, int, int]], picture: Image, text: Mask, hidden: Hidden) -> Hidden:
    """`hidden` corrected by what shines through letters; each glass comes with its left and top in the crop."""
    pixels = np.flatnonzero(text)
    width = text.shape[1]
    for glass, left, top in glasses:
        ys, xs = np.divmod(pixels, width)
        rows, columns = glass.opacity.shape
        inside = (xs >= left) & (ys >= top) & (xs < left + columns) & (ys < top + rows)
        at = (ys[inside] - top, xs[inside] - left)
        seen = picture.reshape(-1, 3)[pixels[inside]].astype(np.float32)
        other = glass.behind(seen, glass.opacity[at], glass.error[at])
        better = weighed(Hidden(hidden.colors[inside], hidden.variance[inside]), other)
        hidden.colors[inside] = better.colors
        hidden.variance[inside] = better.variance
    return hidden
