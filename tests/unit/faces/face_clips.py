"""Clips made of pictures, for the tests of the face room."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from recaster.media.video import ColorTags, Image, VideoFacts, VideoWriter

FRAMES = 24


def facts_of(image: Image, frames: int = FRAMES) -> VideoFacts:
    height, width = image.shape[:2]
    return VideoFacts(
        "mp4",
        "h264",
        width,
        height,
        0,
        Fraction(1, 24),
        Fraction(24),
        frames,
        Fraction(frames, 24),
        ColorTags(),
        None,
        1,
    )


def written(path: Path, pictures: list[Image]) -> Path:
    """Write pictures as a clip."""
    with VideoWriter(path, facts_of(pictures[0], len(pictures)), source=path) as writer:
        for index, image in enumerate(pictures):
            writer.write(image, index, 1)
    return path
