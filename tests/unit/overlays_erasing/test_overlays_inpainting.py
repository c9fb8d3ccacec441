"""The shipped fill network: true to what is seen, the same on every run, and better than what it replaces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from recaster.errors import ModelMissing
from recaster.infra.models import ModelStore
from recaster.media.overlays import FillNetwork, push_pull

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> FillNetwork:
    return FillNetwork(ModelStore(tmp_path_factory.mktemp("models")).path("overlay_fill"))


def lettered(height: int, width: int, seed: int) -> NDArray[np.bool_]:
    """A hole in the shape of lines of outlined letters across the picture, some of it left to see."""
    random = np.random.default_rng(seed)
    ink = np.zeros((height, width), np.uint8)
    for baseline in range(height // 4, height, height // 4):
        letters = "".join(random.choice(list("abdeghkmnopsuwx "), 30))
        cv2.putText(ink, letters, (-10, baseline), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 255, 9, cv2.LINE_AA)
    return ink > 0


def drawn(seed: int) -> NDArray[np.uint8]:
    """A scene of shaded discs and bars before a gradient."""
    random = np.random.default_rng(seed)
    ramp = np.linspace(0, 1, 200)[:, None, None] * random.uniform(20, 90, 3) + random.uniform(40, 120, 3)
    image = np.ascontiguousarray(np.broadcast_to(ramp, (200, 240, 3))).astype(np.uint8)
    for _ in range(14):
        color = tuple(float(v) for v in random.uniform(20, 235, 3))
        a, b = (tuple(int(v) for v in random.integers(0, 240, 2)) for _ in range(2))
        if random.random() < 0.5:
            cv2.circle(image, a, int(random.integers(15, 60)), color, -1, cv2.LINE_AA)
        else:
            cv2.line(image, a, b, color, int(random.integers(6, 26)), cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 1.0), np.uint8)


def faces(persona_pictures: Mapping[str, Path]) -> Iterator[NDArray[np.uint8]]:
    """Portraits of the people whom the network was never shown, a face about 120 pixels wide."""
    for person in ("P006", "P007"):
        for name, scale in (("studio_portrait", 0.16), ("amateur_selfie", 0.2)):
            image = cv2.imread(str(persona_pictures[person] / f"{name}.jpg"), cv2.IMREAD_COLOR)
            assert image is not None
            yield np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def decibels(image: NDArray[np.float32], truth: NDArray[np.uint8], hole: NDArray[np.bool_]) -> float:
    return float(10 * np.log10(65025 / np.mean((image[hole] - truth[hole].astype(np.float32)) ** 2)))


def gains(network: FillNetwork, images: Iterator[NDArray[np.uint8]]) -> tuple[list[float], list[float]]:
    """Decibels of the network above Telea's fill and above the smooth fill, per picture."""
    over_telea, over_smooth = [], []
    for seed, truth in enumerate(images):
        hole = lettered(*truth.shape[:2], seed)
        seen = np.where(hole[..., None], 0, truth).astype(np.uint8)
        known = (~hole).astype(np.float32)
        filled = decibels(network.fill(seen.astype(np.float32), known), truth, hole)
        telea = cv2.inpaint(seen, hole.astype(np.uint8), 5, cv2.INPAINT_TELEA).astype(np.float32)
        over_telea.append(filled - decibels(telea, truth, hole))
        over_smooth.append(filled - decibels(push_pull(seen.astype(np.float32), known), truth, hole))
    return over_telea, over_smooth


def test_faces_it_never_saw_come_back_better_than_from_fills_without_learning(
    network: FillNetwork, persona_pictures: Mapping[str, Path]
) -> None:
    over_telea, over_smooth = gains(network, faces(persona_pictures))
    assert np.mean(over_telea) > 1.4
    assert np.mean(over_smooth) > 1.4


def test_edges_of_drawn_scenes_are_continued(network: FillNetwork) -> None:
    over_telea, over_smooth = gains(network, (drawn(seed) for seed in range(6)))
    assert np.mean(over_telea) > 0.9
    assert np.mean(over_smooth) > 0.9


@pytest.mark.parametrize("size", [(16, 16), (37, 91), (5, 200), (1, 1)])
def test_what_is_seen_stays_as_it_is_at_any_size(network: FillNetwork, size: tuple[int, int]) -> None:
    random = np.random.default_rng(3)
    picture = random.uniform(0, 255, (*size, 3)).astype(np.float32)
    known = np.asarray(random.random(size) < 0.7, np.float32)
    filled = network.fill(picture, known)
    assert filled.shape == picture.shape
    assert filled.dtype == np.float32
    assert np.isfinite(filled).all()
    assert 0 <= filled.min() <= filled.max() <= 255
    assert np.abs(filled - picture)[known == 1].max(initial=0) < 0.01


def test_what_lies_in_the_hole_has_no_influence(network: FillNetwork) -> None:
    truth = drawn(1).astype(np.float32)
    known = (~lettered(200, 240, 1)).astype(np.float32)
    other = np.where(known[..., None] > 0, truth, 255 - truth).astype(np.float32)
    assert np.array_equal(network.fill(truth, known), network.fill(other, known))


def test_the_same_picture_gives_the_same_fill(network: FillNetwork, tmp_path: Path) -> None:
    truth = drawn(2).astype(np.float32)
    known = (~lettered(200, 240, 2)).astype(np.float32)
    first = network.fill(truth, known)
    network.fill(truth[:50], known[:50])
    again = FillNetwork(ModelStore(tmp_path).path("overlay_fill"))
    assert np.array_equal(first, network.fill(truth, known))
    assert np.array_equal(first, again.fill(truth, known))


def test_an_even_wall_stays_even(network: FillNetwork) -> None:
    wall = np.full((160, 160, 3), (90, 140, 200), np.float32)
    filled = network.fill(wall, (~lettered(160, 160, 4)).astype(np.float32))
    assert np.abs(filled - wall).max() < 6


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"fill-9\.onnx"):
        FillNetwork(tmp_path / "fill-9.onnx")
