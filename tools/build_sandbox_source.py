#!/usr/bin/env python3
"""Builds the sandbox's source clip in `src/recaster/service/sandbox/` from pictures of a synthetic person.

It is run by hand when the clip shall change; neither the product nor the tests need it. The person is P006 of the package
`openpeople` (MIT); camera, overlays and sound are our own (`recaster.demo.source`).

    python tools/build_sandbox_source.py
"""

from __future__ import annotations

import sys
import tempfile
from importlib.metadata import distribution
from pathlib import Path

import av

from recaster.demo.source import make_source_clip
from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings

TARGET = Path(__file__).resolve().parent.parent / "src" / "recaster" / "service" / "sandbox" / "source.mp4"
SECONDS = 3
RATE = 24
SIZE = (540, 960)
CONSTANT_RATE_FACTOR = "30"


def main() -> int:
    """Build the clip."""
    pictures = Path(str(distribution("openpeople").locate_file("openpeople/data/curated/P006/assets")))
    models = ModelStore(Settings().folder("models"))
    files = models.paths()
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "large.mp4"
        make_source_clip(pictures, files, large, seconds=SECONDS, rate=RATE, size=SIZE)
        _pack(large, TARGET)
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")
    return 0


def _pack(source: Path, target: Path) -> None:
    """Encode the pictures anew in fewer bytes; the sound is copied."""
    with av.open(str(source)) as given, av.open(str(target), "w", options={"movflags": "faststart"}) as made:
        pictures = made.add_stream(
            "libx264", rate=RATE, options={"crf": CONSTANT_RATE_FACTOR, "preset": "veryslow", "threads": "1"}
        )
        pictures.width, pictures.height, pictures.pix_fmt = *SIZE, "yuv420p"
        sound = made.add_stream_from_template(given.streams.audio[0])
        for frame in given.decode(video=0):
            frame.pict_type = av.video.frame.PictureType.NONE
            made.mux(pictures.encode(frame))
        made.mux(pictures.encode())
        given.seek(0)
        for packet in given.demux(audio=0):
            if packet.dts is not None:
                packet.stream = sound
                made.mux(packet)


if __name__ == "__main__":
    sys.exit(main())
