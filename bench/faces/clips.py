"""Synthetic clips of synthetic people, with exact truth: what stands in front of the face, who is who, where it is cut.

The actor is the demo's puppet: a selfie moved by what the person's other pictures show. It shares nothing with the swapper but the
landmark network and pictures of the same ten people; it speaks, smiles, blinks, looks about, raises and draws its brows and turns.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from people import PEOPLE, picture_of

from recaster.demo.puppet import Pose, Puppet
from recaster.media.faces import FaceLandmarker, FaceModels
from recaster.media.faces.mesh import poses_of
from recaster.media.video import ColorTags, Image, VideoFacts, VideoWriter

HAND = Path(__file__).resolve().parent / "hand.png"
_HAND_SKIN = np.array([118.0, 148.0, 196.0])
_BLINKS = (0.28, 0.86, 1.3, 1.9)


@dataclass(frozen=True)
class Scene:
    """What a clip shows."""

    name: str
    face_width: float
    """Pixels."""
    size: tuple[int, int] = (720, 1280)
    seconds: float = 1.6
    rate: int = 30
    light: float = 1.0
    noise: float = 1.6
    wears: str = ""
    """`thick` or `thin` glasses."""
    wall: str = ""
    """`poster`: a picture of P007 hangs there; `phone`: a telephone shows P007 speaking."""
    passes: str = ""
    """`dark` or `skin`: a bar of that colour passes the mouth; `hand mouth`, `hand brow`, `hand chin` (fingertips only), `microphone`."""
    beside: str = ""
    """Another person of `openpeople`, smaller, at the side."""
    cut: float = 0.0
    """Second from which the camera is nearer and the light another."""
    late: float = 0.0
    """Second from which the actor walks in; nobody is there before."""
    mirrored: bool = False
    turned: bool = False
    """Stored lying on its side, upright by its display matrix only."""


@dataclass(frozen=True)
class _Layer:
    """Something drawn before everything else, BGR and opacity 0–1."""

    color: np.ndarray
    opacity: np.ndarray


class Clips:
    """Makes clips; people are prepared once.

    Args:
        models: network files by name.
    """

    def __init__(self, models: Mapping[str, Path]) -> None:
        self._files = models
        self._landmarker = FaceLandmarker(FaceModels.of(models), threads=1)
        self._people: dict[str, Puppet] = {}

    def write(self, scene: Scene, actor: str, target: Path) -> None:
        """Write a clip as MP4 and, if something hides the face, what does in each frame as `<name>.hidden.npz`."""
        width, height = scene.size
        count = round(scene.seconds * scene.rate)
        stored = (height, width) if scene.turned else scene.size
        facts = VideoFacts(
            "mp4", "h264", *stored, 0, Fraction(1, scene.rate * 512), Fraction(scene.rate), count,
            Fraction(count, scene.rate), ColorTags(1, 1, 1, False), None, 0,
        )  # fmt: skip
        grain = np.random.default_rng(11)
        hidden = []
        with VideoWriter(target, facts, source=target) as writer:
            for index in range(count):
                image, front = self._frame(scene, actor, index / scene.rate)
                if front is not None:
                    hidden.append(np.packbits(front, axis=1))
                noise = grain.standard_normal((height // 2 + 1, width // 2 + 1)).astype(np.float32) * scene.noise
                large = cv2.resize(noise, None, fx=2, fy=2)[:height, :width]
                light = scene.light * (1 + 0.03 * np.sin(2.1 * index / scene.rate))
                light *= 0.82 if scene.cut and index / scene.rate >= scene.cut else 1.0
                lit = np.clip(image.astype(np.float32) * np.float32(light) + large[..., None], 0, 255).astype(np.uint8)
                lit = lit[:, ::-1] if scene.mirrored else lit
                lit = cv2.rotate(lit, cv2.ROTATE_90_COUNTERCLOCKWISE) if scene.turned else lit
                writer.write(np.ascontiguousarray(lit), index * 512, 512)
        if scene.turned:
            _lay_on_side(target)
        if hidden:
            np.savez_compressed(target.with_suffix(".hidden.npz"), hidden=np.stack(hidden), width=width)

    def _puppet(self, name: str) -> Puppet:
        if name not in self._people:
            self._people[name] = Puppet(PEOPLE / name / "assets", self._files)
        return self._people[name]

    def _frame(self, scene: Scene, actor: str, second: float) -> tuple[Image, np.ndarray | None]:
        """The frame without noise, and where something stands before the actor's face."""
        width, height = scene.size
        puppet = self._puppet(actor)
        near = 1.3 if scene.cut and second >= scene.cut else 1.0
        aim = np.array([0.5 * width, 0.42 * height])
        if scene.beside:
            aim[0] = 0.33 * width
        sway = scene.face_width * np.array([0.10 * np.sin(1.7 * second), 0.05 * np.sin(2.2 * second)])
        if scene.late:
            sway[0] += 1.4 * width * max(0.0, scene.late + 0.4 - second)
        points = puppet.points
        scale = near * scene.face_width / float(np.ptp(points[:, 0]))
        camera = _camera(puppet, scale, aim + sway)
        behind = _camera(puppet, 1.04 * scale, aim + 0.3 * sway * (not scene.late))
        image = cv2.warpAffine(
            puppet.background, behind, scene.size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT
        )
        if scene.wall == "poster":
            side = round(0.30 * width)
            image[20 : 20 + side, 20 : 20 + side] = cv2.resize(
                picture_of("P007"), (side, side), interpolation=cv2.INTER_AREA
            )
        if scene.wall == "phone":
            self._put_phone(image, second)
        if scene.beside:
            other = self._puppet(scene.beside)
            size = 0.62 * scene.face_width / float(np.ptp(other.points[:, 0]))
            place = np.array([0.82 * width, 0.36 * height])
            _lay(image, other.draw(pose_at(second + 0.7), _camera(other, size, place), scene.size))
        if scene.late and second < scene.late:
            return image, None
        _lay(image, puppet.draw(pose_at(second), camera, scene.size))
        if not scene.wears and not scene.passes:
            return image, None
        seen = self._seen(image, points[:, :2] @ camera[:, :2].T + camera[:, 2])
        layer = (
            _glasses(image, seen, thin=scene.wears == "thin")
            if scene.wears
            else _passing(image, seen, second / scene.seconds, scene.passes)
        )
        share = layer.opacity[..., None]
        image = np.round(image * (1 - share) + layer.color * share).astype(np.uint8)
        return image, layer.opacity > 0.99

    def _seen(self, image: Image, about: np.ndarray) -> np.ndarray:
        """Landmarks of the drawn actor, as the rigid mean face: what is worn must not follow each tremble of a lip."""
        flat = np.concatenate([about, np.zeros((len(about), 1))], axis=1).astype(np.float32)
        found, _ = self._landmarker.near(image, flat)
        found, _ = self._landmarker.near(image, found)
        pose = poses_of(found[None])
        shape = pose.removed(found[None])[0]
        return np.asarray(pose.scale[0] * shape @ pose.turn[0].T + pose.shift[0], np.float32)

    def _put_phone(self, image: Image, second: float) -> None:
        """A telephone that shows P007 speaking, held into the picture at the left."""
        across = round(0.26 * image.shape[1])
        tall = round(1.9 * across)
        puppet = self._puppet("P007")
        size = (across - 12, tall - 24)
        camera = _camera(
            puppet, 0.55 * size[0] / float(np.ptp(puppet.points[:, 0])), np.array([0.5 * size[0], 0.45 * size[1]])
        )
        screen = cv2.warpAffine(puppet.background, camera, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)
        _lay(screen, puppet.draw(pose_at(second + 0.4), camera, size))
        image[16 : 16 + tall, 16 : 16 + across] = (22, 20, 20)
        image[28 : 28 + size[1], 22 : 22 + size[0]] = screen


