"""What was read, line by line and in seconds: the form in which readers of overlays are scored. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from recaster.media.overlays.model import OverlayTrack


def prediction(tracks: Sequence[OverlayTrack], times: Sequence[tuple[Fraction, Fraction]]) -> dict[str, Any]:
    """One entry per line of text, in the tracks' order.

    Args:
        tracks: as `TextReader.read_clip` returns them.
        times: start and duration of every frame in seconds (`recaster.media.video.read_times`).

    Returns:
        `{"tracks": [{"text", "start_s", "end_s", "polygon", "role", "track", "confidence"}]}`; the polygon is the one of
        the track's reference frame in pixels, the end is the moment at which the last frame leaves the screen.
    """
    origin = times[0][0]
    return {
        "tracks": [
            {
                "text": line.text,
                "start_s": round(float(times[track.first_frame][0] - origin), 4),
                "end_s": round(float(sum(times[track.last_frame]) - origin), 4),
                "polygon": [[round(x, 1), round(y, 1)] for x, y in line.polygon],
                "role": track.role.value,
                "track": track.id,
                "confidence": round(line.confidence, 3),
            }
            for track in tracks
            for line in track.lines
        ]
    }
