"""The demo's source clip: a synthetic person talks to her phone in a park, with the overlays such videos have.

She is brought to life from her own pictures in the package `openpeople` (`puppet`), says what the lists say (`voice`) and
holds the camera in her hand (`performance`). The overlays are burned in with the product's own drawing code. Nothing is
random: the same pictures give the same bytes.
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

from recaster.demo.performance import SPEECH, pose_at, view_at
from recaster.demo.puppet import Puppet
from recaster.demo.voice import SAMPLE_RATE
from recaster.infra.files import atomic_file
from recaster.media.overlays import SkiaTextDrawer, Slab, Stroke, TextLayout, TextStyle
from recaster.media.progress import Progress, silent
from recaster.media.video import ColorTags, Image, VideoFacts, VideoWriter, probe


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
        pictures: a person's folder of `openpeople`; its selfie and its sheet of expressions are used.
        models: model files by their names in the manifest.
        target: the MP4 file.
        seconds: length; overlays that would begin later are left out.
        rate: frames per second.
        size: width and height of the clip.
        progress: counts frames.

    Raises:
        NotInstalled: a picture is not there, or does not show what it should.
    """
    scene = _Scene(Puppet(pictures, models), size)
    drawer = SkiaTextDrawer()
    count = seconds * rate
    overlays = [overlay for overlay in _OVERLAYS if overlay.first_second < seconds]
    layouts = [_layout(drawer, overlay, size) for overlay in overlays]
    starts = [round(overlay.first_second * rate) for overlay in overlays]
    with tempfile.TemporaryDirectory(prefix="recaster-demo-") as scratch:
        sound = Path(scratch) / "sound.mp4"
        _write_sound(sound, seconds)
        facts = _facts(probe(sound), size, rate, count)
        step = Fraction(1, rate) / facts.time_base
        with VideoWriter(target, facts, source=sound) as writer:
            for index in range(count):
                image = scene.picture(index / rate, index)
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
    """Person and background before the camera."""

    def __init__(self, puppet: Puppet, size: tuple[int, int]) -> None:
        self._puppet = puppet
        self._size = size
        low, high = puppet.points[:, :2].min(axis=0), puppet.points[:, :2].max(axis=0)
        self._face = (float(low[0] + high[0]) / 2, float(low[1] + high[1]) / 2, float(high[1] - low[1]))
        # A sensor's grain: one large sheet of it, of which every frame shows another part.
        chance = np.random.default_rng(7)
        noise = chance.standard_normal((size[1] // 2 + 80, size[0] // 2 + 80)).astype(np.float32) * 2.0
        large = cv2.resize(noise, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
        brighter, darker = np.clip(large, 0, None), np.clip(-large, 0, None)
        self._grain = [cv2.merge([np.rint(part).astype(np.uint8)] * 3) for part in (brighter, darker)]
        self._places = chance.integers(0, 160, (97, 2))

    def picture(self, second: float, index: int) -> Image:
        """The frame at a time, with the grain of its index."""
        view = view_at(second, self._face, self._size)
        person = self._puppet.draw(pose_at(second), view.person, self._size)
        frame = cv2.warpAffine(
            self._puppet.background, view.background, self._size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        uncovered = cv2.bitwise_not(cv2.extractChannel(person, 3))
        cv2.multiply(frame, cv2.merge([uncovered, uncovered, uncovered]), dst=frame, scale=1 / 255)
        cv2.add(frame, cv2.cvtColor(person, cv2.COLOR_BGRA2BGR), dst=frame)
        frame = cv2.convertScaleAbs(frame, alpha=1.0 + 0.015 * float(np.sin(0.8 * second)))  # clouds
        left, top = self._places[index % len(self._places)]
        brighter, darker = (part[top : top + self._size[1], left : left + self._size[0]] for part in self._grain)
        return np.asarray(cv2.subtract(cv2.add(frame, brighter), darker), np.uint8)


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
    """Write voice, pad and beat as AAC beside a tiny picture, because the writer copies sound from a video file."""
    time = np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
    chords = ((220.0, 277.18, 329.63), (196.0, 246.94, 293.66))
    pad = np.zeros_like(time)
    for number, chord in enumerate(chords):
        gate = ((time // 2).astype(int) % 2 == number) * (1 - np.exp(-8 * (time % 2)))
        pad += gate * sum(np.sin(2 * np.pi * tone * time) for tone in chord)
    beat = np.exp(-18 * (time % 0.5)) * np.sin(2 * np.pi * (70 + 60 * np.exp(-40 * (time % 0.5))) * time)
    sound = (0.025 * pad + 0.12 * beat + 0.6 * SPEECH.sound(seconds)).astype(np.float32)
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