def pose_at(second: float) -> Pose:
    """What an actor does at a time: all that is measured moves within a second and a half."""
    jaw = 0.75 * max(0.0, float(np.sin(9 * second) * np.sin(2.3 * second + 0.4)))
    return Pose(
        yaw=0.21 * float(np.sin(3.1 * second)),
        pitch=0.07 * float(np.sin(2.7 * second + 1)) + 0.03 * jaw,
        roll=0.05 * float(np.sin(1.9 * second)),
        open=jaw,
        wide=0.5 * float(np.sin(5.3 * second)) * jaw,
        smile=0.9 * max(0.0, float(np.sin(2.6 * second - 0.8))),
        brows=float(np.clip(0.9 * np.sin(4.3 * second - 1.2), -0.5, 0.9)),
        blink=max(_blink(second - start) for start in _BLINKS),
        gaze=(0.05 * float(np.sin(2.9 * second)), 0.0),
    )


def _blink(since: float) -> float:
    """Lids fall in 0.09 seconds, stay for 0.05 and rise in 0.16."""
    if since < 0 or since > 0.30:
        return 0.0
    part = since / 0.09 if since < 0.09 else 1.0 if since < 0.14 else (0.30 - since) / 0.16
    return float(part * part * (3 - 2 * part))


def _camera(puppet: Puppet, scale: float, aim: np.ndarray) -> np.ndarray:
    """Affine map from the stage to the frame that puts the face's middle at a place."""
    middle = (puppet.points[:, :2].min(axis=0) + puppet.points[:, :2].max(axis=0)) / 2
    return np.array(
        [[scale, 0, aim[0] - scale * middle[0]], [0, scale, aim[1] - scale * middle[1]]], np.float64
    )  # fmt: skip


