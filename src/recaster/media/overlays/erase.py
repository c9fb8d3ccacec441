"""Takes burned-in text out of a clip and puts back what was, or most likely was, behind it.

`TextEraser` is what the rest of the product sees; `TemporalEraser` is the embedded method: first the background as
other frames of the same shot really show it, aligned by camera motion and local flow, then a smooth fill for what no
frame shows. It neither finds text (`reader`) nor draws it (`draw`).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.errors import InvalidInput
from recaster.media.overlays._fill import Plane, largest_difference, mean_square, push_pull, smooth_known
from recaster.media.overlays._ink import Highlight, InkMask, find_highlight, find_ink, support_box
from recaster.media.overlays._motion import CameraMotion, Transform
from recaster.media.overlays.model import OverlayRole, OverlayTrack
from recaster.media.progress import Progress, silent
from recaster.media.video import read_frames
from recaster.media.video.model import Frame, Image, Mask, Shot, VideoFacts

Rect = tuple[int, int, int, int]
"""left, top, right, bottom; right and bottom are outside."""


class TextEraser(Protocol):
    """Erases blocks of burned-in text from the frames of one clip."""

    def prepare(
        self,
        path: Path,
        facts: VideoFacts,
        shots: tuple[Shot, ...],
        tracks: tuple[OverlayTrack, ...],
        progress: Progress = silent,
        *,
        keep_slab: frozenset[str] = frozenset(),
    ) -> None:
        """Learn the clip at `path`: what is to be erased (`tracks`) and what stands behind it.

        For tracks whose id is in `keep_slab` and whose slab is opaque, the slab stays and is painted shut in its own
        colour, which is exact, except while it comes or goes. A see-through slab is erased like all else.
        `progress` counts frames. Raises `MediaInvalid` if the clip cannot be decoded, `Cancelled` if `progress` does.
        """
        ...

    def erase(self, frame: Frame) -> Image:
        """The frame without the text. Pixels outside `mask` are the same to the bit. Best called in order of frames."""
        ...

    def mask(self, index: int) -> Mask:
        """255 where frame `index` is changed, shape (height, width)."""
        ...


@dataclass(frozen=True, slots=True)
class EraserSettings:
    """Trade-offs of `TemporalEraser`. Lengths are pixels, times frames.

    Memory: per shot with text, `candidate_frames` JPEG pictures of the rows that hold text, about 0.25 byte per pixel
    (at 1080x1920 less than 0.5 MB each, so 400 are less than 0.2 GB), `decoded_frames` of them decoded (6.2 MB each),
    and at most five crops per block that is on the screen; nothing grows with the length of the clip beyond that.
    """

    candidate_frames: int = 400
    """Most frames of the whole clip that are kept as sources of background."""
    candidate_step: int = 3
    """Smallest distance between kept frames."""
    decoded_frames: int = 20
    sources_per_region: int = 3
    measured_cells: int = 20_000
    """Most cells of the reduced grid on which one region is aligned."""
    jpeg_quality: int = 95
    pad_frames: int = 1
    """Frames before and after a block's life that are erased too, within the shot: readers are exact to one frame."""


_SLAB_RIM = 7
"""Pixels between a slab's mask, which reaches 4 beyond the slab, and what is painted of it."""


