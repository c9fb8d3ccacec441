"""Takes burned-in text out of a clip and puts back what was, or most likely was, behind it.

`TextEraser` is what the rest of the product sees; `TemporalEraser` is the embedded method. It neither finds text
(`reader`) nor draws it (`draw`). Where the text stands in each frame is worked out in `_masks`, what stands behind it in
`_carry`; this module decides which frames and which parts of them are worked on together, in bounded memory.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recaster.errors import InvalidInput
from recaster.media.overlays._carry import Carrier, Hidden, combined, reduction_of
from recaster.media.overlays._fill import Fill, push_pull
from recaster.media.overlays._masks import SEARCHED_FRAMES, Block, ClipMasks, Rect
from recaster.media.overlays._motion import NeighbourFlow
from recaster.media.overlays.model import OverlayTrack
from recaster.media.progress import Progress, silent
from recaster.media.video import FrameReader, read_frames
from recaster.media.video.model import Frame, Image, Mask, Shot, VideoFacts


class TextEraser(Protocol):
    """Erases blocks of burned-in text from the frames of one clip."""

    def prepare(
        self,
        path: Path,
        facts: VideoFacts,
        shots: tuple[Shot, ...],
        tracks: tuple[OverlayTrack, ...],
        progress: Progress = silent,
    ) -> None:
        """Learn the clip at `path`: what is to be erased (`tracks`), with outline, shadow, emoji and slab.

        `progress` counts frames. Raises `MediaInvalid` if the clip cannot be decoded, `Cancelled` if `progress` does.
        """
        ...

    def erase(self, frame: Frame) -> Image:
        """The frame without the text. Pixels outside `mask` are the same to the bit. Best called in order of frames."""
        ...

    def mask(self, index: int, only: Container[str] | None = None) -> Mask:
        """255 where frame `index` is changed, shape (height, width); with `only`, for the tracks with these ids."""
        ...


@dataclass(frozen=True, slots=True)
class EraserSettings:
    """Trade-offs of `TemporalEraser`."""

    memory_bytes: int = 400_000_000
    """Most bytes of picture that are held at once. A longer stretch of text is worked on in windows of that size."""
    measured_cells: int = 40_000
    """Most cells of the reduced grid on which the motion of one region is measured."""
    margin: int = 28
    """Pixels around the text in which motion is measured."""
    largest_gap: int = 8
    """Frames without text that do not end a stretch."""


@dataclass(slots=True)
class _Region:
    """A part of the frame that is restored on its own."""

    rect: Rect
    members: list[Block]
    forward: Carrier
    pictures: dict[int, Image] = field(default_factory=dict)
    """Crops of the frames of the window."""
    later: dict[int, tuple[NDArray[np.uint8], NDArray[np.float16]]] = field(default_factory=dict)
    """What the frames after it say about the hidden pixels of each frame: colours and squared error."""


@dataclass(slots=True)
class _Stretch:
    """Neighbouring frames of one shot with text in or near them. Both ends included."""

    first: int
    last: int
    blocks: list[Block]
    regions: list[_Region] = field(default_factory=list)
    window: tuple[int, int] | None = None
    """Frames whose later estimates are at hand."""
    done: int | None = None
    """The frame to which the regions' forward carriers have come."""


