"""Measures drawing: the round trip of the same words, and new words in old places.

    python bench/overlays/drawing.py --truth FOLDER [--tracks true|read] [--recipes hook,list] [--seeds 1,2]

Round trip: a block is erased and its own words are drawn again in its described look; frame in the middle of its life,
compared with the source inside the block's box. Size error compares the extent of the letters along the line. Only
blocks in a font class that ships are compared (others are drawn in the nearest one and say nothing about the drawing).
New words: texts of several lengths and scripts are laid out in every block's look; counted are letters outside of both
the old box and the safe zone, glyphs cut at the frame's edge or by their picture, and empty boxes instead of glyphs.
CPU is process time of `draw`, per block and frame.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from erasing import read_tracks
from numpy.typing import NDArray
from truth_items import FONTS, RECIPES, Item, items

from recaster.media.overlays import (
    Appearance,
    DoesNotFit,
    NewText,
    OverlayTrack,
    SafeZone,
    SkiaTextDrawer,
    TemporalEraser,
    TextLayout,
    appearance,
    lay_out_in_place,
)
from recaster.media.quality import ssim
from recaster.media.video import read_frames
from recaster.media.video.model import Image

NEW_TEXTS = (
    "short one",
    "this took me far too long to find out",
    "5 quiet habits that gave me my mornings back 🌅",
    "für später speichern – schön günstig",
    "¿por qué nadie me lo contó antes?",
    "всё, что нужно знать",
)


@dataclass(frozen=True, slots=True)
class Trip:
    """The round trip of one block."""

    name: str
    recipe: str
    ssim: float
    delta_e: float
    size_error: float
    draw_ms: float


def round_trips(item: Item, tracks: tuple[OverlayTrack, ...], pictures: Path | None) -> list[Trip]:
    """Erase a clip and draw its own words again."""
    shipped = {entry["id"]: entry["style"]["font"] in FONTS for entry in item.truth["tracks"]}
    wanted = {}
    for track in tracks:
        if shipped.get(track.id, True) and track.text.strip():
            middle = (track.first_frame + track.entry.frames + track.last_frame - track.exit.frames) // 2
            wanted.setdefault(min(max(middle, track.first_frame), track.last_frame), []).append(track)
    eraser = TemporalEraser()
    facts = item.facts()
    eraser.prepare(item.burned, facts, item.shots(), tracks)
    drawer = SkiaTextDrawer()
    found = []
    layouts: dict[str, TextLayout | None] = {}
    for track in (track for tracks_then in wanted.values() for track in tracks_then):
        try:
            new = {track.id: NewText(track, track.text, track.style)}
            layouts |= lay_out_in_place(item.burned, facts, drawer, new)
        except DoesNotFit:
            layouts[track.id] = None
    for frame in read_frames(item.burned):
        erased = eraser.erase(frame)
        for track in wanted.get(frame.index, []):
            layout = layouts[track.id]
            if layout is None:
                found.append(Trip(f"{item.name}/{track.id}", item.recipe, 0.0, 100.0, 1.0, 0.0))
                continue
            look = appearance(track, frame.index) or Appearance()
            drawer.draw(erased, layout, look)
            began = time.process_time()
            drawn = drawer.draw(erased, layout, look)
            spent = 1000 * (time.process_time() - began)
            part = _box(track, frame.index, facts.width, facts.height)
            old, new, bare = frame.image[part], drawn[part], erased[part]
            found.append(
                Trip(
                    f"{item.name}/{track.id}",
                    item.recipe,
                    ssim(new, old),
                    _fill_difference(old, new, bare, track),
                    _size_error(old, new, bare),
                    spent,
                )
            )
            if pictures is not None:
                pictures.mkdir(parents=True, exist_ok=True)
                name = f"{item.name}-{track.id}.png"
                cv2.imwrite(str(pictures / name), np.vstack([old, new, bare]))
    return found


def _box(track: OverlayTrack, index: int, width: int, height: int) -> tuple[slice, slice]:
    dx, dy = track.offset_at(index)
    left, top, right, bottom = track.box
    return (
        slice(max(0, int(top + dy) - 4), min(height, int(bottom + dy) + 5)),
        slice(max(0, int(left + dx) - 4), min(width, int(right + dx) + 5)),
    )


def _ink(picture: Image, bare: Image) -> NDArray[np.bool_]:
    return np.asarray(cv2.absdiff(picture, bare).max(axis=2) > 40)


def _fill_difference(old: Image, new: Image, bare: Image, track: OverlayTrack) -> float:
    """CIE76 colour difference of the letters' inner pixels: those nearest to the stated fill, in both pictures."""
    fill = np.array(track.style.fill[::-1], np.int16)
    lab = []
    for picture in (old, new):
        away = np.abs(picture.astype(np.int16) - fill).max(axis=2)
        inner = away <= np.quantile(away[_ink(picture, bare)], 0.25) if _ink(picture, bare).any() else away >= 0
        lab.append(cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)[inner].mean(axis=0))
    return float(np.linalg.norm(lab[0] - lab[1]))


