"""Measures drawing: the round trip of the same words, and new words in old places.

    python bench/overlays/drawing.py --truth FOLDER [--tracks read|true] [--recipes hook,list] [--seeds 1,2]

Round trip (`round_trip`): a block is erased and its own words are drawn again in its described look, both by the product's
reader (or, with `--tracks true`, by the truth), and compared with the source inside the block's true box. Blocks that were
burned in with a font that does not ship come back in the most similar one; they have rows of their own.
New words: texts of several lengths and scripts are laid out in every block's look; counted are letters outside of both
the old box and the safe zone, glyphs cut at the frame's edge or by their picture, and empty boxes instead of glyphs.
CPU is process time of `draw`, per block and frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from erasing import read_tracks
from round_trip import Trip, erased_frames, pairs, round_trips
from truth_items import RECIPES, Item, chosen_items, command_line

from recaster.media.overlays import OverlayTrack, SafeZone, SkiaTextDrawer
from recaster.media.video.model import Image

NEW_TEXTS = (
    "short one",
    "this took me far too long to find out",
    "5 quiet habits that gave me my mornings back 🌅",
    "für später speichern – schön günstig",
    "¿por qué nadie me lo contó antes?",
    "всё, что нужно знать",
)


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
    """Markdown: one row per recipe, and one for its blocks in fonts that do not ship."""
    yield (
        "| recipe (blocks) | SSIM mean / least | ΔE of the fill, mean / largest | the same with the true colours "
        "| described from true colours, mean / largest | size error, mean / largest | draw, CPU ms |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for shipped in (True, False):
        for recipe in RECIPES:
            own = [trip for trip in trips if trip.recipe == recipe and trip.shipped_font == shipped]
            if own:
                name = recipe if shipped else f"{recipe}, other fonts"
                yield (
                    f"| {name} ({len(own)}) | {np.mean([t.ssim for t in own]):.3f} / {min(t.ssim for t in own):.3f} "
                    f"| {np.mean([t.delta_e for t in own]):.1f} / {max(t.delta_e for t in own):.1f} "
                    f"| {np.mean([t.delta_e_of_truth for t in own]):.1f} "
                    f"| {np.mean([t.delta_e_of_look for t in own]):.1f} / {max(t.delta_e_of_look for t in own):.1f} "
                    f"| {np.mean([t.size_error for t in own]):.1%} / {max(t.size_error for t in own):.1%} "
                    f"| {np.mean([t.draw_ms for t in own]):.1f} |"
                )


def main() -> None:
    """Run the command."""
    cv2.setNumThreads(1)
    arguments = command_line(__doc__, tracks="read")
    arguments.add_argument("--pictures", type=Path, help="folder for each block: source, drawn again, erased")
    given = arguments.parse_args()
    trips: list[Trip] = []
    faults: dict[str, int] = {}
    for item in chosen_items(given):
        true = item.tracks()
        tracks = true if given.tracks == "true" else read_tracks(item)
        found = pairs(item, true, tracks)
        frames = erased_frames(item, tracks, {pair.frame for pair in found})
        for trip in round_trips(item, found, frames, given.pictures):
            print(
                f"{trip.name}: SSIM {trip.ssim:.3f}, ΔE {trip.delta_e:.1f} (true colours {trip.delta_e_of_truth:.1f}, "
                f"described from true {trip.delta_e_of_look:.1f}), size {trip.size_error:.1%}",
                flush=True,
            )
            trips.append(trip)
        for name, count in faults_of_new_text(item, tracks).items():
            faults[name] = faults.get(name, 0) + count
    print()
    print("\n".join(table(trips)))
    print("\nNew words:", ", ".join(f"{name} {count}" for name, count in faults.items()))


if __name__ == "__main__":
    main()
