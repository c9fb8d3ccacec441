"""Measures erasing on clips with known overlays and prints one row per recipe.

    python bench/overlays/erasing.py --truth FOLDER [--tracks true|read] [--fill network|smooth] [--recipes hook,list]
        [--seeds 1,2]

`--tracks true` gives the eraser the true lines, times and look (its own masks are still found in the pixels);
`--tracks read` gives it what the product's reader found. Baseline: Telea's fill of every frame on the true mask; its
figures are kept in `--cache`, because they never change. CPU is process time of `erase` (and, apart, of `prepare`).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from measures import Inside, inside, telea
from truth_items import RECIPES, Item, chosen_items, command_line

from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings
from recaster.media.overlays import (
    Fill,
    FillNetwork,
    OverlayTrack,
    RapidTextReader,
    TemporalEraser,
    TextModels,
    push_pull,
)
from recaster.media.video import read_frames
from recaster.media.video.model import Shot, VideoFacts


@dataclass(frozen=True, slots=True)
class Known:
    """Figures of a clip that do not depend on the eraser."""

    telea_psnr: float
    telea_ssim: float
    telea_flicker: float
    ceiling_psnr: float
    ceiling_flicker: float


@dataclass(frozen=True, slots=True)
class Row:
    """What one clip gave."""

    name: str
    recipe: str
    psnr: float
    ssim: float
    flicker: float
    known: Known
    changed_outside: int
    missed: float
    excess: float
    prepare_ms: float
    erase_ms: float

    @property
    def gain(self) -> float:
        """Decibels above the baseline."""
        return self.psnr - self.known.telea_psnr

    @property
    def flicker_ratio(self) -> float:
        """Flicker as a multiple of the ceiling's."""
        return self.flicker / max(0.05, self.known.ceiling_flicker)


def known_of(item: Item, cache: Path) -> Known:
    """Baseline and ceiling of an item, from the cache when they are there."""
    kept = cache / f"{item.name}.json"
    if kept.is_file():
        return Known(**json.loads(kept.read_text()))
    baseline, ceiling = Inside(), Inside()
    for burned, clean, best, mask in zip(
        read_frames(item.burned), read_frames(item.clean), read_frames(item.ceiling), item.masks(), strict=False
    ):
        region = inside(mask)
        baseline.add(burned.index, telea(burned.image, mask), clean.image, region)
        ceiling.add(burned.index, best.image, clean.image, region)
    found = Known(baseline.psnr, baseline.ssim, baseline.flicker, ceiling.psnr, ceiling.flicker)
    cache.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(asdict(found)))
    return found


def measure(item: Item, tracks: tuple[OverlayTrack, ...], known: Known, fill: Fill, pictures: Path | None) -> Row:
    """Erase one clip and measure it."""
    eraser = TemporalEraser(fill=fill)
    facts, shots = item.facts(), item.shots()
    began = time.process_time()
    eraser.prepare(item.burned, facts, shots, tracks)
    prepared = time.process_time() - began
    score = Inside()
    spent, changed, missed, excess, true_count, frames = 0.0, 0, 0, 0, 0, 0
    for burned, clean, mask in zip(read_frames(item.burned), read_frames(item.clean), item.masks(), strict=False):
        began = time.process_time()
        restored = eraser.erase(burned)
        spent += time.process_time() - began
        frames += 1
        own = eraser.mask(burned.index) > 0
        changed += int((cv2.absdiff(restored, burned.image).max(axis=2)[~own] > 0).sum())
        missed += int(((mask > 0) & ~own).sum())
        excess += int(((mask == 0) & own).sum())
        true_count += int((mask > 0).sum())
        score.add(burned.index, restored, clean.image, inside(mask))
        if pictures is not None and burned.index % 10 == 5:
            pictures.mkdir(parents=True, exist_ok=True)
            three = np.hstack([burned.image, restored, clean.image])
            cv2.imwrite(str(pictures / f"{item.name}-{burned.index:03d}.png"), three)
    return Row(
        item.name,
        item.recipe,
        score.psnr,
        score.ssim,
        score.flicker,
        known,
        changed,
        missed / max(1, true_count),
        excess / max(1, true_count),
        1000 * prepared / max(1, frames),
        1000 * spent / max(1, frames),
    )


def read_tracks(item: Item) -> tuple[OverlayTrack, ...]:
    """What the product's reader finds."""
    return read_tracks_of(item.burned, item.facts(), item.shots())


def read_tracks_of(clip: Path, facts: VideoFacts, shots: tuple[Shot, ...]) -> tuple[OverlayTrack, ...]:
    """The same of any clip."""
    store = ModelStore(Settings().folder("models"))
    models = store.paths()
    reader = RapidTextReader(TextModels(models["text_detector"], models["text_recogniser"]))
    return reader.read_clip(clip, facts, shots)


def table(rows: list[Row]) -> Iterator[str]:
    """Markdown: one row per clip of `rows`, or per recipe where there are several of it."""
    yield (
        "| clip | PSNR inside | Telea | gain dB (mean / least) | SSIM | flicker / ceiling's | outside changed "
        "| mask missed / excess | CPU ms per frame, erase + prepare |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for recipe in RECIPES:
        own = [row for row in rows if row.recipe == recipe]
        if own:
            yield line_of(f"{recipe} ({len(own)})", own)


def line_of(name: str, rows: list[Row]) -> str:
    """One row of the table: means over clips, the least gain and the largest flicker."""

    def mean(values: list[float]) -> float:
        return float(np.mean(values))

    gains = [row.gain for row in rows]
    return (
        f"| {name} | {mean([r.psnr for r in rows]):.2f} | {mean([r.known.telea_psnr for r in rows]):.2f} "
        f"| {mean(gains):+.2f} / {min(gains):+.2f} | {mean([r.ssim for r in rows]):.3f} "
        f"| {mean([r.flicker_ratio for r in rows]):.2f} | {sum(r.changed_outside for r in rows)} "
        f"| {mean([r.missed for r in rows]):.3f} / {mean([r.excess for r in rows]):.2f} "
        f"| {mean([r.erase_ms for r in rows]):.0f} + {mean([r.prepare_ms for r in rows]):.0f} |"
    )


def main() -> None:
    """Run the command."""
    cv2.setNumThreads(1)
    arguments = command_line(__doc__, tracks="true")
    arguments.add_argument("--fill", choices=("network", "smooth"), default="network")
    arguments.add_argument("--model", type=Path, help="another fill network than the shipped one")
    arguments.add_argument("--cache", type=Path, default=Path(os.environ.get("TMPDIR", "/tmp")) / "recaster-bench")
    arguments.add_argument("--pictures", type=Path, help="folder for every tenth frame: burned, restored, clean")
    given = arguments.parse_args()
    rows = []
    fill: Fill = push_pull
    if given.fill == "network":
        fill = FillNetwork(given.model or ModelStore(Settings().folder("models")).path("overlay_fill")).fill
    for item in chosen_items(given):
        tracks = item.tracks() if given.tracks == "true" else read_tracks(item)
        rows.append(measure(item, tracks, known_of(item, given.cache), fill, given.pictures))
        print(line_of(item.name, rows[-1:]), flush=True)
    print()
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
