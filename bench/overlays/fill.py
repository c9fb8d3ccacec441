"""Measures what fills a hole in one frame: nothing is taken from other frames. Prints one row per recipe and method.

    python bench/overlays/fill.py --truth FOLDER [--recipes hook,list] [--seeds 1,2] [--every 12] [--pictures FOLDER]

Every `--every`-th frame and the one after it are filled on the true mask with its 3 pixels of margin, which is what is
measured too. Telea is measured on exactly its own mask as well, as in `erasing.py`. Flicker is the mean change of the
error from the one frame to the other. CPU is process time for 100,000 pixels of region.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from measures import Inside, inside, telea
from truth_items import Item, chosen_items, command_line

from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings
from recaster.media.overlays import Fill, FillNetwork, push_pull
from recaster.media.video import read_frames
from recaster.media.video.model import Image, Mask

_MARGIN = 28
_REDUCTION = 2
"""The eraser works on a grid that is two to four times smaller than the frame."""


@dataclass(slots=True)
class Score:
    """What one method gave on one clip."""

    inside: Inside = field(default_factory=Inside)
    seconds: float = 0.0
    pixels: int = 0


def filled(image: Image, hole: Mask, fill: Fill, score: Score, *, reduced: bool) -> Image:
    """A frame with each neighbourhood of holes filled on a crop of its own, at full size or on the eraser's grid."""
    out = image.copy()
    height = hole.shape[0]
    count, _, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(hole, np.ones((49, 49), np.uint8)))
    for left, top, w, h, _ in stats[1:count]:
        part = np.s_[
            max(0, top - _MARGIN) : min(height, top + h + _MARGIN), max(0, left - _MARGIN) : left + w + _MARGIN
        ]
        known = np.asarray(hole[part] == 0, np.float32)
        began = time.process_time()
        colors = image[part].astype(np.float32)
        if reduced:
            rows, columns = known.shape
            grid = (columns // _REDUCTION, rows // _REDUCTION)
            share = np.asarray(cv2.resize(known, grid, interpolation=cv2.INTER_AREA), np.float32)
            seen = cv2.resize(colors * known[..., None], grid, interpolation=cv2.INTER_AREA)
            small = fill(
                np.asarray(seen / np.maximum(share, 1e-3)[..., None], np.float32), np.asarray(share > 0.45, np.float32)
            )
            found = np.asarray(cv2.resize(small, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32)
        else:
            found = fill(colors * known[..., None], known)
        score.seconds += time.process_time() - began
        score.pixels += known.size
        own = known == 0
        out[part][own] = np.clip(np.rint(found[own]), 0, 255).astype(np.uint8)
    return out


def methods(network: Fill) -> dict[str, Callable[[Image, Mask, Score], Image]]:
    """Name → fill of a frame, given the frame, its true mask and where to add the cost."""

    def wide(mask: Mask) -> Mask:
        return inside(mask).astype(np.uint8) * np.uint8(255)

    return {
        "Telea, its mask": lambda image, mask, score: telea(image, mask),
        "Telea": lambda image, mask, score: telea(image, wide(mask)),
        "smooth": lambda image, mask, score: filled(image, wide(mask), push_pull, score, reduced=False),
        "smooth, reduced": lambda image, mask, score: filled(image, wide(mask), push_pull, score, reduced=True),
        "network": lambda image, mask, score: filled(image, wide(mask), network, score, reduced=False),
        "network, reduced": lambda image, mask, score: filled(image, wide(mask), network, score, reduced=True),
    }


def measure(item: Item, every: int, network: Fill, pictures: Path | None) -> dict[str, Score]:
    """Fill and measure the chosen frames of one clip."""
    known = methods(network)
    scores = {name: Score() for name in known}
    for burned, clean, mask in zip(read_frames(item.burned), read_frames(item.clean), item.masks(), strict=False):
        turn = burned.index % every
        if turn > 1 or not mask.any():
            continue
        shown = [burned.image]
        for name, method in known.items():
            out = method(burned.image, mask, scores[name])
            if turn == 0:
                scores[name].inside.forget()
            # The similarity is taken on every fifth frame: count the chosen frames so that it is each first of two.
            scores[name].inside.add(5 * burned.index + turn, out, clean.image, inside(mask))
            shown.append(out)
        if pictures is not None and turn == 0:
            pictures.mkdir(parents=True, exist_ok=True)
            rows = np.flatnonzero(mask.any(axis=1))
            part = np.s_[max(0, rows[0] - 60) : rows[-1] + 60]
            chosen = [shown[0], shown[2], shown[3], shown[5], shown[6], clean.image]
            cv2.imwrite(str(pictures / f"{item.name}-{burned.index:03d}.png"), np.hstack([s[part] for s in chosen]))
    return scores


def table(found: dict[str, list[dict[str, Score]]]) -> Iterator[str]:
    """Markdown: means over clips, per recipe and method."""
    yield "| recipe (clips) | method | PSNR inside | least against Telea | SSIM | flicker | CPU ms per 100,000 pixels |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    everything = [clip for clips in found.values() for clip in clips]
    for recipe, clips in [*found.items(), ("all", everything)]:
        for name in clips[0]:
            own = [clip[name] for clip in clips]
            least = min(clip[name].inside.psnr - clip["Telea"].inside.psnr for clip in clips)
            cost = 1e8 * sum(s.seconds for s in own) / max(1, sum(s.pixels for s in own))
            yield (
                f"| {recipe} ({len(clips)}) | {name} | {np.mean([s.inside.psnr for s in own]):.2f} | {least:+.2f} "
                f"| {np.mean([s.inside.ssim for s in own]):.3f} | {np.mean([s.inside.flicker for s in own]):.2f} "
                f"| {f'{cost:.1f}' if cost else '-'} |"
            )


def main() -> None:
    """Run the command."""
    cv2.setNumThreads(1)
    arguments = command_line(__doc__)
    arguments.add_argument("--every", type=int, default=12)
    arguments.add_argument("--model", type=Path, help="another network than the shipped one")
    arguments.add_argument("--pictures", type=Path, help="folder for pictures: burned, Telea, smooth, network …, clean")
    given = arguments.parse_args()
    model = given.model or ModelStore(Settings().folder("models")).path("overlay_fill")
    network = FillNetwork(model).fill
    found: dict[str, list[dict[str, Score]]] = {}
    for item in chosen_items(given):
        scores = measure(item, given.every, network, given.pictures)
        if all(score.inside.similarities for score in scores.values()):
            found.setdefault(item.recipe, []).append(scores)
            print(item.name, {name: round(s.inside.psnr, 2) for name, s in scores.items()}, flush=True)
        else:
            print(item.name, "shows no text in the chosen frames", flush=True)
    print()
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
