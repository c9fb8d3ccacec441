"""The two PP-OCR networks (where is text, what does it say), run on ONNX Runtime with bounded threads.

This module knows pictures and lines, not clips: no tracking, no roles, no style. The model files are handed in as
paths; nothing is downloaded and nothing is loaded before an object is made. The small amount of pre- and
post-processing is our own: the recogniser then also tells where along the line each character stands, and the
detector can be run on a part of a frame at any scale.

Sources of the methods: DB text detection (Liao et al., AAAI 2020) for the detector's box rules; connectionist temporal
classification (Graves et al., ICML 2006) with best-path decoding for the recogniser.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from recaster.errors import ModelMissing
from recaster.media.video.model import Image

_LEAST_GAP = 0.12
"""Probability from which there is a gap between two words, if nothing else is read there."""

_MOST_REMEMBERED = 1000

Quad = NDArray[np.float32]
"""Corners of a line, shape (4, 2), x and y in pixels: top left, top right, bottom right, bottom left in reading
direction."""


@dataclass(frozen=True, slots=True)
class TextModels:
    """Paths of the model files. Whoever hands them over has checked their hashes."""

    detector: Path
    """PP-OCR detector: input (1, 3, 32m, 32n), BGR scaled to −1…1; output a probability map of the same size."""
    recogniser: Path
    """PP-OCR recogniser: input (b, 3, 48, w), BGR scaled to −1…1; its metadata holds the list of characters."""


def _session(path: Path, threads: int, *, arena: bool) -> ort.InferenceSession:
    if not path.is_file():
        raise ModelMissing(f"The text model {path.name} is not at its place. Run the set-up of the models again.")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = arena
    # Workers that spin between calls burn the CPU time that the decoder needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _blob(image: Image) -> NDArray[np.float32]:
    scaled = image.astype(np.float32) * (2.0 / 255.0) - 1.0
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])


@dataclass(frozen=True, slots=True, eq=False)
class DetectedLine:
    """One line found by the detector: padded corners in pixels of the picture it was given, and the mean probability."""

    quad: Quad
    score: float


class LineDetector:
    """Finds lines of text of any script in a picture."""

    def __init__(
        self, model: Path, *, threads: int = 2, threshold: float = 0.3, box_threshold: float = 0.5, unclip: float = 1.6
    ) -> None:
        # Getting its large maps from the system anew each time would cost the detector a quarter of its time.
        self._session = _session(model, threads, arena=True)
        self._input = self._session.get_inputs()[0].name
        self._threshold = threshold
        self._box_threshold = box_threshold
        self._unclip = unclip

    def detect(self, image: Image, scale: float, least_score: float | None = None) -> tuple[DetectedLine, ...]:
        """All lines in `image` (BGR), worked on at `scale` times its size, from top to bottom.

        `least_score` is the mean probability that a line needs, where it is not to be the detector's own.
        """
        least_score = self._box_threshold if least_score is None else least_score
        height, width = image.shape[:2]
        work_width = max(32, round(width * scale / 32) * 32)
        work_height = max(32, round(height * scale / 32) * 32)
        interpolation = cv2.INTER_AREA if work_width < width else cv2.INTER_LINEAR
        small = cv2.resize(image, (work_width, work_height), interpolation=interpolation)
        probability = self._session.run(None, {self._input: _blob(np.asarray(small, np.uint8))})[0][0, 0]
        stretch = np.array([width / work_width, height / work_height], np.float32)
        limit = np.array([width - 1, height - 1], np.float32)
        bitmap = cv2.dilate((probability > self._threshold).astype(np.uint8), np.ones((2, 2), np.uint8))
        contours, _ = cv2.findContours(bitmap, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        found = []
        for contour in contours:
            centre, size, angle = cv2.minAreaRect(contour)
            if min(size) < 3:
                continue
            corners = cv2.boxPoints((centre, size, angle))
            score = _mean_inside(probability, np.asarray(corners, np.float32))
            if score < least_score:
                continue
            grow = size[0] * size[1] * self._unclip / (2 * (size[0] + size[1]))
            grown = cv2.boxPoints((centre, (size[0] + 2 * grow, size[1] + 2 * grow), angle))
            quad = np.clip(order_corners(np.asarray(grown, np.float32)) * stretch, 0, limit).astype(np.float32)
            if min(np.linalg.norm(quad[1] - quad[0]), np.linalg.norm(quad[3] - quad[0])) > 4:
                found.append(DetectedLine(quad, score))
        return tuple(sorted(found, key=lambda line: (float(line.quad[:, 1].mean()), float(line.quad[:, 0].mean()))))


def _mean_inside(probability: NDArray[np.float32], corners: NDArray[np.float32]) -> float:
    left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int)
    part = probability[top : bottom + 1, left : right + 1]
    if part.size == 0:
        return 0.0
    mask = np.zeros(part.shape, np.uint8)
    cv2.fillPoly(mask, [np.round(corners - [left, top]).astype(np.int32)], 1)
    return float(cv2.mean(part, mask)[0])


def order_corners(corners: NDArray[np.float32]) -> Quad:
    """Corners of a rotated rectangle, shape (4, 2), in the order of `Quad`, for text nearer to level than to upright."""
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    left = by_x[:2][np.argsort(by_x[:2, 1], kind="stable")]
    right = by_x[2:][np.argsort(by_x[2:, 1], kind="stable")]
    return np.asarray([left[0], right[0], right[1], left[1]], np.float32)


def straighten(image: Image, quad: Quad, height: int = 48) -> Image:
    """The picture inside `quad`, turned level and scaled to `height` pixels."""
    across = max(float(np.linalg.norm(quad[1] - quad[0])), float(np.linalg.norm(quad[2] - quad[3])), 1.0)
    down = max(float(np.linalg.norm(quad[3] - quad[0])), float(np.linalg.norm(quad[2] - quad[1])), 1.0)
    width = max(8, round(across * height / down))
    target = np.asarray([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(np.ascontiguousarray(quad, np.float32), target)
    flat = cv2.warpPerspective(
        image,
        matrix,
        (width, height),
        flags=cv2.INTER_CUBIC if down < height else cv2.INTER_AREA,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(flat, np.uint8)


@dataclass(frozen=True, slots=True)
class ReadText:
    """What one line says."""

    text: str
    confidence: float
    """Mean probability of its characters, 0–1; 0 for an empty line."""
    positions: tuple[float, ...]
    """Centre of each character along the line, 0 = left end, 1 = right end."""
    certainties: tuple[float, ...]
    """Probability of each character."""


class LineRecogniser:
    """Reads straightened line pictures."""

    def __init__(self, model: Path, *, threads: int = 2) -> None:
        # Line crops come in many widths; an arena would keep the largest of each for ever and gain nothing.
        self._session = _session(model, threads, arena=False)
        self._input = self._session.get_inputs()[0].name
        listed = self._session.get_modelmeta().custom_metadata_map.get("character")
        if listed is None:
            raise ModelMissing(
                f"The text model {model.name} carries no list of characters, so its output cannot be turned into letters. "
                "Use the recogniser named in the model manifest."
            )
        self._alphabet = ["", *listed.splitlines(), " "]
        self._gap = len(self._alphabet) - 1
        self._known: dict[bytes, ReadText] = {}

    def read(self, lines: Sequence[Image]) -> tuple[ReadText, ...]:
        """Texts of `lines`, each a BGR picture 48 pixels high (see `straighten`), in the same order.

        A line that was sighted once is cut alike for the first look and for the last: one in ten pictures comes twice, and
        what was read of it is remembered.
        """
        return tuple(self._remembered(line) for line in lines)

    def _remembered(self, line: Image) -> ReadText:
        key = hashlib.blake2b(line.tobytes(), digest_size=16).digest()
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            known = self._known[key] = self._read_one(line)
        return known

    def _read_one(self, line: Image) -> ReadText:
        width = line.shape[1]
        # The network was trained on lines of at least 320 pixels, padded with mid grey (0 after scaling).
        blob = np.zeros((1, 3, 48, max(320, -(-width // 32) * 32)), np.float32)
        blob[..., :width] = _blob(line)
        output = self._session.run(None, {self._input: blob})[0][0]
        best = output.argmax(axis=1)
        keep = (best != 0) & np.concatenate([[True], best[1:] != best[:-1]])
        steps = np.flatnonzero(keep)
        gaps = self._narrow_gaps(output, best, steps)
        confidence = float(output[steps, best[steps]].mean()) if len(steps) else 0.0
        best[gaps] = self._gap
        steps = np.sort(np.concatenate([steps, gaps]).astype(np.intp))
        text = "".join(self._alphabet[best[step]] for step in steps)
        certainties = tuple(float(output[step, best[step]]) for step in steps)
        scale = blob.shape[3] / len(best) / width
        positions = tuple(min(1.0, float((step + 0.5) * scale)) for step in steps)
        return ReadText(text, confidence, positions, certainties)

    def _narrow_gaps(
        self, output: NDArray[np.float32], best: NDArray[np.intp], steps: NDArray[np.intp]
    ) -> NDArray[np.intp]:
        """Steps between two letters where a gap is likely though nothing is likelier: heavy type sets words close.

        Within words the network gives a gap less than one in a hundred, between them hardly ever so little.
        """
        found = []
        for step, following in itertools.pairwise(steps.tolist()):
            if self._gap in (best[step], best[following]) or following - step < 2:
                continue
            between = output[step + 1 : following, self._gap]
            if float(between.max()) >= _LEAST_GAP:
                found.append(step + 1 + int(between.argmax()))
        return np.asarray(found, np.intp)
