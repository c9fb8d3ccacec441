"""Cuts a clip into shots. It looks at tiny pictures only and says nothing about what they show.

PySceneDetect's adaptive content detector (Castellano; https://www.scenedetect.com/docs/) proposes cuts: a frame whose
change in hue, saturation and brightness stands out from its neighbours' by a ratio, which quick camera moves do not.
Then cuts that only a flash made are withdrawn: where the picture after a short run is the picture before it, nothing
was cut.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scenedetect import FrameTimecode
from scenedetect.detectors import AdaptiveDetector

from recaster.media.progress import Progress, silent
from recaster.media.video.model import Image, MediaLimits, Shot, VideoFacts
from recaster.media.video.reader import read_proxies

_PROXY_LONG_SIDE = 160
_SIGNATURE = (16, 16)
# A flash, a lost frame or a strobe lasts a few frames; anything longer that differs is a shot.
_LONGEST_FLASH = 4
_SHORTEST_SHOT = 4
# Mean absolute difference of two signatures (0-255) below which they show the same scene.
_SAME_SCENE = 22.0

_Signature = NDArray[np.int16]


def find_shots(
    path: Path, facts: VideoFacts, progress: Progress = silent, *, limits: MediaLimits = MediaLimits()
) -> tuple[Shot, ...]:
    """Find the shots of a clip.

    Returns:
        Shots without gaps from frame 0 to the last one, each at least 4 frames long unless the clip is shorter. A clip
        without cuts is one shot.

    Raises:
        MediaInvalid: a frame cannot be decoded.
    """
    detector = AdaptiveDetector(min_scene_len=0)
    rate = float(facts.average_rate)
    cuts: set[int] = set()
    signatures: list[_Signature] = []
    timecode = FrameTimecode(0, rate)
    for frame in read_proxies(path, _proxy_size(facts), limits=limits):
        timecode = FrameTimecode(frame.index, rate)
        cuts.update(int(cut.frame_num) for cut in detector.process_frame(timecode, frame.image))
        signatures.append(_signature(frame.image))
        progress(frame.index + 1, facts.frame_count)
    cuts.update(int(cut.frame_num) for cut in detector.post_process(timecode))
    bounds = [0, *_true_cuts(sorted(cuts), signatures), len(signatures)]
    return tuple(Shot(first, after - 1) for first, after in pairwise(bounds))


def _true_cuts(cuts: list[int], signatures: list[_Signature]) -> list[int]:
    kept: list[int] = []
    index = 0
    while index < len(cuts):
        cut = cuts[index]
        # The furthest cut near this one after which the old picture is back: all between them was a flash.
        back = next(
            (
                later
                for later in range(len(cuts) - 1, index, -1)
                if cuts[later] - cut <= _LONGEST_FLASH
                and cut > 0
                and _difference(signatures[cut - 1], signatures[cuts[later]]) < _SAME_SCENE
            ),
            None,
        )
        if back is not None:
            index = back + 1
            continue
        if cut >= _SHORTEST_SHOT and len(signatures) - cut >= _SHORTEST_SHOT:
            if kept and cut - kept[-1] < _SHORTEST_SHOT:
                # A glimpse between two scenes belongs to the second one.
                pass
            else:
                kept.append(cut)
        index += 1
    return kept


def _signature(image: Image) -> _Signature:
    return cv2.resize(image, _SIGNATURE, interpolation=cv2.INTER_AREA).astype(np.int16)


def _difference(one: _Signature, other: _Signature) -> float:
    return float(np.abs(one - other).mean())


def _proxy_size(facts: VideoFacts) -> tuple[int, int]:
    scale = min(1.0, _PROXY_LONG_SIDE / max(facts.width, facts.height))
    return (max(16, round(facts.width * scale)), max(16, round(facts.height * scale)))
