"""Whether a result has its source's frames, times and sound, exactly. Pictures are not compared here."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from recaster.media.quality.model import Measure, at_most, equal
from recaster.media.video import MediaLimits, audio_digest, encoded_size, probe, read_times


def inspect_timing(source: Path, result: Path, *, limits: MediaLimits = MediaLimits()) -> tuple[Measure, ...]:
    """Compare two files frame by frame and byte by byte, exactly.

    Returns:
        `frame_count`, `frame_times_seconds` (largest distance between the times of frames with the same number),
        `duration_seconds` (distance between the durations), `audio_sha256` (over the coded sound; None = silent),
        `audio_start_seconds` is part of the container and not compared; `dimensions` (width, height as shown, odd sides
        rounded up to even as 4:2:0 demands) and `rotation` (a result is written upright).

    Raises:
        MediaInvalid: one of the files cannot be read.
    """
    source_facts, result_facts = probe(source, limits), probe(result, limits)
    source_times, result_times = read_times(source, limits=limits), read_times(result, limits=limits)
    distance = max(
        (abs(one[0] - other[0]) for one, other in zip(source_times, result_times, strict=False)), default=Fraction(0)
    )
    return (
        equal(
            "frame_count",
            len(result_times),
            len(source_times),
            f"The result has {len(result_times)} frames, the source {len(source_times)}.",
        ),
        at_most(
            "frame_times_seconds",
            float(distance),
            0.0,
            "Largest distance between the showing times of the same frame in source and result.",
        ),
        at_most(
            "duration_seconds",
            float(abs(source_facts.duration - result_facts.duration)),
            0.0,
            f"The result lasts {float(result_facts.duration):.6f} s, the source {float(source_facts.duration):.6f} s.",
        ),
        equal(
            "audio_sha256",
            audio_digest(result, limits=limits),
            audio_digest(source, limits=limits),
            "SHA-256 over the packets of the sound, which is copied and never encoded again.",
        ),
        equal(
            "dimensions",
            [result_facts.width, result_facts.height],
            list(encoded_size(source_facts)),
            "Width and height as shown; odd sides of the source are rounded up to even.",
        ),
        equal("rotation", result_facts.rotation, 0, "Degrees by which a player still has to turn the result."),
    )
