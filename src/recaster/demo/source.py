"""The demo's source clip: a synthetic person films herself in a park, with the overlays such videos have.

It is made from one selfie of the package `openpeople` by a moving hand-held camera and by turning the head in depth; the
overlays are burned in with the product's own drawing code and the sound is synthesised. Everything is deterministic.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from recaster.errors import NotInstalled
from recaster.infra.files import atomic_file
from recaster.media.faces import FaceDetector, FaceLandmarker, FaceModels
from recaster.media.overlays import SkiaTextDrawer, Slab, Stroke, TextLayout, TextStyle
from recaster.media.progress import Progress, silent
from recaster.media.video import ColorTags, Image, VideoFacts, VideoWriter, probe

Field = NDArray[np.float32]

SAMPLE_RATE = 44100


@dataclass(frozen=True, slots=True)
class _Overlay:
    text: str
    role: str
    first_second: float
    box: tuple[float, float, float, float]
    """As fractions of the frame."""
    size: float
    """As a fraction of the frame's height."""
    lines: int
    boxed: bool = False


_OVERLAYS = (
    _Overlay("3 things I wish I knew before meal prepping", "hook", 0.0, (0.08, 0.075, 0.92, 0.19), 0.037, 2),
    _Overlay("1. freeze the herbs", "list_item", 1.2, (0.08, 0.645, 0.70, 0.685), 0.03, 1),
    _Overlay("2. label every jar", "list_item", 2.8, (0.08, 0.700, 0.70, 0.740), 0.03, 1),
    _Overlay("3. cook once, eat twice", "list_item", 4.4, (0.08, 0.755, 0.78, 0.795), 0.03, 1),
    _Overlay("save this for later 📌", "call_to_action", 6.0, (0.20, 0.825, 0.80, 0.870), 0.03, 1, boxed=True),
)


def make_source_clip(
    pictures: Path,
    models: Mapping[str, Path],
    target: Path,
    *,
    seconds: int = 8,
    rate: int = 30,
    size: tuple[int, int] = (720, 1280),
    progress: Progress = silent,
) -> None:
    """Write the clip, and beside it `<name>.truth.json` with every overlay's text, frames and box.

    Args:
        pictures: a person's folder of `openpeople`; its `amateur_selfie.jpg` is used.
        models: model files by their names in the manifest.
        target: the MP4 file.
        seconds: length; overlays that would begin later are left out.
        rate: frames per second.
        size: width and height of the clip.
        progress: counts frames.

    Raises:
        NotInstalled: the selfie is not there.
    """
    selfie = cv2.imread(str(pictures / "amateur_selfie.jpg"))
    if selfie is None:
        raise NotInstalled(f"There is no amateur_selfie.jpg in {pictures}. Reinstall the package `openpeople`.")
    picture = np.asarray(selfie, np.uint8)
    scene = _Scene(picture, models, size)
    drawer = SkiaTextDrawer()
    count = seconds * rate
    overlays = [overlay for overlay in _OVERLAYS if overlay.first_second < seconds]
    layouts = [_layout(drawer, overlay, size) for overlay in overlays]
    starts = [round(overlay.first_second * rate) for overlay in overlays]
    grain = np.random.default_rng(7)
    with tempfile.TemporaryDirectory(prefix="recaster-demo-") as scratch:
        sound = Path(scratch) / "sound.mp4"
        _write_sound(sound, seconds)
        facts = _facts(probe(sound), size, rate, count)
        step = Fraction(1, rate) / facts.time_base
        with VideoWriter(target, facts, source=sound) as writer:
            for index in range(count):
                image = _grained(scene.picture(index / rate), grain)
                for layout, start in zip(layouts, starts, strict=True):
                    if index >= start:
                        image = drawer.draw(image, layout)
                writer.write(image, round(index * step), round((index + 1) * step) - round(index * step))
                progress(index + 1, count)
    truth = [
        {"text": overlay.text, "role": overlay.role, "firstFrame": start, "lastFrame": count - 1, "box": layout.box}
        for overlay, start, layout in zip(overlays, starts, layouts, strict=True)
    ]
    with atomic_file(target.with_suffix(".truth.json")) as file:
        file.write((json.dumps(truth, indent=1, ensure_ascii=False) + "\n").encode())


