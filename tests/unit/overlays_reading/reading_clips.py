"""Small clips with known text for the tests of reading: a moving texture, and text set over it or printed on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays import (
    Animation,
    OverlayLine,
    OverlayRole,
    OverlayTrack,
    RapidTextReader,
    ReaderSettings,
    SkiaTextDrawer,
    Slab,
    Stroke,
    TextModels,
    TextStyle,
    appearance,
)
from recaster.media.overlays.tesseract import ScriptReader
from recaster.media.video import Image, Shot, probe

OUTLINED = TextStyle(
    "montserrat", 800, 34.0, (255, 255, 255), 1.0, Stroke((0, 0, 0), 3.0), None, None, "center", 1.28, 0.0
)
STILL = Animation("none", 0)
BOXED = replace(OUTLINED, stroke=None, slab=Slab((0, 0, 0), 1.0, 8.0, 12.0, 5.0, True))


@dataclass(frozen=True)
class Words:
    """Text of a clip: what, when, where, and how it comes."""

    text: str
    first: int
    last: int
    y: float = 0.3
    style: TextStyle = OUTLINED
    entry: Animation = STILL
    sway: float = 0.0
    """Pixels that the text moves to the right per frame."""
    x: float = 0.0
    """Pixels to the right of the middle."""


def scenery(seed: int, width: int, height: int) -> Image:
    """Smooth noise, larger than the frame, for a camera to move over."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.uniform(0, 255, (height + 80, width + 80, 3)), (0, 0), 9)
    return np.clip((noise - noise.mean()) * 5 + 120, 0, 255).astype(np.uint8)


def frames(
    words: Sequence[Words],
    count: int,
    size: tuple[int, int] = (360, 640),
    seed: int = 1,
    printed: str = "",
    scene: Image | None = None,
) -> list[Image]:
    """Pictures of a clip; `printed` stands in the scene and moves with it. A given scene stands still."""
    width, height = size
    drawer = SkiaTextDrawer()
    world = scenery(seed, width, height)
    if printed:
        style = replace(OUTLINED, size=30.0, stroke=None)
        box = (60.0, 320.0, width - 20.0, 380.0)
        laid = drawer.layout(printed, style, box, (world.shape[1], world.shape[0]), max_lines=1)
        world = np.asarray(cv2.GaussianBlur(drawer.draw(world, laid), (0, 0), 1.2), np.uint8)
    out: list[NDArray[np.uint8]] = []
    for index in range(count):
        x, y = round(20 + 18 * np.sin(index / 4)), round(20 + 10 * np.cos(index / 5))
        out.append(np.ascontiguousarray(world[y : y + height, x : x + width]) if scene is None else scene.copy())
    for one in words:
        centre = one.y * height
        room = width / 2 - 10.0 - abs(one.x)
        middle = width / 2 + one.x
        place = (middle - room, centre - 40, middle + room, centre + 40)
        laid = drawer.layout(one.text, one.style, place, size, max_lines=1)
        line = OverlayLine(one.text, ((0, 0), (1, 0), (1, 1), (0, 1)), 1.0)
        offsets = tuple((one.sway * step, 0.0) for step in range(one.last - one.first + 1)) if one.sway else ()
        track = OverlayTrack(
            "ov1",
            (line,),
            one.first,
            one.last,
            one.last,
            laid.box,
            offsets,
            one.style,
            one.entry,
            Animation("none", 0),
            OverlayRole.TEXT,
            1.0,
        )
        for index in range(one.first, min(one.last, count - 1) + 1):
            look = appearance(track, index)
            assert look is not None
            out[index] = drawer.draw(out[index], laid, look)
    return out


def write(
    path: Path, pictures: Sequence[Image], rate: Fraction = Fraction(30), ticks: Sequence[int] | None = None
) -> Path:
    """Encode pictures; `ticks` are the times of the frames in thousandths of a second, for a variable rate."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "16", "preset": "veryfast", "threads": "1"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if ticks is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            if ticks is not None:
                frame.time_base, frame.pts = Fraction(1, 1000), ticks[index]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def make_reader(model_files: Mapping[str, Path], scripts: ScriptReader | None = None) -> RapidTextReader:
    """A reader on the installed models."""
    models = TextModels(model_files["text_detector"], model_files["text_recogniser"])
    return RapidTextReader(models, ReaderSettings(threads=1), scripts)


def read(reader: RapidTextReader, path: Path, cuts: Sequence[int] = ()) -> tuple[OverlayTrack, ...]:
    """Read a clip whose cuts are known."""
    facts = probe(path)
    bounds = [0, *cuts, facts.frame_count]
    shots = tuple(Shot(first, after - 1) for first, after in pairwise(bounds))
    return reader.read_clip(path, facts, shots)
