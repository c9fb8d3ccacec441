"""Pictures of a result for a person to judge: source above, remix below, at the same moments."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from recaster.infra.files import atomic_file
from recaster.media.video import probe, read_chosen, read_times

_TILE_WIDTH = 300
_GAP = 8


def contact_sheet(before: Path, after: Path, target: Path, count: int = 6) -> None:
    """Write a PNG with `count` moments spread over the clip, each with its time; the file appears only when complete."""
    facts = probe(before)
    times = read_times(before)
    height = round(facts.height * _TILE_WIDTH / facts.width)
    chosen = [round((position + 0.5) * facts.frame_count / count) for position in range(count)]
    width = count * (_TILE_WIDTH + _GAP) - _GAP
    sheet = np.full((2 * height + 3 * _GAP + 24, width, 3), 255, np.uint8)
    for column, index in enumerate(chosen):
        left = column * (_TILE_WIDTH + _GAP)
        label = f"{float(times[index][0]):.1f} s"
        cv2.putText(sheet, label, (left + 4, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (60, 60, 60), 1, cv2.LINE_AA)
    for row, clip in enumerate((before, after)):
        top = 24 + row * (height + _GAP)
        pictures = {frame.index: frame.image for frame in read_chosen(clip, chosen)}
        for column, index in enumerate(chosen):
            left = column * (_TILE_WIDTH + _GAP)
            tile = cv2.resize(pictures[index], (_TILE_WIDTH, height), interpolation=cv2.INTER_AREA)
            sheet[top : top + height, left : left + _TILE_WIDTH] = tile
    encoded = cv2.imencode(".png", sheet)[1]
    with atomic_file(target) as file:
        file.write(encoded.tobytes())
