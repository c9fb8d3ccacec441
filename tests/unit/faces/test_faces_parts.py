"""The parts of the swap one by one: geometry, light, shape, following, occluders, and what is said about a face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from face_clips import facts_of, written

from recaster.errors import InvalidInput
from recaster.media.faces import FaceAnalysis, FaceLandmarker, FaceModels, FaceTrack, judge, prepare_persona
from recaster.media.faces.blend import silhouette
from recaster.media.faces.contours import OVAL
from recaster.media.faces.expressions import reference_weights
from recaster.media.faces.finish import edge_spread, finish_for, grain_level, grain_of, roughness, usual_finish
from recaster.media.faces.follow import follow_face
from recaster.media.faces.hands import HandFinder, hands_mask
from recaster.media.faces.light import facing_texels, fit_brightness, luma, relight, skin_texels
from recaster.media.faces.mesh import (
    drawn_from_layout,
    extended,
    face_mesh,
    layout_map,
    poses_of,
    rasterised,
    texture_map,
    unwrapped,
)
from recaster.media.faces.networks import FaceDetector
from recaster.media.faces.occlusion import hidden_share, hidden_texels
from recaster.media.faces.reshape import REACH, Reshaper, held_landmarks, shape_offsets
from recaster.media.faces.suitability import hair_over_turns, hair_texels, kept_texels, look_of
from recaster.media.video import Image
from recaster.remix.analysis import SourceAnalysis
from recaster.remix.measuring import measure
from recaster.service.recommendations.remixability import assess

pytestmark = pytest.mark.unit


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    y, x, z = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return about_z @ about_x @ about_y


@pytest.mark.parametrize("angles", [(0, 0, 0), (20, 0, 0), (0, 15, 0), (0, 0, -30), (12, -8, 5)])
def test_pose_is_found_again(angles: tuple[float, float, float]) -> None:
    shape = face_mesh().shape
    moved = (140 * shape @ rotation(*angles).T + [300, 400, 10]).astype(np.float32)
    pose = poses_of(moved[None])
    assert pose.scale[0] == pytest.approx(140, rel=1e-3)
    turn = rotation(*angles)
    np.testing.assert_allclose(pose.turn[0], turn, atol=1e-3)
    np.testing.assert_allclose(pose.removed(moved[None])[0], shape, atol=1e-3)


def test_triangles_are_drawn_where_opencv_draws_them() -> None:
    corners = np.array([[5.2, 4.1], [40.7, 12.3], [18.4, 47.9]], np.float32)
    owner, weights = rasterised(corners, np.array([[0, 1, 2]], np.int32), (60, 60))
    expected = cv2.fillConvexPoly(np.zeros((60, 60), np.uint8), np.round(corners * 16).astype(np.int32), 1, shift=4)
    inside = cv2.erode(expected, np.ones((3, 3))) > 0
    outside = cv2.dilate(expected, np.ones((3, 3))) == 0
    assert (owner[inside] == 0).all()
    assert (owner[outside] == -1).all()
    rows, columns = np.nonzero(owner == 0)
    places = weights[rows, columns] @ corners
    assert np.abs(places - np.stack([columns, rows], axis=1)).max() < 1


def test_a_face_drawn_from_its_own_texture_is_the_face(picture: Image, points: np.ndarray) -> None:
    layout, on_mesh = layout_map(points, picture.shape[:2])
    drawn = drawn_from_layout(unwrapped(picture, points, 512), layout)
    inside = cv2.erode(on_mesh.astype(np.uint8), np.ones((9, 9))) > 0
    assert inside.sum() > 20_000
    assert np.abs(drawn[inside].astype(int) - picture[inside]).mean() < 4


def test_colours_go_on_beyond_what_is_known() -> None:
    texture = np.zeros((64, 64, 3), np.uint8)
    known = np.zeros((64, 64), bool)
    known[20:44, 20:44] = True
    texture[known] = (30, 90, 150)
    filled = extended(texture, known)
    np.testing.assert_array_equal(filled[known], texture[known])
    assert np.abs(filled.astype(int) - (30, 90, 150)).max() <= 2


def test_another_light_and_tone_are_taken_over(picture: Image, points: np.ndarray) -> None:
    own = unwrapped(picture, points, 80)
    side = np.linspace(0.5, 1.1, 80, dtype=np.float32)[None, :, None]
    target = np.clip(own * side * np.array([1.15, 0.95, 0.85]), 0, 255).astype(np.uint8)
    skin = skin_texels(80)
    light = fit_brightness(luma(target), luma(own), skin)
    lit = relight(target, own, skin, light).applied(own)
    before = np.abs(own.astype(int) - target)[skin > 0].mean()
    after = np.abs(lit.astype(int) - target)[skin > 0].mean()
    assert after < 0.2 * before


def test_a_portraits_own_shade_is_not_drawn_into_another_light(picture: Image, points: np.ndarray) -> None:
    """A pale patch on the forehead of the persona's picture is no part of her face."""
    own = unwrapped(picture, points, 80)
    patched = own.astype(np.float32)
    x, y = (int(value) for value in face_mesh().layout[151] * 80)
    spot = np.zeros((80, 80), np.float32)
    cv2.circle(spot, (x, y), 7, 1.0, -1)
    patched += 45 * cv2.GaussianBlur(spot, (0, 0), 3)[..., None]
    shiny = np.clip(patched, 0, 255).astype(np.uint8)
    skin = skin_texels(80)
    lit = relight(own, shiny, skin, fit_brightness(luma(own), luma(shiny), skin)).applied(shiny)
    before, after = (float(np.abs(luma(one) - luma(own))[spot > 0].mean()) for one in (shiny, lit))
    assert before > 25
    assert after < 0.25 * before