class TemporalEraser:
    """`TextEraser` that restores background across time; deterministic; single-threaded use.

    1. One pass over the clip takes a few crops of each block, from which its ink is found.
    2. Frames with text form stretches, which never cross a cut and begin and end with a frame without text where
       there is one. Within a stretch, each region of text is carried backward and forward along dense flow; the two
       estimates are mixed by the error to expect of each.

    Frames of the stretch at hand are decoded a second time, so that nothing grows with the length of the clip.
    """

    def __init__(
        self,
        settings: EraserSettings = EraserSettings(),
        *,
        fill: Fill = push_pull,
        frames: FrameReader = read_frames,
    ) -> None:
        """`fill` makes up what no frame shows: smoothly if none is given."""
        self._settings = settings
        self._fill = fill
        self._frames = frames
        self._flow = NeighbourFlow()
        self._size = (0, 0)
        self._path = Path()
        self._masks = ClipMasks((0, 0), (), ())
        self._stretches: list[_Stretch] = []
        self._at_hand: _Stretch | None = None

    def prepare(
        self,
        path: Path,
        facts: VideoFacts,
        shots: tuple[Shot, ...],
        tracks: tuple[OverlayTrack, ...],
        progress: Progress = silent,
    ) -> None:
        """See `TextEraser.prepare`."""
        self._size, self._path = (facts.width, facts.height), path
        self._stretches, self._at_hand = [], None
        tracks = tuple(track for track in tracks if track.lines)
        self._masks = ClipMasks(self._size, shots, tracks)
        if not tracks:
            return
        for frame in self._frames(path):
            progress(frame.index, facts.frame_count)
            self._masks.collect(frame.index, frame.image)
        self._masks.finish()
        for shot in shots:
            self._stretches += self._stretches_of(shot)
        progress(facts.frame_count, facts.frame_count)

    def mask(self, index: int, only: Container[str] | None = None) -> Mask:
        """See `TextEraser.mask`."""
        width, height = self._size
        stretch = self._stretch_of(index)
        if stretch is None:
            return np.zeros((height, width), np.uint8)
        self._open(stretch, index)
        blocks = [b for b in stretch.blocks if b.shows(index) and (only is None or b.track.id in only)]
        return self._masks.mask(blocks, index, (0, 0, width, height))

    def erase(self, frame: Frame) -> Image:
        """See `TextEraser.erase`."""
        if (frame.image.shape[1], frame.image.shape[0]) != self._size:
            raise InvalidInput(
                f"The eraser was prepared for frames of {self._size}, this one has {frame.image.shape[1::-1]}. Call "
                "prepare with this clip first.",
                field="frame",
            )
        stretch = self._stretch_of(frame.index)
        if stretch is None:
            return frame.image
        self._open(stretch, frame.index)
        if stretch.done is None or stretch.done >= frame.index:
            for region in stretch.regions:
                region.forward.restart()
            stretch.done = (stretch.first if stretch.window is None else stretch.window[0]) - 1
        out = frame.image.copy()
        for index in range(stretch.done + 1, frame.index + 1):
            for region in stretch.regions:
                self._advance(region, index, out if index == frame.index else None)
        stretch.done = frame.index
        return out

    @property
    def held_bytes(self) -> int:
        """Bytes of picture that are held at this moment."""
        if self._at_hand is None:
            return 0
        return sum(
            sum(picture.nbytes for picture in region.pictures.values())
            + sum(colors.nbytes + variance.nbytes for colors, variance in region.later.values())
            for region in self._at_hand.regions
        )

    # ---------------------------------------------------------------- which frames and regions belong together

    def _stretches_of(self, shot: Shot) -> list[_Stretch]:
        found: list[_Stretch] = []
        reach = SEARCHED_FRAMES + 1
        blocks = [
            b
            for b in self._masks.blocks
            if b.track.first_frame <= shot.last_frame and b.track.last_frame >= shot.first_frame
        ]
        for block in sorted(blocks, key=lambda b: b.track.first_frame):
            first = max(shot.first_frame, block.track.first_frame - reach)
            last = min(shot.last_frame, block.track.last_frame + reach)
            if found and first <= found[-1].last + self._settings.largest_gap:
                found[-1].last = max(found[-1].last, last)
                found[-1].blocks.append(block)
            else:
                found.append(_Stretch(first, last, [block]))
        for stretch in found:
            stretch.regions = self._regions(stretch.blocks)
        return found

    def _regions(self, blocks: list[Block]) -> list[_Region]:
        """Blocks whose surroundings overlap are restored together, so none takes another's letters for background."""
        width, height = self._size
        groups: list[tuple[Rect, list[Block]]] = []
        for block in blocks:
            rect, members = self._masks.extent(block), [block]
            while True:
                near = [group for group in groups if _overlap(rect, group[0], 8)]
                if not near:
                    break
                for group in near:
                    rect, members = _around(rect, group[0]), group[1] + members
                    groups.remove(group)
            groups.append((rect, members))
        margin = self._settings.margin
        regions = []
        for rect, members in groups:
            wide = (
                max(0, rect[0] - margin),
                max(0, rect[1] - margin),
                min(width, rect[2] + margin),
                min(height, rect[3] + margin),
            )
            reduction = reduction_of(wide[2] - wide[0], wide[3] - wide[1], self._settings.measured_cells)
            regions.append(_Region(wide, members, Carrier(reduction, self._flow)))
        return regions

    def _stretch_of(self, index: int) -> _Stretch | None:
        for stretch in self._stretches:
            if stretch.first <= index <= stretch.last:
                return stretch
        return None

    # ---------------------------------------------------------------- one window of a stretch

    def _open(self, stretch: _Stretch, index: int) -> None:
        """Have the frames around `index`, their masks and their backward estimates at hand."""
        if stretch.window is not None and stretch.window[0] <= index <= stretch.window[1]:
            return
        if self._at_hand is not None:
            for region in self._at_hand.regions:
                region.pictures.clear()
                region.later.clear()
            if self._at_hand is not stretch:
                self._at_hand.window, self._at_hand.done = None, None
        self._at_hand = stretch
        per_frame = sum(5 * (r.rect[2] - r.rect[0]) * (r.rect[3] - r.rect[1]) for r in stretch.regions)
        most = max(16, self._settings.memory_bytes // max(1, per_frame))
        ahead = 0 if stretch.last - stretch.first + 1 <= most else most // 4
        length = most - ahead
        first = stretch.first + (index - stretch.first) // length * length
        last = min(stretch.last, first + length - 1)
        end = min(stretch.last, last + ahead)
        if stretch.done is not None and stretch.done != first - 1:
            stretch.done = None
        for frame in self._frames(self._path, first, end + 1):
            self._masks.learn(frame.index, frame.image)
            for region in stretch.regions:
                x0, y0, x1, y1 = region.rect
                region.pictures[frame.index] = self._masks.unveiled(
                    frame.index, frame.image[y0:y1, x0:x1].copy(), region.rect
                )
        stretch.window = (first, last)
        for region in stretch.regions:
            x0, y0, x1, y1 = region.rect
            back = Carrier(reduction_of(x1 - x0, y1 - y0, self._settings.measured_cells), self._flow, self._fill)
            for number in range(end, first - 1, -1):
                text = self._text(number, region)
                picture = region.pictures[number]
                hidden = back.estimate(picture, text)
                hidden = self._masks.seen_through(number, picture, text, region.rect, hidden)
                back.settle(picture, text, hidden)
                if number <= last:
                    region.later[number] = (
                        np.clip(np.rint(hidden.colors), 0, 255).astype(np.uint8),
                        hidden.variance.astype(np.float16),
                    )
                else:
                    del region.pictures[number]

    def _text(self, index: int, region: _Region) -> Mask:
        return self._masks.mask(self._masks.showing(index), index, region.rect, seen_through=False)

    def _advance(self, region: _Region, index: int, out: Image | None) -> None:
        """Carry a region forward to a frame and, where asked for, write the restored pixels into it."""
        picture, text = region.pictures[index], self._text(index, region)
        hidden = region.forward.estimate(picture, text)
        if len(hidden.colors):
            colors, variance = region.later[index]
            hidden = combined(hidden, Hidden(colors.astype(np.float32), variance.astype(np.float32)))
            hidden = self._masks.seen_through(index, picture, text, region.rect, hidden)
        restored = region.forward.settle(picture, text, hidden)
        if out is not None:
            x0, y0, x1, y1 = region.rect
            own = self._masks.mask([b for b in region.members if b.shows(index)], index, region.rect) > 0
            out[y0:y1, x0:x1][own] = restored[own]


def _overlap(one: Rect, other: Rect, reach: int) -> bool:
    return (
        one[0] < other[2] + reach
        and other[0] < one[2] + reach
        and one[1] < other[3] + reach
        and other[1] < one[3] + reach
    )


def _around(one: Rect, other: Rect) -> Rect:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])