def _lay(image: Image, layer: np.ndarray) -> None:
    """Put a picture with premultiplied opacity over another, in place."""
    uncovered = (255 - layer[..., 3:].astype(np.float32)) / 255
    image[:] = np.clip(np.round(image * uncovered + layer[..., :3]), 0, 255).astype(np.uint8)


def _lay_on_side(path: Path) -> None:
    """Set the video track's display matrix to a quarter turn clockwise (ISO/IEC 14496-12, 8.3.2: `tkhd`, version 0)."""
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4
    if content[start] != 0:
        raise ValueError(f"The track header of {path} has version {content[start]}, not 0.")
    one = 1 << 16
    content[start + 40 : start + 76] = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(content)


def _empty(image: Image) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(image.shape, np.float32), np.zeros(image.shape[:2], np.uint8)


def _glasses(image: Image, points: np.ndarray, thin: bool) -> _Layer:
    """Round frames with bridge and arms: thick and dark, or thin and of metal."""
    unit = float(np.linalg.norm(points[33, :2] - points[263, :2]))
    thick = max(1, round((0.011 if thin else 0.032) * unit))
    color, mask = _empty(image)
    color[:] = (118, 124, 132) if thin else (30, 28, 28)
    for outer, inner, low, ear in ((33, 133, 119, 127), (263, 362, 348, 356)):
        centre = (points[outer, :2] + points[inner, :2]) / 2 * 0.8 + 0.2 * points[low, :2]
        axes = (0.26 * unit, 0.2 * unit)
        cv2.ellipse(mask, _fine(centre), _fine(axes), 0, 0, 360, 255, thick, cv2.LINE_AA, 4)
        side = np.sign(points[outer, 0] - points[inner, 0])
        cv2.line(
            mask, _fine(centre + np.array([side * axes[0], -0.02 * unit])), _fine(points[ear, :2]), 255, thick,
            cv2.LINE_AA, 4,
        )  # fmt: skip
    cv2.line(mask, _fine(points[193, :2]), _fine(points[417, :2]), 255, thick, cv2.LINE_AA, 4)
    return _Layer(color, mask.astype(np.float32) / 255)