def test_lips_differ_less_from_pale_skin_than_from_strong(picture: Image, points: np.ndarray) -> None:
    """Hazy footage has little colour: lips and brows must not be blue in it because their skin was orange."""
    own = unwrapped(picture, points, 80)
    gray = luma(own)[..., None]
    pale = np.clip(gray + 0.25 * (own - gray), 0, 255).astype(np.uint8)
    skin = skin_texels(80)
    lit = relight(pale, own, skin, fit_brightness(luma(pale), luma(own), skin))
    assert lit.color == pytest.approx(0.25, abs=0.06)
    x, y = (int(value) for value in face_mesh().layout[0] * 80)
    lips = lit.applied(own)[y - 1 : y + 2, x - 2 : x + 3].astype(float).mean(axis=(0, 1))
    expected = pale[y - 1 : y + 2, x - 2 : x + 3].astype(float).mean(axis=(0, 1))
    assert np.abs((lips - lips.mean()) - (expected - expected.mean())).max() < 5


@pytest.mark.parametrize("spread", [1.0, 1.6, 2.4])
def test_the_softness_of_edges_is_measured(picture: Image, points: np.ndarray, spread: float) -> None:
    mask = np.zeros(picture.shape[:2], np.float32)
    low, high = points[:, :2].min(axis=0).astype(int), points[:, :2].max(axis=0).astype(int)
    mask[low[1] : high[1], low[0] : high[0]] = 1
    soft, softer = (cv2.GaussianBlur(picture, (0, 0), one) for one in (spread, float(np.hypot(spread, 1.5))))
    grown = edge_spread(softer, mask) ** 2 - edge_spread(soft, mask) ** 2
    assert np.sqrt(grown) == pytest.approx(1.5, rel=0.35)


