"""The demo's person moves as she is told: measured on her drawn pictures by the landmark network, which knows nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from recaster.demo.performance import SPEECH, pose_at, view_at
from recaster.demo.puppet import Pose, Puppet
from recaster.demo.voice import SAMPLE_RATE
from recaster.errors import NotInstalled
from recaster.media.faces import FaceDetector, FaceLandmarker, FaceModels

pytestmark = pytest.mark.unit

SIZE = (360, 640)
Measure = Callable[[Pose], np.ndarray]


@pytest.fixture(scope="module")
def puppet(model_files: Mapping[str, Path], persona_pictures: Mapping[str, Path]) -> Puppet:
    return Puppet(persona_pictures["P006"], model_files)


@pytest.fixture(scope="module")
def camera(puppet: Puppet) -> np.ndarray:
    low, high = puppet.points[:, :2].min(axis=0), puppet.points[:, :2].max(axis=0)
    return view_at(0.0, (*((low + high) / 2), float(high[1] - low[1])), SIZE).person


@pytest.fixture(scope="module")
def measure(puppet: Puppet, camera: np.ndarray, model_files: Mapping[str, Path]) -> Measure:
    """Landmarks of the face that is seen when the person takes a pose."""
    models = FaceModels.of(model_files)
    detector, landmarker = FaceDetector(models), FaceLandmarker(models)

    def points(pose: Pose) -> np.ndarray:
        picture = np.ascontiguousarray(puppet.draw(pose, camera, SIZE)[..., :3])
        return landmarker.in_box(picture, detector.find(picture)[0])[0]

    return points


def gap(points: np.ndarray, one: int, other: int) -> float:
    return float(np.linalg.norm(points[one, :2] - points[other, :2]) / np.linalg.norm(points[33, :2] - points[263, :2]))


def mouth(points: np.ndarray) -> float:
    return gap(points, 13, 14)


def eye_boxes(puppet: Puppet, camera: np.ndarray) -> list[tuple[slice, slice]]:
    places = puppet.points[:, :2] @ camera[:, :2].T + camera[:, 2]
    boxes = []
    for eye in ((33, 133, 159, 145), (263, 362, 386, 374)):
        (left, top), (right, bottom) = places[list(eye)].min(axis=0), places[list(eye)].max(axis=0)
        boxes.append((slice(int(top), int(bottom) + 2), slice(int(left), int(right) + 2)))
    return boxes


def test_the_jaw_opens_as_far_as_it_is_told(measure: Measure) -> None:
    closed, half, wide = (mouth(measure(Pose(open=amount))) for amount in (0.0, 0.5, 1.0))
    assert closed < 0.06
    assert closed + 0.04 < half < wide - 0.02


def test_a_blink_hides_iris_and_white_behind_the_lids(puppet: Puppet, camera: np.ndarray, measure: Measure) -> None:
    rest, shut = puppet.draw(Pose(), camera, SIZE), puppet.draw(Pose(blink=1.0), camera, SIZE)
    for box in eye_boxes(puppet, camera):
        # The network sees closed lids badly, the picture does not: dark iris beside white is much contrast, skin is little.
        before, after = (np.ptp(np.percentile(picture[box][..., :3].mean(axis=2), (5, 95))) for picture in (rest, shut))
        assert after < 0.65 * before
    assert abs(mouth(measure(Pose(blink=1.0))) - mouth(measure(Pose()))) < 0.03


def test_a_smile_draws_the_corners_of_the_mouth_apart(measure: Measure) -> None:
    assert gap(measure(Pose(smile=0.9)), 61, 291) > 1.15 * gap(measure(Pose()), 61, 291)


def test_a_turn_moves_the_nose_between_the_cheeks(measure: Measure) -> None:
    def side(points: np.ndarray) -> float:
        return float((points[4, 0] - points[234, 0]) / (points[454, 0] - points[234, 0]))

    left, middle, right = (side(measure(Pose(yaw=yaw))) for yaw in (-0.2, 0.0, 0.2))
    assert left < middle - 0.08
    assert right > middle + 0.08


def test_a_glance_moves_irises_and_leaves_the_face(puppet: Puppet, camera: np.ndarray) -> None:
    ahead, aside = (puppet.draw(Pose(gaze=(shift, 0.0)), camera, SIZE).astype(int) for shift in (1e-6, 0.06))
    changed = np.abs(ahead - aside).max(axis=-1) > 3
    allowed = np.zeros(changed.shape, bool)
    for rows, columns in eye_boxes(puppet, camera):
        allowed[rows.start - 3 : rows.stop + 3, columns.start - 3 : columns.stop + 3] = True
    assert changed.sum() > 50
    assert not (changed & ~allowed).any()


def test_shoulders_stay_when_the_head_turns(puppet: Puppet, camera: np.ndarray) -> None:
    rest, turned = (puppet.draw(Pose(yaw=yaw), camera, SIZE)[520:].astype(int) for yaw in (0.0, 0.2))
    assert np.abs(rest - turned).mean() < 1.0


def test_what_is_behind_her_shows_nobody(puppet: Puppet, model_files: Mapping[str, Path]) -> None:
    models = FaceModels.of(model_files)
    assert FaceDetector(models).find(puppet.background) == ()


def test_no_movement_jumps_from_frame_to_frame() -> None:
    poses = [pose_at(index / 30) for index in range(240)]
    for field, most in (
        ("yaw", 0.05),
        ("pitch", 0.05),
        ("roll", 0.02),
        ("open", 0.26),
        ("smile", 0.15),
        ("brows", 0.2),
    ):
        steps = np.abs(np.diff([getattr(pose, field) for pose in poses]))
        assert steps.max() < most, field
        assert steps.max() > 0, field
    assert all(0 <= pose.blink <= 1 and 0 <= pose.open <= 1 for pose in poses)


def test_the_mouth_opens_in_time_with_the_voice() -> None:
    times = np.arange(240) / 30
    sound = SPEECH.sound(8)
    assert sound.shape == (8 * SAMPLE_RATE,)
    assert float(np.abs(sound).max()) <= 1.0
    loud = [float(np.sqrt(np.mean(part**2))) for part in np.split(sound, 240)]
    opening = [pose_at(float(second)).open for second in times]
    likeness = {shift: np.corrcoef(loud, np.roll(opening, shift))[0, 1] for shift in range(-6, 7)}
    assert likeness[0] > 0.5
    assert abs(max(likeness, key=likeness.__getitem__)) <= 1, "frames that the lips are early or late"
    assert min(likeness[-6], likeness[6]) < likeness[0] - 0.2


def test_a_sheet_without_the_expressions_is_said(
    tmp_path: Path, model_files: Mapping[str, Path], persona_pictures: Mapping[str, Path]
) -> None:
    (tmp_path / "amateur_selfie.jpg").write_bytes((persona_pictures["P006"] / "amateur_selfie.jpg").read_bytes())
    cv2.imwrite(str(tmp_path / "emotions_sheet.jpg"), np.full((448, 600, 3), 90, np.uint8))
    with pytest.raises(NotInstalled, match="surprised"):
        Puppet(tmp_path, model_files)