def _size_error(old: Image, new: Image, bare: Image) -> float:
    extents = []
    for picture in (old, new):
        columns = np.flatnonzero(_ink(picture, bare).any(axis=0))
        extents.append(float(columns[-1] - columns[0] + 1) if len(columns) else 0.0)
    return abs(extents[1] - extents[0]) / max(1.0, extents[0])


def faults_of_new_text(item: Item, tracks: tuple[OverlayTrack, ...]) -> dict[str, int]:
    """Lay out and draw new words in each block's look, and count what must not be."""
    facts = item.facts()
    size = (facts.width, facts.height)
    drawer = SkiaTextDrawer()
    zone = SafeZone().box(size)
    blank = np.zeros((facts.height, facts.width, 3), np.uint8)
    room = 120
    counts = {"laid out": 0, "asked to be shorter": 0, "outside": 0, "clipped": 0, "tofu": 0}
    for track in tracks:
        for text in NEW_TEXTS:
            report = drawer.fits(text, track.style, track.box, size)
            if report.missing_glyphs:
                counts["tofu"] += 1
                continue
            if not report.fits:
                counts["asked to be shorter"] += 1
                continue
            layout = drawer.layout(text, track.style, track.box, size)
            counts["laid out"] += 1
            loud = replace(layout, style=replace(layout.style, shadow=None, opacity=1.0))
            drawn = drawer.draw(blank, loud) | drawer.draw(blank + 255, loud) ^ 255
            ys, xs = np.nonzero(drawn.max(axis=2) > 40)
            box = track.box
            allowed = (min(zone[0], box[0]), min(zone[1], box[1]), max(zone[2], box[2]), max(zone[3], box[3]))
            slack = 0.12 * layout.style.size + 2  # swashes and round letters reach a little over their advance
            if len(xs) and (
                xs.min() < allowed[0] - slack
                or ys.min() < allowed[1] - slack
                or xs.max() > allowed[2] + slack
                or ys.max() > allowed[3] + slack
            ):
                counts["outside"] += 1
            wide = np.zeros((facts.height + 2 * room, facts.width + 2 * room, 3), np.uint8)
            counts["clipped"] += _is_clipped(drawer, loud, wide, room, drawn)
    return counts


def _is_clipped(drawer: SkiaTextDrawer, layout: object, wide: Image, room: int, drawn: Image) -> int:
    """Whether the same block on a larger canvas has more ink than on the frame."""
    assert hasattr(layout, "lines")
    lines = tuple(replace(line, x=line.x + room, baseline=line.baseline + room) for line in layout.lines)
    moved = replace(
        layout,
        lines=lines,
        box=tuple(v + room for v in layout.box),
        center=(layout.center[0] + room, layout.center[1] + room),
        frame_size=(wide.shape[1], wide.shape[0]),
    )
    on_wide = drawer.draw(wide, moved) | drawer.draw(wide + 255, moved) ^ 255
    inside = on_wide[room:-room, room:-room]
    return int(int((on_wide.max(axis=2) > 40).sum()) - int((inside.max(axis=2) > 40).sum()) > 0)


def table(trips: list[Trip]) -> Iterator[str]:
    """Markdown: one row per recipe."""
    yield "| recipe (blocks) | SSIM mean / least | ΔE of the fill, mean | size error, mean / largest | draw, CPU ms |"
    yield "| --- | --- | --- | --- | --- |"
    for recipe in RECIPES:
        own = [trip for trip in trips if trip.recipe == recipe]
        if own:
            yield (
                f"| {recipe} ({len(own)}) | {np.mean([t.ssim for t in own]):.3f} / {min(t.ssim for t in own):.3f} "
                f"| {np.mean([t.delta_e for t in own]):.1f} "
                f"| {np.mean([t.size_error for t in own]):.1%} / {max(t.size_error for t in own):.1%} "
                f"| {np.mean([t.draw_ms for t in own]):.1f} |"
            )


def main() -> None:
    """Run the command."""
    cv2.setNumThreads(1)
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--truth", type=Path, required=True)
    arguments.add_argument("--tracks", choices=("true", "read"), default="true")
    arguments.add_argument("--recipes", default=",".join(RECIPES))
    arguments.add_argument("--seeds", default="1,2,3,4,5")
    arguments.add_argument("--pictures", type=Path, help="folder for each block: source, drawn again, erased")
    given = arguments.parse_args()
    trips: list[Trip] = []
    faults: dict[str, int] = {}
    for item in items(given.truth, tuple(given.recipes.split(",")), tuple(int(s) for s in given.seeds.split(","))):
        tracks = item.tracks() if given.tracks == "true" else read_tracks(item)
        for trip in round_trips(item, tracks, given.pictures):
            print(f"{trip.name}: SSIM {trip.ssim:.3f}, ΔE {trip.delta_e:.1f}, size {trip.size_error:.1%}", flush=True)
            trips.append(trip)
        for name, count in faults_of_new_text(item, tracks).items():
            faults[name] = faults.get(name, 0) + count
    print()
    print("\n".join(table(trips)))
    print("\nNew words:", ", ".join(f"{name} {count}" for name, count in faults.items()))


if __name__ == "__main__":
    main()
