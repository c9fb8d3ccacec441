"""Cuts: found where the scene changes, not where it flashes or moves."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from video_clips import Picture, make_clip, scenery

from recaster.errors import Cancelled
from recaster.media.video import find_shots, probe

pytestmark = pytest.mark.unit


def clip_of(path: Path, scenes: list[tuple[int, int]]) -> Path:
    """Scenes as (seed, frames); seed -1 is white, -2 black."""
    plan = [seed for seed, frames in scenes for _ in range(frames)]

    def picture(number: int, width: int, height: int) -> Picture:
        seed = plan[number]
        if seed < 0:
            return np.full((height, width, 3), 255 if seed == -1 else 0, np.uint8)
        return scenery(number, width, height, seed)

    return make_clip(path, frames=len(plan), picture=picture)


@pytest.mark.parametrize(
    ("scenes", "starts"),
    [
        ([(1, 30)], [0]),
        ([(1, 1)], [0]),
        ([(1, 20), (2, 20)], [0, 20]),
        ([(1, 12), (2, 6), (3, 15), (4, 9)], [0, 12, 18, 33]),
        ([(1, 15), (-1, 1), (1, 15)], [0]),
        ([(1, 15), (-1, 3), (1, 15)], [0]),
        ([(1, 15), (-2, 2), (1, 15)], [0]),
        ([(1, 15), (-1, 1), (1, 2), (-1, 1), (1, 15)], [0]),
        ([(1, 15), (-1, 2), (2, 15)], [0, 15]),
        ([(1, 20), (2, 2)], [0]),
        ([(1, 2), (2, 20)], [0]),
    ],
)
def test_shots(tmp_path: Path, scenes: list[tuple[int, int]], starts: list[int]) -> None:
    path = clip_of(tmp_path / "clip.mp4", scenes)
    shots = find_shots(path, probe(path))
    assert [shot.first_frame for shot in shots] == starts
    assert shots[-1].last_frame == sum(frames for _, frames in scenes) - 1
    for before, after in pairwise(shots):
        assert after.first_frame == before.last_frame + 1


def test_progress_counts_frames_and_may_cancel(tmp_path: Path) -> None:
    path = clip_of(tmp_path / "clip.mp4", [(1, 20)])
    heard: list[tuple[int, int]] = []
    find_shots(path, probe(path), lambda done, total: heard.append((done, total)))
    assert heard == [(number, 20) for number in range(1, 21)]

    def cancel(done: int, total: int) -> None:
        if done == 5:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        find_shots(path, probe(path), cancel)