def test_grain_holds_noise_and_no_lines() -> None:
    noise = np.random.default_rng(3).normal(0, 4, (80, 80, 1)).repeat(3, axis=2)
    picture = np.clip(120 + noise, 0, 255).astype(np.uint8)
    picture[:, 40] = 10
    level = grain_level(picture, np.ones((80, 80), np.float32))
    assert 2 < level < 5
    grain = grain_of(picture, 2.5 * level)
    assert grain[:, :35].std() == pytest.approx(level, rel=0.2)
    assert np.abs(grain).max() <= 2.5 * level


def test_skin_becomes_as_rough_as_the_footages_and_edges_as_soft() -> None:
    noise = np.random.default_rng(7).normal(0, 1, (160, 160, 1)).astype(np.float32)
    face = np.full((160, 160, 3), 140, np.float32)
    mask, skin = np.ones((160, 160), np.float32), np.ones((160, 160), np.float32)
    for top in (20, 70, 120):  # brows and lips
        face[top : top + 10, 10:150] = 20
        skin[top - 8 : top + 18] = 0
    for rough, pores in ((2.0, 0.5), (0.6, 2.5)):
        footage = np.clip(cv2.GaussianBlur(face, (0, 0), 2.0) + rough * noise, 0, 255).astype(np.uint8)
        drawn = np.asarray(cv2.GaussianBlur(face, (0, 0), 1.0) + pores * noise[::-1], np.float32)
        finish = finish_for(drawn, footage, mask, skin, may_sharpen=True)
        done = finish.applied(drawn, footage, skin)
        assert 0.7 < roughness(done, skin) / roughness(footage, skin) < 1.4
        assert edge_spread(done, mask) == pytest.approx(edge_spread(footage, mask), rel=0.25)
    assert usual_finish([]).applied(drawn, footage, skin) is drawn


def test_bending_moves_the_face_and_leaves_the_surroundings_alone(picture: Image, points: np.ndarray) -> None:
    target = points.copy()
    oval = points[list(OVAL), :2]
    middle = oval.mean(axis=0)
    target[:, :2] = middle + (points[:, :2] - middle) * np.array([0.94, 1.0])
    marked = picture.copy()
    cheek = points[454, :2].round().astype(int)
    cv2.circle(marked, (int(cheek[0]), int(cheek[1])), 4, (255, 0, 255), -1)
    bent = Reshaper().bend(marked, points, target)
    pink = np.argwhere((bent[..., 0] > 200) & (bent[..., 1] < 90) & (bent[..., 2] > 200)).mean(axis=0)[::-1]
    np.testing.assert_allclose(pink, target[454, :2], atol=1.5)
    hull = cv2.convexHull(np.round(middle + (oval - middle) * (REACH + 0.1)).astype(np.int32))
    far = cv2.fillConvexPoly(np.zeros(picture.shape[:2], np.uint8), hull, 1) == 0
    np.testing.assert_array_equal(bent[far], marked[far])


def test_what_pulls_the_chin_does_not_bend_the_surroundings(picture: Image, points: np.ndarray) -> None:
    pulled = points.copy()
    pulled[list(OVAL[12:25]), 1] += 90
    oval = points[list(OVAL), :2]
    middle = oval.mean(axis=0)
    hull = cv2.convexHull(np.round(middle + (oval - middle) * (REACH + 0.12)).astype(np.int32))
    far = cv2.fillConvexPoly(np.zeros(picture.shape[:2], np.uint8), hull, 1) == 0
    bent = Reshaper().bend(picture, pulled, pulled + np.float32(3), points)
    np.testing.assert_array_equal(bent[far], picture[far])
    assert (Reshaper().bend(picture, pulled, pulled + np.float32(3))[far] != picture[far]).any()


def test_closed_eyes_and_lips_stay_closed_when_the_shape_changes() -> None:
    shape = face_mesh().shape
    other = shape * np.array([1.1, 0.9, 1.0], np.float32)
    offsets = shape_offsets(shape, other, 1.0)
    np.testing.assert_allclose(offsets[159], offsets[145], atol=1e-6)
    np.testing.assert_allclose(offsets[13, 1], offsets[14, 1], atol=1e-6)
    assert np.abs(offsets[152]).max() > 0.01