class _Scene:
    """The selfie as a shallow relief in front of a moving camera."""

    def __init__(self, picture: Image, models: Mapping[str, Path], size: tuple[int, int]) -> None:
        self._picture = picture
        self._size = size
        paths = FaceModels.of(models)
        box = FaceDetector(paths).find(picture)[0]
        points, _ = FaceLandmarker(paths).in_box(picture, box)
        self._centre = points[:, :2].mean(axis=0)
        self._height = float(np.ptp(points[:, 1]))
        rows, columns = np.indices(picture.shape[:2], np.float32)
        across = (columns - self._centre[0]) / (0.62 * self._height)
        down = (rows - self._centre[1]) / (0.78 * self._height)
        # A head is about an ellipsoid; it falls smoothly to nothing at hair, ears and neck.
        self._head = np.exp(-((across**2 + down**2) ** 1.5)).astype(np.float32)
        self._rows, self._columns = rows, columns

    def picture(self, second: float) -> Image:
        """The frame at a time: the head turns and nods a little, the camera breathes, drifts and pushes in."""
        turn = 0.055 * np.sin(0.9 * second) + 0.03 * np.sin(2.3 * second + 1)
        nod = 0.028 * np.sin(1.3 * second + 0.5) + 0.012 * np.sin(3.9 * second)
        speech = max(0.0, float(np.sin(5.1 * second) * np.sin(1.7 * second + 0.3)))
        shift_x = self._head * np.float32(turn * self._height)
        shift_y = self._head * np.float32(nod * self._height)
        jaw = np.clip((self._rows - self._centre[1]) / (0.5 * self._height), 0, 1) * self._head
        shift_y = shift_y + jaw * np.float32(0.035 * speech * self._height)
        moved = cv2.remap(
            self._picture,
            self._columns - shift_x,
            self._rows - shift_y,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
        width, height = self._size
        closer = 1.22 if second >= 5.0 else 1.0  # one jump cut to a tighter framing, as creators do
        scale = closer * (0.50 + 0.006 * second + 0.006 * np.sin(0.7 * second)) * height / self._height * 0.62
        angle = 0.9 * np.sin(1.1 * second) + 0.4 * np.sin(2.9 * second)
        x = self._centre[0] + self._height * (0.03 * np.sin(1.6 * second) + 0.012 * np.sin(4.3 * second))
        y = self._centre[1] + self._height * (0.27 + 0.025 * np.sin(2.1 * second + 1))
        matrix = cv2.getRotationMatrix2D((float(x), float(y)), float(angle), float(scale))
        matrix[:, 2] += np.array([width / 2 - x, 0.47 * height - y])
        blurred = cv2.GaussianBlur(moved, (0, 0), 0.4 / float(scale)) if scale < 0.8 else moved
        frame = cv2.warpAffine(blurred, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        light = 1.0 + 0.02 * np.sin(0.8 * second)
        return np.asarray(np.clip(frame.astype(np.float32) * light, 0, 255), np.uint8)


def _layout(drawer: SkiaTextDrawer, overlay: _Overlay, size: tuple[int, int]) -> TextLayout:
    width, height = size
    em = overlay.size * height
    style = TextStyle(
        font="tiktok-sans",
        weight=700,
        size=em,
        fill=(0, 0, 0) if overlay.boxed else (255, 255, 255),
        opacity=1.0,
        stroke=None if overlay.boxed else Stroke((0, 0, 0), 0.08 * em),
        shadow=None,
        slab=Slab((255, 255, 255), 1.0, 0.35 * em, 0.45 * em, 0.25 * em, True) if overlay.boxed else None,
        align="left" if overlay.role == "list_item" else "center",
        line_spacing=1.28,
        rotation=0.0,
    )
    left, top, right, bottom = overlay.box
    box = (left * width, top * height, right * width, bottom * height)
    return drawer.layout(overlay.text, style, box, size, max_lines=overlay.lines)


def _grained(image: Image, grain: np.random.Generator) -> Image:
    noise = grain.standard_normal((image.shape[0] // 2 + 1, image.shape[1] // 2 + 1)).astype(np.float32) * 2.0
    large = cv2.resize(noise, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(image.astype(np.float32) + large[..., None], 0, 255), np.uint8)


def _facts(sound: VideoFacts, size: tuple[int, int], rate: int, count: int) -> VideoFacts:
    return VideoFacts(
        container="mp4",
        codec="h264",
        width=size[0],
        height=size[1],
        rotation=0,
        time_base=sound.time_base,
        average_rate=Fraction(rate),
        frame_count=count,
        duration=Fraction(count, rate),
        color=ColorTags(1, 1, 1, False),
        audio=sound.audio,
        size_bytes=0,
    )


def _write_sound(target: Path, seconds: int) -> None:
    """Write a soft pad and a beat as AAC beside a tiny picture, because the writer copies sound from a video file."""
    time = np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
    chords = ((220.0, 277.18, 329.63), (196.0, 246.94, 293.66))
    pad = np.zeros_like(time)
    for number, chord in enumerate(chords):
        gate = ((time // 2).astype(int) % 2 == number) * (1 - np.exp(-8 * (time % 2)))
        pad += gate * sum(np.sin(2 * np.pi * tone * time) for tone in chord)
    beat = np.exp(-18 * (time % 0.5)) * np.sin(2 * np.pi * (70 + 60 * np.exp(-40 * (time % 0.5))) * time)
    sound = (0.05 * pad + 0.25 * beat).astype(np.float32)
    black = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="bgr24")
    with av.open(str(target), "w", format="mp4") as container:
        picture = container.add_stream("libx264", rate=30)
        picture.width = picture.height = 64
        picture.pix_fmt = "yuv420p"
        voice = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        for _ in range(seconds * 30):
            container.mux(picture.encode(black))
        for start in range(0, len(sound), 1024):
            frame = av.AudioFrame.from_ndarray(sound[None, start : start + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, start
            container.mux(voice.encode(frame))
        container.mux(voice.encode(None))
        container.mux(picture.encode(None))