def _passing(image: Image, points: np.ndarray, share: float, kind: str) -> _Layer:
    """What passes in front of the face at a share of the clip."""
    unit = float(np.ptp(points[:, 0]))
    cheeks = np.mean([image[y, x] for x, y in points[[50, 280], :2].astype(int)], axis=0)
    color, mask = _empty(image)
    if kind.startswith("hand"):
        return _hand(image, points, share, kind, cheeks)
    if kind == "microphone":
        # A thin stand from below with a round head before the chin, now and then before the lower lip.
        top = points[152, :2] + np.array(
            [0.05 * unit * np.sin(5 * share), -0.16 * unit * (0.5 + 0.5 * np.sin(7 * share))]
        )
        color[:] = (46, 44, 44)
        cv2.circle(mask, _fine(top), round(0.075 * unit * 16), 255, -1, cv2.LINE_AA, 4)
        cv2.line(
            mask,
            _fine(top),
            _fine(top + np.array([0.02 * unit, 1.6 * unit])),
            255,
            max(3, round(0.035 * unit)),
            cv2.LINE_AA,
            4,
        )
        return _Layer(color, mask.astype(np.float32) / 255)
    x = points[:, 0].min() + unit * (1.6 * share - 0.3)
    y = float(points[13, 1])
    box = np.array([[x - 0.1 * unit, y - 0.25 * unit], [x + 0.1 * unit, y - 0.2 * unit],
                    [x + 0.16 * unit, y + 1.5 * unit], [x - 0.06 * unit, y + 1.5 * unit]])  # fmt: skip
    color[:] = (35, 30, 32) if kind == "dark" else cheeks
    cv2.fillConvexPoly(mask, np.round(box * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    return _Layer(color, mask.astype(np.float32) / 255)


def _hand(image: Image, points: np.ndarray, share: float, kind: str, skin: np.ndarray) -> _Layer:
    """The actor's hand comes from below, rests before the mouth or the brow, and goes; in the actor's own skin and light."""
    hand = np.asarray(cv2.imread(str(HAND), cv2.IMREAD_UNCHANGED), np.float32)
    unit = float(np.ptp(points[:, 0]))
    # A hand is about as long as a face is wide and a quarter.
    scale = 1.2 * unit / (0.55 * hand.shape[0])
    reach = np.clip(1.6 * np.sin(np.pi * share) ** 3, 0, 1)
    goal = {"hand mouth": points[13, :2], "hand brow": points[105, :2], "hand chin": points[199, :2]}[kind]
    # The fingers' middle, in the hand's own picture, meets the goal.
    grip = np.array([0.52 * hand.shape[1], (0.1 if kind == "hand chin" else 0.26) * hand.shape[0]])
    away = np.array([0.5 * unit, 2.2 * unit]) * (1 - reach) + 0.03 * unit * np.array(
        [np.sin(9 * share), np.cos(7 * share)]
    )
    angle = np.radians(-12 if kind == "hand brow" else 24) + 0.1 * np.sin(5 * share)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.column_stack([linear, goal + away - linear @ grip])
    # The forearm goes on to the edge of the frame.
    longer = cv2.copyMakeBorder(hand, 0, 900, 0, 0, cv2.BORDER_REPLICATE)
    size = (image.shape[1], image.shape[0])
    drawn = cv2.warpAffine(longer, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    opacity = drawn[..., 3] / 255
    color = np.clip(drawn[..., :3] / np.maximum(opacity, 1e-3)[..., None] * (skin / _HAND_SKIN), 0, 255)
    return _Layer(color.astype(np.float32), opacity.astype(np.float32))


def _fine(point: np.ndarray | tuple[float, float]) -> tuple[int, int]:
    """A place in sixteenths of a pixel, as OpenCV draws with `shift` 4."""
    return round(float(point[0]) * 16), round(float(point[1]) * 16)