def track_of(landmarks: np.ndarray, **changes: object) -> FaceTrack:
    frames = np.arange(len(landmarks), dtype=np.int32)
    track = FaceTrack("face1", frames, landmarks.astype(np.float32), np.zeros(128, np.float32), 250.0)
    return replace(track, **changes)  # type: ignore[arg-type]


def test_trembling_is_taken_away_and_movement_is_not_delayed(
    picture: Image, points: np.ndarray, tmp_path: Path
) -> None:
    steps = np.array([round(14 * np.sin(0.9 * index)) for index in range(20)])
    clip = written(tmp_path / "moving.mp4", [np.roll(picture, int(step), axis=1) for step in steps])
    truth = points[None] + np.stack([steps, 0 * steps, 0 * steps], axis=1)[:, None, :]
    trembling = truth + np.random.default_rng(1).normal(0, 1.5, truth.shape)
    face = follow_face(clip, track_of(trembling), facts_of(picture, 20))
    off = np.abs(face.points - truth)[:, :, :2]
    assert off.mean() < 0.5 * np.abs(trembling - truth)[:, :, :2].mean()
    x = face.points[:, :, 0].mean(axis=1)
    lags = [float(np.corrcoef(np.roll(x, -lag)[3:-3], steps[3:-3])[0, 1]) for lag in (-1, 0, 1)]
    assert int(np.argmax(lags)) == 1


def test_an_object_before_the_face_is_seen_and_changing_light_is_not(picture: Image, points: np.ndarray) -> None:
    usual = unwrapped(picture, points, 80)
    textures = np.repeat(usual[None], 12, axis=0)
    textures[3] = np.clip(textures[3] * 0.8, 0, 255).astype(np.uint8)
    textures[8, 42:62, 22:34] = (40, 35, 30)
    hidden = hidden_texels(textures, np.zeros((12, 80, 80), np.uint8), np.zeros(12, np.int32))
    share = hidden_share(hidden)
    assert share[3] < 0.01
    assert hidden[8, 46:58, 25:31].min() > 200
    assert 0.02 < share[8] < 0.3
    assert share[7] > 0.01
    assert share[5] == 0


def test_an_object_of_the_colour_of_skin_is_seen_and_a_smile_is_not(picture: Image, points: np.ndarray) -> None:
    usual = unwrapped(picture, points, 80)
    noise = np.random.default_rng(5)
    textures = np.clip(usual + noise.normal(0, 2, (24, 80, 80, 1)), 0, 255).astype(np.uint8)
    cheek = np.median(usual[40:46, 26:32].reshape(-1, 3), axis=0)
    textures[10, 36:62, 24:36] = np.clip(cheek + 16, 0, 255)
    # Folds of a smile: as strong, but narrow.
    textures[18, 40:60, 26:29] = np.clip(cheek - 16, 0, 255)
    hidden = hidden_texels(textures, np.zeros((24, 80, 80), np.uint8), np.zeros(24, np.int32))
    assert hidden[10, 40:58, 27:33].min() > 150
    share = hidden_share(hidden)
    assert share[18] == 0
    assert share[14] == 0


def test_what_stands_in_front_is_not_bent(picture: Image, points: np.ndarray) -> None:
    hidden = np.zeros((3, 80, 80), np.uint8)
    hidden[1, 50:70, 24:34] = 255
    held = held_landmarks(hidden)
    layout = face_mesh().layout[:468] * 80
    beside = (np.abs(layout[:, 0] - 29) < 4) & (np.abs(layout[:, 1] - 58) < 7)
    assert held[1, beside].min() > 0.8
    assert held[1, 10] < 0.05
    assert held[[0, 2]].max() == 0


