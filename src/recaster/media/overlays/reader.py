"""What every reader of burned-in text offers. No method of reading lives here."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from recaster.media.overlays.model import OverlayLine, OverlayTrack
from recaster.media.progress import Progress, silent
from recaster.media.video.model import Image, Shot, VideoFacts
from recaster.media.video.reader import FrameReader, read_frames


class TextReader(Protocol):
    """Finds burned-in text in clips and pictures."""

    def read_clip(
        self,
        path: Path,
        facts: VideoFacts,
        shots: tuple[Shot, ...],
        progress: Progress = silent,
        *,
        frames: FrameReader = read_frames,
    ) -> tuple[OverlayTrack, ...]:
        """All burned-in overlays of the clip at `path`, in order of first frame, then from top to bottom.

        Text that belongs to the scene (a shirt, a sign) is not among them. `progress` counts frames. The pictures are
        taken from `frames`, once from the first to the last, so that others can look at them on their way. Raises
        `MediaInvalid` if the file cannot be decoded and `Cancelled` if `progress` does.
        """
        ...

    def read_image(self, image: Image) -> tuple[OverlayLine, ...]:
        """Every line of text in one BGR picture, burned-in or not, from top to bottom."""
        ...
