"""The networks of the face room: where faces are, where their 468 points are, and whose face it is.

It knows single pictures only. Model files are handed in as paths and opened when an object is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from recaster.media.faces.mesh import Points
from recaster.media.video.model import Image

Embedding = NDArray[np.float32]
"""Unit vector of 128 numbers; the cosine of two tells whether they are one person (SFace's usual threshold is 0.363)."""
FaceBox = tuple[float, float, float, float]

LEFT_EYE, RIGHT_EYE, NOSE, LEFT_MOUTH, RIGHT_MOUTH = (33, 133), (362, 263), 4, 61, 291
_TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
"""Where eyes, nose and mouth corners stand in the 112x112 picture that SFace was trained on (ArcFace alignment)."""
_CROP = 192
_FRAME_SIDE = 640
_PICTURE_SIDES = (1400, 1000, 640)
"""The quantized detector overlooks a face at one size that it finds at the next."""


@dataclass(frozen=True, slots=True)
class FaceModels:
    """Paths of the model files. Whoever hands them over has checked their hashes."""

    detector: Path
    embedder: Path
    landmarks: Path
    hand_detector: Path | None = None
    """Without it, and `hand_landmarks`, hands before the face are told by colour alone."""
    hand_landmarks: Path | None = None

    @classmethod
    def of(cls, files: Mapping[str, Path]) -> FaceModels:
        """Choose the files of this room out of all, by their names in the manifest."""
        return cls(
            detector=files["face_detector"],
            embedder=files["face_embedder"],
            landmarks=files["face_landmarks"],
            hand_detector=files["hand_detector"],
            hand_landmarks=files["hand_landmarks"],
        )


def find_faces(image: Image, models: FaceModels) -> tuple[FaceBox, ...]:
    """Boxes of all faces in a BGR picture of any size, largest first: left, top, right, bottom in pixels."""
    return FaceDetector(models).find_thoroughly(image)


class FaceDetector:
    """YuNet (Wu et al., 2023) through OpenCV."""

    def __init__(self, models: FaceModels, threshold: float = 0.7) -> None:
        self._net = cv2.FaceDetectorYN.create(str(models.detector), "", (320, 320), threshold, 0.3, 50)

    def find(self, image: Image) -> tuple[FaceBox, ...]:
        """Boxes of all faces, largest first, looked for at one size: for frames of a clip."""
        return self._at(image, _FRAME_SIDE)

    def find_thoroughly(self, image: Image) -> tuple[FaceBox, ...]:
        """Boxes of all faces, largest first, looked for at several sizes: for single pictures and sheets of many faces."""
        found: list[FaceBox] = []
        for side in _PICTURE_SIDES:
            for box in self._at(image, side):
                if all(overlap(box, known) < 0.3 for known in found):
                    found.append(box)
        return tuple(sorted(found, key=_area, reverse=True))

    def _at(self, image: Image, longest: int) -> tuple[FaceBox, ...]:
        scale = min(1.0, longest / max(image.shape[:2]))
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
        self._net.setInputSize((small.shape[1], small.shape[0]))
        _, found = self._net.detect(small)
        if found is None:
            return ()
        boxes = [tuple(float(value) / scale for value in row[:4]) for row in found]
        corners = [(x, y, x + width, y + height) for x, y, width, height in boxes]
        return tuple(sorted(corners, key=_area, reverse=True))


def overlap(one: FaceBox, other: FaceBox) -> float:
    """Area both boxes share over the area they cover together, 0–1."""
    width, height = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (_area(one) + _area(other) - shared)


def _area(box: FaceBox) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


class FaceLandmarker:
    """MediaPipe's face mesh (Kartynnik et al., 2019): 468 points of one face in a roughly known place."""

    def __init__(self, models: FaceModels, threads: int = 1) -> None:
        # Measured: a second thread costs twice the time of the processor and is no sooner done; the points are the same.
        self._net = Interpreter(model_path=str(models.landmarks), num_threads=threads)
        self._net.allocate_tensors()
        self._input = self._net.get_input_details()[0]["index"]
        outputs = self._net.get_output_details()
        self._points = next(entry["index"] for entry in outputs if int(np.prod(entry["shape"])) == 1404)
        self._presence = next(entry["index"] for entry in outputs if int(np.prod(entry["shape"])) == 1)

    def in_box(self, image: Image, box: FaceBox) -> tuple[Points, float]:
        """Points of the face in a detector's box, after two rounds, and how sure the network is (0–1)."""
        left, top, right, bottom = box
        side = 1.5 * max(right - left, bottom - top)
        points, _ = self._run(image, ((left + right) / 2, (top + bottom) / 2), side, 0.0)
        return self.near(image, points)

    def near(self, image: Image, before: Points) -> tuple[Points, float]:
        """Points of a face whose points in the frame before, or in a first round, are known."""
        eyes = before[list(RIGHT_EYE), :2].mean(axis=0) - before[list(LEFT_EYE), :2].mean(axis=0)
        angle = float(np.arctan2(eyes[1], eyes[0]))
        low, high = before[:, :2].min(axis=0), before[:, :2].max(axis=0)
        return self._run(image, tuple((low + high) / 2), 1.5 * float((high - low).max()), angle)

    def _run(self, image: Image, centre: tuple[float, float], side: float, angle: float) -> tuple[Points, float]:
        scale = _CROP / max(side, 1.0)
        cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
        matrix = np.array([[cos, sin, 0], [-sin, cos, 0]], np.float64)
        matrix[:, 2] = _CROP / 2 - matrix[:, :2] @ np.array(centre)
        crop = cv2.warpAffine(image, matrix, (_CROP, _CROP), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        rgb = cv2.cvtColor(crop, cv2.COLOR_BGR2RGB).astype(np.float32) / 255.0
        self._net.set_tensor(self._input, rgb[None])
        self._net.invoke()
        raw = self._net.get_tensor(self._points).reshape(468, 3)
        score = float(self._net.get_tensor(self._presence).reshape(-1)[0])
        presence = 1.0 / (1.0 + np.exp(-score))
        back = cv2.invertAffineTransform(matrix)
        points = np.empty((468, 3), np.float32)
        points[:, :2] = raw[:, :2] @ back[:, :2].T + back[:, 2]
        points[:, 2] = raw[:, 2] / scale
        return points, float(presence)


class FaceIdentifier:
    """SFace (Zhong et al., 2021): turns a face into a vector that says whose it is."""

    def __init__(self, models: FaceModels, threads: int = 2) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # The weights are stored in eight bits and multiplied as floats: unpacked once, and not again for each face.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        content = without_stray_inputs(models.embedder.read_bytes())
        self._net = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._input = self._net.get_inputs()[0].name

    def embed(self, image: Image, landmarks: Points) -> Embedding:
        """Vector of the face at `landmarks` (frame pixels) in a BGR picture."""
        eyes = [landmarks[list(pair), :2].mean(axis=0) for pair in (LEFT_EYE, RIGHT_EYE)]
        five = np.array([*eyes, landmarks[NOSE, :2], landmarks[LEFT_MOUTH, :2], landmarks[RIGHT_MOUTH, :2]], np.float32)
        matrix, _ = cv2.estimateAffinePartial2D(five, _TEMPLATE, method=cv2.LMEDS)
        if matrix is None:
            matrix = np.eye(2, 3)
        face = cv2.warpAffine(image, matrix, (112, 112), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        blob = cv2.cvtColor(face, cv2.COLOR_BGR2RGB).astype(np.float32).transpose(2, 0, 1)[None]
        vector = self._net.run(None, {self._input: np.ascontiguousarray(blob)})[0].reshape(-1)
        return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), np.float32)


def similarity(one: Embedding, other: Embedding) -> float:
    """Cosine of two embeddings, −1 to 1."""
    return float(np.dot(one, other))


def without_stray_inputs(model: bytes) -> bytes:
    """Drop all but the first input of an ONNX model's graph.

    The published SFace file lists its weights as inputs too, which ONNX Runtime refuses for quantized weights. The file
    is a protocol buffer: field 7 of the model is the graph, field 11 of the graph are its inputs (onnx.proto).
    """
    parts = []
    for field, whole, payload in _fields(model):
        if field == 7:
            graph, seen = [], False
            for inner, entry, _ in _fields(payload):
                if inner == 11 and seen:
                    continue
                seen = seen or inner == 11
                graph.append(entry)
            body = b"".join(graph)
            parts.append(b"\x3a" + _varint(len(body)) + body)
        else:
            parts.append(whole)
    return b"".join(parts)


def _fields(buffer: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Field number, encoded field and its payload, for each top-level field of a protocol buffer."""
    position = 0
    while position < len(buffer):
        start = position
        key, position = _read_varint(buffer, position)
        kind, payload = key & 7, b""
        if kind == 0:
            _, position = _read_varint(buffer, position)
        elif kind == 2:
            length, position = _read_varint(buffer, position)
            payload = buffer[position : position + length]
            position += length
        else:
            position += 8 if kind == 1 else 4
        yield key >> 3, buffer[start:position], payload


def _read_varint(buffer: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
