"""Following, preparing and swapping faces, judged by what comes out: identity, untouched pixels, repeatability."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from face_clips import FRAMES, facts_of, written

from recaster.errors import FaceUnsuitable, InfluencerUnusable, NoFaceFound
from recaster.media.faces import (
    FaceAnalysis,
    FaceIdentifier,
    FaceModels,
    FaceTrack,
    MeshSwapper,
    Persona,
    inspect_reference,
    prepare_persona,
    similarity,
)
from recaster.media.faces.contours import EYES, OVAL
from recaster.media.faces.follow import follow_face
from recaster.media.faces.session import own_eyes
from recaster.media.video import Image

pytestmark = pytest.mark.unit


def analysis_of(frames: np.ndarray, landmarks: np.ndarray, height: float = 300.0) -> FaceAnalysis:
    embedding = np.eye(1, 128, dtype=np.float32)[0]
    track = FaceTrack("face1", frames.astype(np.int32), landmarks.astype(np.float32), embedding, height)
    return FaceAnalysis((track,), "face1")


def still(points: np.ndarray, frames: np.ndarray) -> FaceAnalysis:
    return analysis_of(frames, np.repeat(points[None], len(frames), axis=0))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, picture: Image) -> Path:
    return written(tmp_path_factory.mktemp("faces") / "still.mp4", [picture] * FRAMES)


def difference(one: Image, other: Image) -> float:
    return float(np.abs(one.astype(np.int16) - other).mean())


def test_a_swap_looks_more_like_the_persona_than_like_the_source(
    models: FaceModels, persona: Persona, picture: Image, points: np.ndarray, clip: Path
) -> None:
    identifier = FaceIdentifier(models)
    source = identifier.embed(picture, points)
    session = MeshSwapper(models).begin(persona, still(points, np.arange(3)), facts_of(picture), clip)
    swapped = identifier.embed(session.swap(picture, 1), points)
    assert similarity(source, persona.embedding) < 0.4
    assert similarity(swapped, persona.embedding) > similarity(swapped, source)
    assert session.swapped_frames == 1


def test_pixels_outside_the_face_and_the_given_image_stay_the_same(
    models: FaceModels, persona: Persona, picture: Image, points: np.ndarray, clip: Path
) -> None:
    session = MeshSwapper(models).begin(persona, still(points, np.arange(3)), facts_of(picture), clip)
    before = picture.copy()
    result = session.swap(picture, 1)
    oval = points[list(OVAL), :2]
    middle = oval.mean(axis=0)
    hull = cv2.convexHull(np.round(middle + (oval - middle) * 1.9).astype(np.int32))
    inside = cv2.dilate(cv2.fillConvexPoly(np.zeros(picture.shape[:2], np.uint8), hull, 1), np.ones((29, 29))) > 0
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(result[~inside], picture[~inside])
    assert (result[inside] != picture[inside]).any()


@pytest.mark.parametrize("width", [80, 240])
def test_open_eyes_are_the_personas_and_closed_or_turned_aside_the_sources(
    models: FaceModels, persona: Persona, picture: Image, points: np.ndarray, tmp_path: Path, width: int
) -> None:
    scale = width / float(np.ptp(points[:, 0]))
    seen = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    seen = seen[: seen.shape[0] // 2 * 2, : seen.shape[1] // 2 * 2]
    closed, aside, there = seen.copy(), seen.copy(), points * np.float32(scale)
    for eye in EYES:
        corners = np.round(there[list(eye), :2]).astype(np.int32)
        hull = cv2.convexHull(corners)
        # A lid over the eye: skin with a dark line where the lashes are.
        skin = [int(value) for value in seen[int(there[50, 1]), int(there[50, 0])]]
        cv2.fillConvexPoly(closed, hull, skin)
        ends = corners[[0, 8]] + np.array([0, 2], np.int32)
        cv2.line(closed, [int(one) for one in ends[0]], [int(one) for one in ends[1]], (20, 20, 20), 1)
        # A glance: what is inside the lids moves by a third of the eye.
        inside = cv2.fillConvexPoly(np.zeros(seen.shape[:2], np.uint8), hull, 1) > 0
        aside[inside] = np.roll(seen, round(0.33 * np.ptp(corners[:, 0])), axis=1)[inside]
    clip = written(tmp_path / "eyes.mp4", [seen] * 5 + [closed] * 5 + [seen] * 5 + [aside] * 4 + [seen] * 5)
    frames = np.arange(FRAMES)
    track = analysis_of(frames, np.repeat(there[None], FRAMES, axis=0)).tracks[0]
    shares = own_eyes(persona, follow_face(clip, track, facts_of(seen)))
    assert shares[[0, 12, 23]].min() > 0.8
    assert shares[6:9].max() < 0.1
    assert shares[16:18].max() < 0.2


def test_the_same_frames_give_the_same_pixels(
    models: FaceModels, persona: Persona, picture: Image, points: np.ndarray, clip: Path
) -> None:
    results = [
        MeshSwapper(models).begin(persona, still(points, np.arange(3)), facts_of(picture), clip).swap(picture, 1)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(results[0], results[1])


def test_a_repeated_frame_gets_the_same_face(
    models: FaceModels, persona: Persona, picture: Image, points: np.ndarray, clip: Path
) -> None:
    moving = np.stack([points + np.array([shift, 0, 0], np.float32) for shift in (0, 3, 6)])
    session = MeshSwapper(models).begin(persona, analysis_of(np.arange(3), moving), facts_of(picture), clip)
    first = session.swap(picture, 0)
    np.testing.assert_array_equal(session.swap(picture, 1), first)
    brighter = np.clip(picture.astype(np.int16) + 1, 0, 255).astype(np.uint8)
    assert (session.swap(brighter, 2) != first).any()


def test_a_hand_over_half_the_face_does_not_bring_the_source_back(
    models: FaceModels, persona: Persona, picture: Image, points: np.ndarray, tmp_path: Path
) -> None:
    count = 12
    low, high = points[:, :2].min(axis=0).astype(int), points[:, :2].max(axis=0).astype(int)
    half = (low[1] + high[1]) // 2
    covered = picture.copy()
    covered[half : high[1] + 20, low[0] - 20 : high[0] + 20] = (40, 160, 60)
    pictures = [covered if index >= 9 else picture for index in range(count)]
    written(tmp_path / "covered.mp4", pictures)
    track = still(points, np.arange(count))
    session = MeshSwapper(models).begin(persona, track, facts_of(picture, count), tmp_path / "covered.mp4")
    result = session.swap(covered, 10)
    brows = np.s_[int(points[[105, 334], 1].min()) : int(points[[105, 334], 1].max()) + 4, low[0] : high[0]]
    below = np.s_[half + 12 : high[1], low[0] : high[0]]
    assert difference(result[brows], covered[brows]) > 3
    assert difference(result[below], covered[below]) < 1


def test_the_swap_fades_out_towards_a_gap_and_is_absent_in_it(
    models: FaceModels, persona: Persona, picture: Image, points: np.ndarray, clip: Path
) -> None:
    frames = np.concatenate([np.arange(10), np.arange(14, FRAMES)])
    session = MeshSwapper(models).begin(persona, still(points, frames), facts_of(picture), clip)
    changes = [difference(session.swap(picture, index), picture) for index in (4, 6, 8, 9)]
    assert changes == sorted(changes, reverse=True)
    assert changes[-1] < 0.5 * changes[0]
    assert difference(session.swap(picture, 11), picture) == 0


def test_landmarks_are_not_averaged_over_a_cut(
    models: FaceModels, persona: Persona, picture: Image, points: np.ndarray, clip: Path, tmp_path: Path
) -> None:
    """The same person goes on after a jump cut at another place: the frames beside the cut must fit as all others do."""
    step = round(0.2 * float(np.ptp(points[:, 0])))
    cut_clip = written(tmp_path / "cut.mp4", [picture] * 12 + [np.roll(picture, step, axis=1)] * 12)
    moved = points + np.array([step, 0, 0], np.float32)
    landmarks = np.concatenate([np.repeat(points[None], 12, axis=0), np.repeat(moved[None], 12, axis=0)])
    cut = MeshSwapper(models).begin(persona, analysis_of(np.arange(FRAMES), landmarks), facts_of(picture), cut_clip)
    uncut = MeshSwapper(models).begin(persona, still(points, np.arange(FRAMES)), facts_of(picture), clip)
    assert difference(cut.swap(picture, 11), uncut.swap(picture, 11)) < 0.3


def test_a_clip_without_a_face_is_refused() -> None:
    with pytest.raises(NoFaceFound):
        FaceAnalysis((), None).require_on_camera()


def test_a_tiny_face_is_refused_with_the_figure(points: np.ndarray) -> None:
    with pytest.raises(FaceUnsuitable, match="20 pixels"):
        analysis_of(np.arange(1), points[None], height=20.0).require_on_camera()


def test_an_analysis_survives_saving(tmp_path: Path, points: np.ndarray) -> None:
    analysis = still(points, np.arange(5))
    analysis.save(tmp_path / "faces.npz")
    loaded = FaceAnalysis.load(tmp_path / "faces.npz")
    assert loaded.on_camera == "face1"
    np.testing.assert_array_equal(loaded.track("face1").landmarks, analysis.track("face1").landmarks)
    np.testing.assert_array_equal(loaded.track("face1").frames, np.arange(5))


def test_a_persona_survives_saving(tmp_path: Path, persona: Persona) -> None:
    persona.save(tmp_path / "persona.npz")
    loaded = Persona.load(tmp_path / "persona.npz")
    assert len(loaded.references) == len(persona.references) >= 1
    np.testing.assert_array_equal(loaded.embedding, persona.embedding)
    np.testing.assert_array_equal(loaded.references[0].image, persona.references[0].image)


def test_a_picture_without_a_face_is_refused_by_name(tmp_path: Path, models: FaceModels) -> None:
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((400, 300, 3), 128, np.uint8))
    with pytest.raises(InfluencerUnusable, match=r"wall\.png"):
        prepare_persona([tmp_path / "wall.png"], models)
    with pytest.raises(InfluencerUnusable, match=r"wall\.png"):
        inspect_reference(tmp_path / "wall.png", models)


def test_a_sheet_of_many_faces_is_no_reference(models: FaceModels, persona_pictures: Mapping[str, Path]) -> None:
    with pytest.raises(InfluencerUnusable, match="exactly one"):
        inspect_reference(persona_pictures["P006"] / "emotions_sheet.jpg", models)
    inspect_reference(persona_pictures["P006"] / "studio_portrait.jpg", models)