def test_what_hides_a_face_is_forgotten_at_a_cut(picture: Image, points: np.ndarray) -> None:
    textures = np.repeat(unwrapped(picture, points, 80)[None], 10, axis=0)
    hands = np.zeros((10, 80, 80), np.uint8)
    hands[4, 40:60, 20:40] = 255
    runs = np.array([0] * 5 + [1] * 5, np.int32)
    share = hidden_share(hidden_texels(textures, hands, runs))
    assert share[3] > 0
    assert share[5] == 0


def test_a_hand_laid_over_the_whole_face_is_believed_only_where_something_changes(
    picture: Image, points: np.ndarray
) -> None:
    textures = np.repeat(unwrapped(picture, points, 80)[None], 10, axis=0)
    hands = np.zeros((10, 80, 80), np.uint8)
    hands[[2, 7], 10:75, 10:70] = 255
    textures[7, 10:75, 10:70] = np.median(textures[0, 40:46, 26:32].reshape(-1, 3), axis=0)
    share = hidden_share(hidden_texels(textures, hands, np.zeros(10, np.int32)))
    assert share[2] == 0
    assert share[7] > 0.7


def test_hands_are_found_around_a_face_and_drawn(models: FaceModels, persona_pictures: Mapping[str, Path]) -> None:
    whole = cv2.imread(str(persona_pictures["P006"] / "amateur_posture.jpg"))
    image = np.asarray(cv2.resize(whole, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    face, _ = FaceLandmarker(models).in_box(image, FaceDetector(models).find(image)[0])
    # The hands hang far below: a face of two and a half times the size has them in its surroundings.
    face[:, :2] = face[:, :2].mean(axis=0) + 2.5 * (face[:, :2] - face[:, :2].mean(axis=0))
    assert models.hand_detector is not None
    assert models.hand_landmarks is not None
    finder = HandFinder(models.hand_detector, models.hand_landmarks)
    first = finder.find(image, face)
    assert len(first) == 2
    again = finder.find(image, face)
    for before, after in zip(first, again, strict=True):
        assert np.abs(before - after).mean() < 0.1 * np.ptp(before, axis=0).max()
    mask = hands_mask(first, image.shape[:2])
    for hand in first:
        assert mask[tuple(hand[9, ::-1].astype(int))] == 1
    assert mask[tuple(face[4, 1::-1].astype(int))] == 0
    assert finder.find(np.full_like(image, 127), face) == []


def test_a_persona_of_many_faces_follows_expressions(
    models: FaceModels, persona_pictures: Mapping[str, Path], picture: Image, points: np.ndarray, tmp_path: Path
) -> None:
    folder = persona_pictures["P007"]
    many = prepare_persona([folder / "studio_portrait.jpg", folder / "emotions_sheet.jpg"], models)
    assert len(many.references) > 8
    widest = max(range(len(many.references)), key=lambda index: float(many.references[index].expression[0]))
    # The source does what the persona does in that picture.
    smile = poses_of(many.references[widest].landmarks[None]).removed(many.references[widest].landmarks[None])[0]
    pose = poses_of(points[None])
    acted = points + pose.carried(0, smile - many.shape)
    landmarks = np.concatenate([np.repeat(points[None], 12, axis=0), np.repeat(acted[None], 8, axis=0)])
    clip = written(tmp_path / "still.mp4", [picture] * 20)
    weights = reference_weights(many, follow_face(clip, track_of(landmarks), facts_of(picture, 20)))
    np.testing.assert_allclose(weights.sum(axis=2), 1, atol=1e-4)
    assert weights.min() >= 0
    mouths = np.array([one.expression[0] for one in many.references])
    assert weights[1, 17] @ mouths > weights[1, 2] @ mouths + 0.05


def test_strangers_and_blurred_faces_are_left_out_with_the_reason(
    models: FaceModels, persona_pictures: Mapping[str, Path], tmp_path: Path
) -> None:
    portrait = cv2.imread(str(persona_pictures["P007"] / "studio_portrait.jpg"))
    small = cv2.resize(portrait, (900, 900), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "a.jpg"), small)
    cv2.imwrite(str(tmp_path / "b.jpg"), cv2.flip(small, 1))
    cv2.imwrite(str(tmp_path / "blurred.jpg"), cv2.GaussianBlur(small, (0, 0), 9))
    stranger = cv2.imread(str(persona_pictures["P006"] / "studio_portrait.jpg"))
    cv2.imwrite(str(tmp_path / "stranger.jpg"), cv2.resize(stranger, (900, 900), interpolation=cv2.INTER_AREA))
    made = prepare_persona(sorted(tmp_path.glob("*.jpg")), models)
    assert dict(made.rejected) == {
        "blurred.jpg": "the face is blurred",
        "stranger.jpg": "the face looks like somebody else's",
    }
    assert len(made.references) == 2
    assert any("different expressions" in wish for wish in made.missing)


def test_a_beard_is_seen_and_stays_unless_the_persona_has_one(picture: Image, points: np.ndarray) -> None:
    bare = unwrapped(picture, points, 80)
    bearded = bare.copy()
    jaw = (face_mesh().layout[list(OVAL)] * 80).astype(np.int32)
    mask = cv2.fillConvexPoly(np.zeros((80, 80), np.uint8), cv2.convexHull(jaw), 1)
    mask[: int(face_mesh().layout[0, 1] * 80)] = 0
    bearded[mask > 0] = (25, 22, 24)
    assert not look_of(bare).beard
    assert look_of(bearded).beard
    kept = kept_texels(bearded, look_of(bearded), look_of(bare))
    chin = (face_mesh().layout[199] * 80).astype(int)
    cheek = (face_mesh().layout[50] * 80).astype(int)
    assert kept[chin[1], chin[0]] > 0.8
    assert kept[cheek[1], cheek[0]] < 0.1
    assert kept_texels(bearded, look_of(bearded), look_of(bearded))[chin[1], chin[0]] == 0


def test_hair_that_falls_into_the_face_stays_and_brows_do_not(picture: Image, points: np.ndarray) -> None:
    bare = unwrapped(picture, points, 80)
    places = (face_mesh().layout * 80).astype(int)
    brow, other, cheek = places[105], places[334], places[280]
    assert hair_texels(bare)[brow[1], brow[0]] == 0
    fringed = bare.copy()
    fringed[: brow[1] + 6, : places[9][0] - 4] = (22, 24, 28)
    hair = hair_texels(fringed)
    assert hair[brow[1], brow[0]] == 1
    assert hair[brow[1] - 5, brow[0] + 4] == 1
    assert hair[other[1], other[0]] == 0
    assert hair[cheek[1], cheek[0]] == 0


def test_hair_is_looked_at_again_when_the_head_turns(picture: Image, points: np.ndarray) -> None:
    bare = unwrapped(picture, points, 80)
    brow = (face_mesh().layout[105] * 80).astype(int)
    fringed = bare.copy()
    fringed[: brow[1] + 6, : brow[0] + 8] = (22, 24, 28)
    yaw = np.repeat([0.0, 10.0, 20.0], 4).astype(np.float32)
    textures = np.stack([bare] * 4 + [bare] * 4 + [fringed] * 4)
    yaw[6] = 15.0
    hair = hair_over_turns(textures, yaw)[:, brow[1] - 4, brow[0]]
    assert hair[0] == 0
    assert hair[9] > 200
    assert 50 < hair[6] < 200


def test_the_side_turned_away_is_not_looked_at() -> None:
    ahead, turned = (facing_texels(rotation(yaw, 0, 0).astype(np.float32), 80) for yaw in (0.0, 45.0))
    left, right = ((face_mesh().layout[index] * 80).astype(int) for index in (117, 346))
    sides = [float(turned[at[1], at[0]]) for at in (left, right)]
    assert min(ahead[left[1], left[0]], ahead[right[1], right[0]]) > 0.9
    assert max(sides) > 0.9
    assert min(sides) < 0.7


def test_a_microphone_before_the_chin_is_seen_and_kept(picture: Image, points: np.ndarray) -> None:
    bare = unwrapped(picture, points, 160)
    held = picture.copy()
    top = points[175, :2]
    radius = round(0.09 * float(np.ptp(points[:, 0])))
    cv2.circle(held, [int(value) for value in top], radius, (40, 38, 38), -1)
    cv2.line(held, [int(value) for value in top], [int(top[0]), picture.shape[0]], (40, 38, 38), radius)
    before = unwrapped(held, points, 160)
    assert not look_of(bare).chin
    assert look_of(before).chin
    assert not look_of(before).beard
    kept = kept_texels(before, look_of(before), look_of(bare))
    chin, cheek = ((face_mesh().layout[index] * 160).astype(int) for index in (175, 50))
    assert kept[chin[1], chin[0]] > 0.9
    assert kept[cheek[1], cheek[0]] < 0.1
    assert kept_texels(before, look_of(before), look_of(before))[chin[1], chin[0]] < 0.1
    said = judge(track_of(np.repeat(points[None], 30, axis=0), texture=before))
    assert said.level == "limited"
    assert "chin" in said.reasons[0]
    facts = facts_of(picture, 30)
    faces = FaceAnalysis((track_of(np.repeat(points[None], 30, axis=0), texture=before),), "face1")
    measured = measure(SourceAnalysis("0" * 64, facts, (), (), faces))
    assert measured.face_wears == ("something dark before the chin",)
    assert assess(measured).score < assess(replace(measured, face_wears=())).score


def test_what_cannot_be_swapped_well_is_said_beforehand(points: np.ndarray) -> None:
    still = np.repeat(points[None], 30, axis=0)
    assert judge(track_of(still)).level == "good"
    assert judge(track_of(still, height=60.0)).level == "limited"
    assert judge(track_of(still, height=20.0)).level == "unsuitable"
    poster = judge(track_of(still, alive=False))
    assert poster.level == "limited"
    assert "does not move" in poster.reasons[0]
    shape = face_mesh().shape
    turned = (140 * shape @ rotation(55, 0, 0).T).astype(np.float32)
    sideways = np.repeat(turned[None], 30, axis=0)
    assert judge(track_of(sideways)).level == "unsuitable"
    assert "20 %" in judge(track_of(np.concatenate([sideways[:6], still[:24]]))).reasons[0]


def test_another_person_can_be_chosen(points: np.ndarray) -> None:
    first = track_of(points[None])
    analysis = FaceAnalysis((first, replace(first, id="face2")), "face1")
    assert analysis.choosing(2).require_on_camera().id == "face2"
    with pytest.raises(InvalidInput, match="2 were found"):
        analysis.choosing(3)


@pytest.mark.parametrize("width", [90.0, 300.0])
def test_a_turned_face_is_drawn_without_places_between_nose_and_cheek(width: float) -> None:
    shape = face_mesh().shape
    points = (width / np.ptp(shape[:, 0]) * shape @ rotation(30, 0, 0).T + [width, width, 0]).astype(np.float32)
    layout, on_mesh = layout_map(points, (int(2 * width), int(2 * width)))
    rows, columns = np.nonzero(on_mesh)
    # Carrying each place of the layout to the picture again must lead to the pixel that shows it.
    x, y = texture_map(points, 512)
    there = [cv2.remap(plane, layout * np.float32(512) - 0.5, None, cv2.INTER_LINEAR) for plane in (x, y)]
    off = np.hypot(there[0][rows, columns] - columns, there[1][rows, columns] - rows)
    assert off.max() < 0.03 * width
    edge = silhouette(on_mesh, width)
    assert edge[on_mesh].max() > 0.99
    assert edge[~on_mesh].max() < 0.6