@dataclass(slots=True)
class _Block:
    track: OverlayTrack
    ink: InkMask
    boxes: dict[int, NDArray[np.uint8]]
    """Per frame, the bit-packed mask of a highlight box that moves from word to word."""
    slab_color: NDArray[np.uint8] | None
    """BGR colour to paint the slab shut with, where it stays; None where background is to be restored."""
    first: int
    last: int
    """Life without padding, in frames."""

    def stays(self, index: int) -> bool:
        """Whether frame `index` shows the slab whole and at rest, so that it can be painted shut instead of erased."""
        track = self.track
        return self.slab_color is not None and (
            self.first + track.entry.frames <= index <= self.last - track.exit.frames
        )

    def interior(self) -> InkMask:
        """The slab without a rim: its edge in the picture is soft, and stays as it is."""
        rim = np.ones((2 * _SLAB_RIM + 1, 2 * _SLAB_RIM + 1), np.uint8)
        inner = cv2.erode(self.ink.mask, rim, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        return InkMask(self.ink.left, self.ink.top, np.asarray(inner, np.uint8))


@dataclass(slots=True)
class _ShotMemory:
    shot: Shot
    top: int
    bottom: int
    pictures: dict[int, bytes] = field(default_factory=dict)
    to_start: dict[int, Transform] = field(default_factory=dict)


@dataclass(slots=True)
class _Fill:
    index: int
    colors: Plane


@dataclass(frozen=True, slots=True)
class _Aligned:
    """A source frame on the half-size grid of a target crop."""

    picture: Plane
    clear: Plane
    offset: Plane
    """Colour to add so that it agrees with the target around the hole."""
    error: Plane
    """Squared colour error to expect."""
    to_source: Transform
    flow: Plane | None


FrameReader = Callable[[Path], Iterator[Frame]]


class TemporalEraser:
    """`TextEraser` that restores background across time; deterministic; single-threaded use.

    1. One pass over the clip keeps JPEG copies of some frames of each shot with text, measures the camera's motion and
       takes a few crops of each block, from which its ink mask is made.
    2. For each frame and region of text, up to `sources_per_region` frames of the same shot are chosen that show most
       of what is hidden, nearest first. Each is warped by camera motion, refined by DIS flow (Kroeger et al., 2016)
       that is measured beside the letters and carried smoothly into the hole, corrected in colour by the smooth
       difference around the hole, and weighted by how well it agrees there.
    3. What no source shows well is filled smoothly from around, mixed with the previous frame's fill.
    """

    def __init__(self, settings: EraserSettings = EraserSettings(), *, frames: FrameReader = read_frames) -> None:
        self._settings = settings
        self._frames = frames
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._clear()

    def _clear(self) -> None:
        self._size = (0, 0)
        self._blocks: list[_Block] = []
        self._shots: list[_ShotMemory] = []
        self._decoded: OrderedDict[int, Image] = OrderedDict()
        self._halves: OrderedDict[int, tuple[Image, Mask]] = OrderedDict()
        self._plans: OrderedDict[tuple[int, int, Rect, tuple[str, ...]], tuple[int, ...]] = OrderedDict()
        self._last_fill: dict[tuple[Rect, tuple[str, ...]], _Fill] = {}

    def prepare(
        self,
        path: Path,
        facts: VideoFacts,
        shots: tuple[Shot, ...],
        tracks: tuple[OverlayTrack, ...],
        progress: Progress = silent,
        *,
        keep_slab: frozenset[str] = frozenset(),
    ) -> None:
        """See `TextEraser.prepare`."""
        self._clear()
        self._size = (facts.width, facts.height)
        tracks = tuple(t for t in tracks if t.lines)
        if not tracks:
            return
        pending = {t.id: _sample_frames(t) for t in tracks}
        samples: dict[str, list[Image]] = {t.id: [] for t in tracks}
        self._shots = [self._remember(shot, tracks) for shot in shots]
        wanted = {memory.shot.first_frame: self._wanted(memory, tracks, facts) for memory in self._shots}
        crops: dict[str, dict[int, bytes]] = {}
        motion = CameraMotion(facts.width, facts.height)
        number = -1
        for frame in self._frames(path):
            progress(frame.index, facts.frame_count)
            if number + 1 < len(self._shots) and frame.index >= self._shots[number + 1].shot.first_frame:
                number += 1
                motion.restart()
            if number < 0:
                continue
            memory = self._shots[number]
            kept = wanted[memory.shot.first_frame]
            if not kept:
                continue
            memory.to_start[frame.index] = motion.follow(frame.image, self._covered(frame.index, tracks))
            if frame.index in kept:
                quality = [
                    cv2.IMWRITE_JPEG_QUALITY,
                    self._settings.jpeg_quality,
                    cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
                    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
                ]
                memory.pictures[frame.index] = cv2.imencode(".jpg", frame.image[memory.top : memory.bottom], quality)[
                    1
                ].tobytes()
            for track in tracks:
                if (
                    track.role is OverlayRole.CAPTION
                    and track.first_frame - 1 <= frame.index <= track.last_frame + 1
                    and track.id in samples
                ):
                    crop = _support_crop(frame.image, track, frame.index)
                    crops.setdefault(track.id, {})[frame.index] = cv2.imencode(
                        ".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, 90]
                    )[1].tobytes()
                if frame.index in pending[track.id]:
                    samples[track.id].append(_support_crop(frame.image, track, frame.index))
                    if frame.index == pending[track.id][-1]:
                        self._blocks.append(
                            self._finish(track, samples.pop(track.id), crops.pop(track.id, {}), track.id in keep_slab)
                        )
        for track in tracks:
            if samples.get(track.id):  # the clip ended before the track does
                self._blocks.append(
                    self._finish(track, samples.pop(track.id), crops.pop(track.id, {}), track.id in keep_slab)
                )
        progress(facts.frame_count, facts.frame_count)

    def mask(self, index: int) -> Mask:
        """See `TextEraser.mask`."""
        width, height = self._size
        blocks = self._active(index, self._settings.pad_frames)
        out = self._mask_of([b for b in blocks if not b.stays(index)], index, (0, 0, width, height))
        for block in blocks:
            if block.stays(index):
                left, top, right, bottom = self._rect_of(block, index)
                out[top:bottom, left:right] |= self._interior_of(block, index)
        return out

    def erase(self, frame: Frame) -> Image:
        """See `TextEraser.erase`."""
        if (frame.image.shape[1], frame.image.shape[0]) != self._size:
            raise InvalidInput(
                f"The eraser was prepared for frames of {self._size}, this one has {frame.image.shape[1::-1]}. Call "
                "prepare with this clip first.",
                field="frame",
            )
        blocks = self._active(frame.index, self._settings.pad_frames)
        if not blocks:
            self._last_fill.clear()
            return frame.image
        out = frame.image.copy()
        fills: dict[tuple[Rect, tuple[str, ...]], _Fill] = {}
        restored = [b for b in blocks if not b.stays(frame.index)]
        for rect, members in self._regions(restored, frame.index):
            self._restore(frame, out, rect, members, fills)
        for block in blocks:
            if block.stays(frame.index):
                self._repaint(out, block, frame.index)
        self._last_fill = fills
        return out

    @property
    def kept_pictures(self) -> int:
        """How many compressed pictures are held as sources of background."""
        return sum(len(memory.pictures) for memory in self._shots)

    @property
    def decoded_pictures(self) -> int:
        """How many of them are held decoded at this moment."""
        return len(self._decoded)

    # ---------------------------------------------------------------- learning the clip

    def _remember(self, shot: Shot, tracks: tuple[OverlayTrack, ...]) -> _ShotMemory:
        width, height = self._size
        tops, bottoms = [height], [0]
        for track in tracks:
            if track.first_frame - 2 <= shot.last_frame and track.last_frame + 2 >= shot.first_frame:
                box = support_box(track, width, height)
                ys = [o[1] for o in track.offsets] or [0.0]
                tops.append(max(0, math.floor(box[1] + min(ys))))
                bottoms.append(min(height, math.ceil(box[3] + max(ys))))
        margin = round(0.12 * height)
        return _ShotMemory(shot, max(0, min(tops) - margin), min(height, max(bottoms) + margin))

    def _wanted(self, memory: _ShotMemory, tracks: tuple[OverlayTrack, ...], facts: VideoFacts) -> frozenset[int]:
        """Frames of a shot that are kept: a regular grid, and those just beside the life of each block."""
        shot = memory.shot
        if memory.top >= memory.bottom:
            return frozenset()
        step = max(self._settings.candidate_step, math.ceil(facts.frame_count / self._settings.candidate_frames))
        frames = set(range(shot.first_frame, shot.last_frame + 1, step)) | {shot.last_frame}
        for track in tracks:
            for near in (track.first_frame - 9, track.first_frame - 3, track.last_frame + 3, track.last_frame + 9):
                if near in shot:
                    frames.add(near)
        return frozenset(frames)

    def _covered(self, index: int, tracks: tuple[OverlayTrack, ...]) -> Mask:
        width, height = self._size
        small = np.zeros((height // 4, width // 4), np.uint8)
        for track in tracks:
            if track.first_frame - 1 <= index <= track.last_frame + 1:
                dx, dy = track.offset_at(index)
                x0, y0, x1, y1 = track.box
                cv2.rectangle(
                    small,
                    (round((x0 + dx) / 4) - 1, round((y0 + dy) / 4) - 1),
                    (round((x1 + dx) / 4) + 1, round((y1 + dy) / 4) + 1),
                    255,
                    cv2.FILLED,
                )
        return small

    def _make_block(
        self, track: OverlayTrack, samples: list[Image], keep_slab: bool
    ) -> tuple[_Block, Highlight | None]:
        left, top, _, _ = support_box(track, *self._size)
        ink = find_ink(track, samples, left, top)
        color = None
        if keep_slab and track.style.slab is not None and track.style.slab.opacity > 0.97:
            color = _measured_color(track, samples)
        return _Block(track, ink, {}, color, track.first_frame, track.last_frame), find_highlight(
            track, samples, left, top
        )

    def _finish(self, track: OverlayTrack, samples: list[Image], crops: dict[int, bytes], keep_slab: bool) -> _Block:
        block, highlight = self._make_block(track, samples, keep_slab)
        if highlight is not None:
            left, top, right, bottom = support_box(track, *self._size)
            wide = np.zeros((bottom - top, right - left), np.uint8)
            y, x = block.ink.top - top, block.ink.left - left
            wide[y : y + block.ink.mask.shape[0], x : x + block.ink.mask.shape[1]] = block.ink.mask
            block.ink = InkMask(left, top, wide)  # the box is found on the whole support
            for index, packed in crops.items():
                crop = np.asarray(cv2.imdecode(np.frombuffer(packed, np.uint8), cv2.IMREAD_COLOR), np.uint8)
                block.boxes[index] = np.packbits(highlight.mask(crop) > 0)
        return block

    # ---------------------------------------------------------------- masks and regions

    def _shot_of(self, index: int) -> _ShotMemory | None:
        for memory in self._shots:
            if index in memory.shot:
                return memory
        return None

    def _active(self, index: int, frames: int | None) -> list[_Block]:
        memory = self._shot_of(index)
        found = []
        for block in self._blocks:
            # Captions come back to back: given more, they would hide everything from each other.
            pad = (
                self._settings.pad_frames + 1 + min(6, (block.last - block.first + 1) // 6)
                if frames is None
                else frames
            )
            if block.first <= index <= block.last:
                found.append(block)
            elif block.first - pad <= index <= block.last + pad and memory is not None:
                nearest = block.first if index < block.first else block.last
                if nearest in memory.shot:
                    found.append(block)
        return found

    def _hiding(self, index: int) -> list[_Block]:
        """Blocks that may show in a source frame: generously, for what a reader saw late would come back as a ghost."""
        return self._active(index, None)

    def _rect_of(self, block: _Block, index: int) -> Rect:
        dx, dy = (round(v) for v in block.track.offset_at(index))
        height, width = block.ink.mask.shape
        left, top = block.ink.left + dx, block.ink.top + dy
        return (max(0, left), max(0, top), min(self._size[0], left + width), min(self._size[1], top + height))

    def _regions(self, blocks: list[_Block], index: int) -> list[tuple[Rect, list[_Block]]]:
        """Blocks whose rectangles overlap are restored together, so none takes another's letters for background."""
        groups: list[tuple[Rect, list[_Block]]] = []
        for block in blocks:
            rect, members = self._rect_of(block, index), [block]
            if rect[2] <= rect[0] or rect[3] <= rect[1]:
                continue
            merged = True
            while merged:
                merged = False
                for i, (other, others) in enumerate(groups):
                    if rect[0] < other[2] and other[0] < rect[2] and rect[1] < other[3] and other[1] < rect[3]:
                        rect = (
                            min(rect[0], other[0]),
                            min(rect[1], other[1]),
                            max(rect[2], other[2]),
                            max(rect[3], other[3]),
                        )
                        members = others + members
                        del groups[i]
                        merged = True
                        break
            groups.append((rect, members))
        margin = 16
        width, height = self._size
        return [
            ((max(0, r[0] - margin), max(0, r[1] - margin), min(width, r[2] + margin), min(height, r[3] + margin)), m)
            for r, m in groups
        ]

    def _mask_of(self, blocks: list[_Block], index: int, rect: Rect) -> Mask:
        out = np.zeros((rect[3] - rect[1], rect[2] - rect[0]), np.uint8)
        for block in blocks:
            dx, dy = (round(v) for v in block.track.offset_at(index))
            mask = block.ink.mask
            packed = block.boxes.get(index)
            if packed is not None:
                mask = mask | np.unpackbits(packed, count=mask.size).reshape(mask.shape) * np.uint8(255)
            height, width = mask.shape
            left, top = block.ink.left + dx - rect[0], block.ink.top + dy - rect[1]
            x0, y0, x1, y1 = max(0, left), max(0, top), min(out.shape[1], left + width), min(out.shape[0], top + height)
            if x1 > x0 and y1 > y0:
                out[y0:y1, x0:x1] |= mask[y0 - top : y1 - top, x0 - left : x1 - left]
        return out

    # ---------------------------------------------------------------- restoring

    def _picture(self, memory: _ShotMemory, index: int) -> Image:
        cached = self._decoded.get(index)
        if cached is not None:
            self._decoded.move_to_end(index)
            return cached
        image = np.asarray(cv2.imdecode(np.frombuffer(memory.pictures[index], np.uint8), cv2.IMREAD_COLOR), np.uint8)
        self._decoded[index] = image
        if len(self._decoded) > self._settings.decoded_frames:
            self._decoded.popitem(last=False)
        return image

    def _sources(self, memory: _ShotMemory, index: int, rect: Rect, members: list[_Block]) -> tuple[int, ...]:
        """Frames that together show most of what is hidden in `rect` of frame `index`, near ones first.

        The choice is held for some frames: a change of sources could be seen.
        """
        block_of_frames = 6
        group = index // block_of_frames
        key = (memory.shot.first_frame, group, rect, tuple(sorted(b.track.id for b in members)))
        if key in self._plans:
            return self._plans[key]
        scale = 8
        small = (max(1, (rect[2] - rect[0]) // scale), max(1, (rect[3] - rect[1]) // scale))
        hidden = (
            cv2.resize(self._mask_of(members, index, rect), small, interpolation=cv2.INTER_AREA).astype(np.float32)
            / 255
        )
        base = memory.to_start.get(index, np.eye(3))
        shows: dict[int, Plane] = {}
        for source in memory.pictures:
            if source == index:
                continue
            to_source = np.linalg.inv(memory.to_start[source]) @ base
            blocks = self._hiding(source)
            clear = 1.0 - self._mask_small(blocks, source, rect, small, to_source, memory)
            shows[source] = np.asarray(clear * hidden, np.float32)
        count = np.zeros_like(hidden)
        chosen: list[int] = []
        for _ in range(self._settings.sources_per_region):
            best, best_gain = -1, 0.0
            for source, clear in shows.items():
                if source in chosen:
                    continue
                value = float((clear * np.where(count < 0.5, 1.0, np.where(count < 1.5, 0.3, 0.05))).sum())
                gain = value / (1.0 + abs(source - index) / 20.0)
                if gain > best_gain:
                    best, best_gain = source, gain
            # A source that shows a sliver more is not worth its cost.
            if best < 0 or float((shows[best] * (count < 1.5)).sum()) < 0.03 * float(hidden.sum()):
                break
            chosen.append(best)
            count += shows[best]
        plan = tuple(sorted(chosen, key=lambda s: abs(s - index)))
        self._plans[key] = plan
        if len(self._plans) > 64:
            self._plans.popitem(last=False)
        return plan

    def _mask_small(
        self,
        blocks: list[_Block],
        source: int,
        rect: Rect,
        small: tuple[int, int],
        to_source: Transform,
        memory: _ShotMemory,
    ) -> Plane:
        """Share of each cell of `rect` that is text, or out of the picture, in the source frame."""
        width, height = self._size
        eighth = np.zeros((height // 8 + 1, width // 8 + 1), np.float32)
        for block in blocks:
            left, top, right, bottom = self._rect_of(block, source)
            if right <= left or bottom <= top:
                continue
            part = self._mask_of([block], source, (left, top, right, bottom))
            x0, y0 = left // 8, top // 8
            x1, y1 = max(x0 + 1, right // 8), max(y0 + 1, bottom // 8)
            reduced = cv2.resize(part, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
            view = eighth[y0:y1, x0:x1]
            np.maximum(view, reduced[: view.shape[0], : view.shape[1]], out=view)
        eighth[: memory.top // 8] = 1.0
        eighth[(memory.bottom + 7) // 8 :] = 1.0
        sx, sy = (rect[2] - rect[0]) / small[0], (rect[3] - rect[1]) / small[1]
        to_cells = np.diag([1 / 8, 1 / 8, 1.0]) @ to_source @ np.array([[sx, 0, rect[0]], [0, sy, rect[1]], [0, 0, 1]])
        return np.asarray(
            cv2.warpAffine(eighth, to_cells[:2], small, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=1.0),
            np.float32,
        )

    def _restore(
        self,
        frame: Frame,
        out: Image,
        rect: Rect,
        members: list[_Block],
        fills: dict[tuple[Rect, tuple[str, ...]], _Fill],
    ) -> None:
        """Fill the hole of one region in `out`: measured at reduced size, made at full size."""
        x0, y0, x1, y1 = rect
        hole = self._mask_of(members, frame.index, rect)
        if not hole.any():
            return
        # Letters of other blocks nearby are no background either, though they are not painted here.
        text = self._mask_of(self._active(frame.index, self._settings.pad_frames), frame.index, rect)
        # Large regions are measured more coarsely: the cost of a frame stays bounded.
        reduction = min(4.0, max(2.0, math.sqrt((x1 - x0) * (y1 - y0) / self._settings.measured_cells)))
        half = (max(8, round((x1 - x0) / reduction)), max(8, round((y1 - y0) / reduction)))
        colors = np.asarray(cv2.resize(frame.image[y0:y1, x0:x1], half, interpolation=cv2.INTER_AREA), np.float32)
        covered = cv2.resize(text, half, interpolation=cv2.INTER_AREA)
        known = np.asarray(covered == 0, np.float32)
        spots = _Spots.of(hole, (half[1], half[0]))
        pixels = spots.pixels
        memory = self._shot_of(frame.index)
        sources = () if memory is None else self._sources(memory, frame.index, rect, members)
        total = np.zeros((len(pixels), 3), np.float32)
        weights = np.zeros(len(pixels), np.float32)
        errors = np.zeros(len(pixels), np.float32)
        half_total = np.zeros_like(colors)
        half_weight = np.zeros(known.shape, np.float32)
        half_error = np.zeros(known.shape, np.float32)
        target = np.asarray(push_pull(colors, known), np.float32)
        for source in sources:
            assert memory is not None
            found = self._align(memory, frame.index, source, rect, colors, known, target)
            if found is None:
                continue
            near = 1.0 / (1.0 + abs(source - frame.index) / 30.0)
            own = (near / (found.error + 6.0) ** 2).astype(np.float32)
            half_total += (found.picture + found.offset) * (own * found.clear)[..., None]
            half_error += found.error * own * found.clear
            half_weight += own * found.clear
            colors_here, clear_here = self._full_size(memory, source, rect, found, spots)
            if not clear_here.any():
                continue
            extra = spots.sample(np.asarray(cv2.merge([*cv2.split(found.offset), own]), np.float32))
            share = extra[:, 3] * clear_here
            total += (colors_here + extra[:, :3]) * share[:, None]
            errors += spots.sample(found.error)[:, 0] * share
            weights += share
        visible = weights > 1e-7
        divisor = np.maximum(weights, 1e-9)
        spatial = self._spatial_error(colors, known)
        spatial_here = spots.sample(spatial)[:, 0]
        expected = errors / divisor
        trust = np.where(visible, spatial_here / (spatial_here + expected + 1.0), 0.0).astype(np.float32)
        half_visible = half_weight > 1e-7
        half_divisor = np.maximum(half_weight, 1e-9)
        half_trust = np.where(half_visible, spatial / (spatial + half_error / half_divisor + 1.0), 0.0).astype(
            np.float32
        )
        fill = self._smooth_fill(
            frame.index,
            rect,
            members,
            colors,
            known,
            np.asarray(half_total / half_divisor[..., None], np.float32),
            half_trust,
            memory,
            fills,
        )
        fill_here = spots.sample(fill)
        mixed = (total / divisor[:, None]) * trust[:, None] + fill_here * (1.0 - trust)[:, None]
        restored = np.ascontiguousarray(out[y0:y1, x0:x1])
        restored.reshape(-1, 3)[pixels] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
        out[y0:y1, x0:x1] = restored

    def _spatial_error(self, colors: Plane, known: Plane) -> Plane:
        """Squared error to expect of a smooth fill: grows with the texture around and the distance into the hole."""
        mean, _ = smooth_known(colors, known, 5.0)
        texture, _ = smooth_known(mean_square(colors - mean), known, 8.0)
        depth = cv2.distanceTransform((known < 0.5).astype(np.uint8), cv2.DIST_L2, 3)
        return np.asarray(1.5 * texture * (1.0 - np.exp(-((depth / 4.0) ** 2))) + 1.0, np.float32)

    def _align(
        self, memory: _ShotMemory, index: int, source: int, rect: Rect, colors: Plane, known: Plane, target: Plane
    ) -> _Aligned | None:
        """Align a source frame with the target's crop at half size."""
        x0, y0, x1, y1 = rect
        to_source = np.linalg.inv(memory.to_start[source]) @ memory.to_start[index]
        corners = np.array([[x0, y0, 1], [x1, y0, 1], [x0, y1, 1], [x1, y1, 1]], np.float64).T
        if float(np.abs((to_source @ corners - corners)[:2]).max()) < 0.3:
            to_source = np.eye(3)
        band, text = self._half_size(memory, source)
        picture, clear = self._warp_half(band, text, memory, rect, to_source, known.shape, None)
        both = known * clear
        if float(both.sum()) < 12:
            return None
        offset, error = _difference(colors, picture, both)
        found = _Aligned(picture, clear, offset, error, to_source, None)
        mean_error = float((error * both).sum() / both.sum())
        if mean_error > 4.0**2 and min(known.shape) >= 16:
            flow = self._residual_flow(target, picture, known, clear)
            refined, refined_clear = self._warp_half(band, text, memory, rect, to_source, known.shape, flow)
            both = known * refined_clear
            if float(both.sum()) >= 12:
                offset, error = _difference(colors, refined, both)
                if float((error * both).sum() / both.sum()) < 0.95 * mean_error:
                    found = _Aligned(refined, refined_clear, offset, error, to_source, flow)
        return found

    def _half_size(self, memory: _ShotMemory, source: int) -> tuple[Image, Mask]:
        """The kept rows of a source frame and its text mask at half size."""
        cached = self._halves.get(source)
        if cached is not None:
            self._halves.move_to_end(source)
            return cached
        band = self._picture(memory, source)
        size = (band.shape[1] // 2, band.shape[0] // 2)
        text = self._mask_of(self._hiding(source), source, (0, memory.top, self._size[0], memory.bottom))
        small = np.asarray(cv2.resize(text, size, interpolation=cv2.INTER_AREA) > 0, np.uint8)
        pair = (np.asarray(cv2.resize(band, size, interpolation=cv2.INTER_AREA), np.uint8), small)
        self._halves[source] = pair
        if len(self._halves) > self._settings.decoded_frames:
            self._halves.popitem(last=False)
        return pair

    def _warp_half(
        self,
        band: Image,
        text: Mask,
        memory: _ShotMemory,
        rect: Rect,
        to_source: Transform,
        shape: tuple[int, ...],
        flow: Plane | None,
    ) -> tuple[Plane, Plane]:
        height, width = shape
        sx, sy = (rect[2] - rect[0]) / width, (rect[3] - rect[1]) / height
        bx, by = self._size[0] / band.shape[1], (memory.bottom - memory.top) / band.shape[0]
        # Pixel centres: full-size position of half-size pixel i is (i + 0.5) * s - 0.5.
        to_frame = np.array([[sx, 0, rect[0] + 0.5 * sx - 0.5], [0, sy, rect[1] + 0.5 * sy - 0.5], [0, 0, 1]])
        from_frame = np.array([[1 / bx, 0, 0.5 / bx - 0.5], [0, 1 / by, (0.5 - memory.top) / by - 0.5], [0, 0, 1]])
        local = from_frame @ to_source @ to_frame
        if flow is None:
            flags, size = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, (width, height)
            picture = cv2.warpAffine(band, local[:2], size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
            hidden = cv2.warpAffine(text * 255, local[:2], size, flags=flags, borderValue=255)
        else:
            map_x, map_y = _maps(local, flow)
            picture = cv2.remap(band, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            hidden = cv2.remap(
                text * 255, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=255
            )
        return np.asarray(picture, np.float32), np.asarray(hidden == 0, np.float32)

    def _full_size(
        self, memory: _ShotMemory, source: int, rect: Rect, found: _Aligned, spots: _Spots
    ) -> tuple[Plane, Plane]:
        """Colours (n, 3) of the aligned source at the hole's pixels, and 1 where they are clear of text, else 0."""
        x0, y0, x1, y1 = rect
        blocks = self._hiding(source)
        band = self._picture(memory, source)
        if found.flow is None and np.array_equal(found.to_source, np.eye(3)):
            clear = (self._mask_of(blocks, source, rect).ravel()[spots.pixels] == 0).astype(np.float32)
            part = np.ascontiguousarray(band[y0 - memory.top : y1 - memory.top, x0:x1]).reshape(-1, 3)
            return part[spots.pixels].astype(np.float32), clear
        corners = np.array([[x0, y0, 1], [x1, y0, 1], [x0, y1, 1], [x1, y1, 1]], np.float64).T
        moved = (found.to_source @ corners)[:2]
        reach = 24
        left, top = (math.floor(v) - reach for v in moved.min(axis=1))
        right, bottom = (math.ceil(v) + reach for v in moved.max(axis=1))
        left, top = max(0, left), max(memory.top, top)
        right, bottom = min(self._size[0], right), min(memory.bottom, bottom)
        if right - left < 2 or bottom - top < 2:
            return np.zeros((len(spots.pixels), 3), np.float32), np.zeros(len(spots.pixels), np.float32)
        text = cv2.dilate(self._mask_of(blocks, source, (left, top, right, bottom)), np.ones((3, 3), np.uint8))
        xs, ys = spots.xs, spots.ys
        if found.flow is not None:
            flow = spots.sample(found.flow)
            height, width = found.flow.shape[:2]
            xs, ys = xs + flow[:, 0] * ((x1 - x0) / width), ys + flow[:, 1] * ((y1 - y0) / height)
        a = (
            np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]])
            @ found.to_source
            @ np.array([[1, 0, x0], [0, 1, y0], [0, 0, 1]])
        ).astype(np.float32)
        at_x, at_y = a[0, 0] * xs + a[0, 1] * ys + a[0, 2], a[1, 0] * xs + a[1, 1] * ys + a[1, 2]
        colors = _sample(band[top - memory.top : bottom - memory.top, left:right], at_x, at_y, cv2.INTER_CUBIC)
        outside = (at_x < 0) | (at_y < 0) | (at_x > right - left - 1) | (at_y > bottom - top - 1)
        hidden = _sample(text, at_x, at_y, cv2.INTER_LINEAR)[:, 0]
        return colors.astype(np.float32), ((hidden == 0) & ~outside).astype(np.float32)

    def _residual_flow(self, target: Plane, picture: Plane, known: Plane, clear: Plane) -> Plane:
        """What camera motion leaves over, in half-size pixels: measured beside the text, carried smoothly under it."""
        both = known * clear
        # The target's own fill stands in for the hidden pixels of both, so that no letter edge attracts the flow.
        stand_in = np.where(clear[..., None] > 0.5, picture, target)
        grays = [cv2.cvtColor(np.clip(v, 0, 255).astype(np.uint8), cv2.COLOR_BGR2GRAY) for v in (target, stand_in)]
        flow = np.asarray(self._flow.calc(grays[0], grays[1], np.zeros((*grays[0].shape, 2), np.float32)), np.float32)
        sane = np.asarray((largest_difference(flow) < 10.0) & (both > 0.5), np.float32)
        near, weight = smooth_known(flow, sane, 4.0)
        wide, wide_weight = smooth_known(flow, sane, 16.0)
        share = np.minimum(1.0, weight / 0.1)[..., None]
        smooth = near * share + wide * np.minimum(1.0, wide_weight / 0.02)[..., None] * (1.0 - share)
        return np.asarray(smooth, np.float32)

    def _smooth_fill(
        self,
        index: int,
        rect: Rect,
        members: list[_Block],
        colors: Plane,
        known: Plane,
        seen: Plane,
        trust: Plane,
        memory: _ShotMemory | None,
        fills: dict[tuple[Rect, tuple[str, ...]], _Fill],
    ) -> Plane:
        """In-frame fill of what no source shows, at half size, steadied by the previous frame's fill."""
        sure = np.where(known > 0.5, 1.0, np.where(trust > 0.5, trust, 0.0)).astype(np.float32)
        fill = push_pull(np.where((known > 0.5)[..., None], colors, seen).astype(np.float32), sure)
        key = (rect, tuple(sorted(b.track.id for b in members)))
        previous = self._last_fill.get(key)
        if previous is not None and previous.index == index - 1 and memory is not None and index - 1 in memory.shot:
            back = np.linalg.inv(memory.to_start[previous.index]) @ memory.to_start[index]
            height, width = known.shape
            sx, sy = (rect[2] - rect[0]) / width, (rect[3] - rect[1]) / height
            to_frame = np.array([[sx, 0, rect[0]], [0, sy, rect[1]], [0, 0, 1]])
            local = np.linalg.inv(to_frame) @ back @ to_frame
            carried = previous.colors
            if not np.allclose(local, np.eye(3), atol=1e-3):
                carried = np.asarray(
                    cv2.warpAffine(
                        carried,
                        local[:2],
                        (width, height),
                        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                        borderMode=cv2.BORDER_REPLICATE,
                    ),
                    np.float32,
                )
            # A large change of the surroundings is a change of the scene, not flicker: then the new fill wins.
            change = largest_difference(np.asarray(fill - carried, np.float32))
            stay = (0.7 * np.exp(-((change / 24.0) ** 2)) * (known < 0.5))[..., None]
            fill = np.asarray(stay * carried + (1 - stay) * fill, np.float32)
        fills[key] = _Fill(index, fill)
        return fill

    def _repaint(self, out: Image, block: _Block, index: int) -> None:
        assert block.slab_color is not None
        left, top, right, bottom = self._rect_of(block, index)
        out[top:bottom, left:right][self._interior_of(block, index) > 0] = block.slab_color

    def _interior_of(self, block: _Block, index: int) -> Mask:
        """The part of a staying slab that is painted, cropped to the block's rectangle in frame `index`."""
        inner = replace(block, ink=block.interior(), boxes={})
        return self._mask_of([inner], index, self._rect_of(block, index))


def _sample(values: NDArray[Any], xs: Plane, ys: Plane, interpolation: int) -> NDArray[Any]:
    """Interpolated values at scattered positions, shape (n, channels)."""
    columns = 1024  # the remapping call takes pictures, not lists: fold the list into rows
    count = len(xs)
    rows = -(-count // columns)
    folded = [np.pad(v.astype(np.float32), (0, rows * columns - count)).reshape(rows, columns) for v in (xs, ys)]
    found = cv2.remap(values, folded[0], folded[1], interpolation, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found).reshape(rows * columns, -1)[:count]


@dataclass(frozen=True, slots=True)
class _Spots:
    """The pixels of a hole: flat indices and positions in the crop, and their positions on its reduced grid."""

    pixels: NDArray[np.intp]
    xs: Plane
    ys: Plane
    grid_xs: Plane
    grid_ys: Plane

    @classmethod
    def of(cls, hole: Mask, grid: tuple[int, int]) -> _Spots:
        pixels = np.flatnonzero(hole)
        ys, xs = (v.astype(np.float32) for v in np.divmod(pixels, hole.shape[1]))
        sx, sy = hole.shape[1] / grid[1], hole.shape[0] / grid[0]
        return cls(
            pixels, xs, ys, (xs + 0.5) / np.float32(sx) - np.float32(0.5), (ys + 0.5) / np.float32(sy) - np.float32(0.5)
        )

    def sample(self, plane: Plane) -> Plane:
        """Values of a plane of the reduced grid at the hole's pixels, shape (n, channels)."""
        return np.asarray(_sample(plane, self.grid_xs, self.grid_ys, cv2.INTER_LINEAR), np.float32)


def _maps(local: Transform, flow: Plane) -> tuple[Plane, Plane]:
    """Absolute sampling positions for an affine map applied after a flow on the target's grid."""
    height, width = flow.shape[:2]
    a = local.astype(np.float32)
    xs = flow[..., 0] + np.arange(width, dtype=np.float32)
    ys = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    return a[0, 0] * xs + a[0, 1] * ys + a[0, 2], a[1, 0] * xs + a[1, 1] * ys + a[1, 2]


def _difference(colors: Plane, picture: Plane, both: Plane) -> tuple[Plane, Plane]:
    """Smooth colour difference target - source, and the smooth squared error that is left after taking it off."""
    apart = colors - picture
    offset, reach = smooth_known(apart, both, 8.0)
    amount = max(1e-3, float(both.sum()))
    # Beyond the reach of any known pixel the mean of the whole region speaks.
    overall = np.asarray(cv2.mean(apart * both[..., None])[:3], np.float32) * (both.size / amount)
    near = np.minimum(1.0, reach / 0.03)
    offset = (offset * near[..., None] + overall * (1 - near[..., None])).astype(np.float32)
    left = mean_square(apart - offset)
    error, weight = smooth_known(left, both, 6.0)
    share = np.minimum(1.0, weight / 0.03)
    return offset, np.asarray(error * share + float((left * both).sum()) / amount * (1 - share), np.float32)


def _sample_frames(track: OverlayTrack) -> list[int]:
    """Up to five frames in which the block stands complete, spread over its life."""
    first = min(track.first_frame + track.entry.frames, track.last_frame)
    last = max(first, track.last_frame - track.exit.frames)
    return sorted({round(first + (last - first) * i / 4) for i in range(5)})


def _support_crop(image: Image, track: OverlayTrack, index: int) -> Image:
    """The block's support, moved along with the block; edge pixels are repeated where it leaves the frame."""
    height, width = image.shape[:2]
    left, top, right, bottom = support_box(track, width, height)
    dx, dy = (round(v) for v in track.offset_at(index))
    rows = np.clip(np.arange(top + dy, bottom + dy), 0, height - 1)
    columns = np.clip(np.arange(left + dx, right + dx), 0, width - 1)
    return image[rows][:, columns]


def _measured_color(track: OverlayTrack, samples: list[Image]) -> NDArray[np.uint8]:
    """The slab's own colour as it stands in the picture: the median of the pixels near the style's slab colour."""
    assert track.style.slab is not None
    stated = np.array(track.style.slab.color[::-1], np.int16)
    pixels = samples[len(samples) // 2].reshape(-1, 3)
    near = pixels[np.abs(pixels.astype(np.int16) - stated).max(axis=1) <= 30]
    return np.asarray(np.median(near, axis=0) if len(near) else stated, np.uint8)
