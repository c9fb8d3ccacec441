"""Each measure against a case whose answer is known beforehand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from recaster.media.quality import (
    IDENTICAL_DECIBELS,
    Flicker,
    Inspection,
    at_least,
    at_most,
    equal,
    measure_flicker,
    psnr,
    sample_windows,
    sharpness,
    sharpness_ratio,
    squeezed,
    ssim,
    temporal_residual,
    text_similarity,
)
from recaster.media.video import Frame, Shot

pytestmark = pytest.mark.unit

Picture = NDArray[np.uint8]


def texture(dx: int = 0, size: tuple[int, int] = (120, 160)) -> Picture:
    """A detailed scene seen through a window that is shifted by `dx` pixels."""
    noise = np.random.default_rng(3).integers(40, 216, (40, 80, 3), dtype=np.uint8)
    large = cv2.resize(noise, (480, 240), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(large[20 : 20 + size[0], 40 + dx : 40 + dx + size[1]])


def region() -> NDArray[np.uint8]:
    mask = np.zeros((120, 160), np.uint8)
    mask[30:90, 40:120] = 255
    return mask


@pytest.mark.parametrize("step", [1, 4, 20])
def test_psnr_of_a_constant_error(step: int) -> None:
    image = np.full((20, 30, 3), 100, np.uint8)
    assert psnr(image + np.uint8(step), image) == pytest.approx(20 * math.log10(255 / step), abs=1e-4)


def test_equal_pictures() -> None:
    assert psnr(texture(), texture()) == IDENTICAL_DECIBELS
    assert ssim(texture(), texture()) == pytest.approx(1.0)
    assert sharpness_ratio(texture(), texture()) == 1.0


def test_masks_choose_what_counts() -> None:
    image = texture()
    changed = image.copy()
    changed[:20] = 255 - changed[:20]
    assert psnr(changed, image, region()) == IDENTICAL_DECIBELS
    assert psnr(changed, image) < 30
    assert ssim(changed, image, region()) > 0.999
    assert ssim(changed, image) < 0.95


def test_ssim_falls_with_blur_more_than_with_brightness() -> None:
    image = texture()
    brighter = cv2.add(image, np.full_like(image, 8))
    blurred = cv2.GaussianBlur(image, (0, 0), 6)
    assert 1 > ssim(brighter, image) > ssim(blurred, image) > 0


def test_sharpness_falls_with_blur() -> None:
    image = texture()
    ratios = [sharpness_ratio(cv2.GaussianBlur(image, (0, 0), sigma), image, region()) for sigma in (0.8, 1.6, 3.2)]
    assert 1 > ratios[0] > ratios[1] > ratios[2] > 0
    assert sharpness(np.full((20, 20, 3), 77, np.uint8)) == 0


@pytest.mark.parametrize("measure", [psnr, ssim, sharpness_ratio])
def test_shapes_and_empty_masks_are_told(measure: Callable[..., float]) -> None:
    with pytest.raises(ValueError, match="shape"):
        measure(texture(), texture(size=(60, 80)))
    with pytest.raises(ValueError, match="shape"):
        measure(texture(), texture(), np.zeros((3, 3), np.uint8))
    with pytest.raises(ValueError, match="empty"):
        measure(texture(), texture(), np.zeros((120, 160), np.uint8))


def test_motion_is_no_flicker() -> None:
    still = temporal_residual(texture(), texture(), region())
    moved = temporal_residual(texture(0), texture(3), region())
    plain = float(cv2.absdiff(texture(0), texture(3))[region() > 0].mean())
    assert still == 0
    assert moved < plain / 4


def frames_of(pictures: list[Picture], first: int = 0) -> list[Frame]:
    return [Frame(first + number, number, 1, picture) for number, picture in enumerate(pictures)]


def test_flicker_is_seen_beside_motion() -> None:
    source = [texture(number) for number in range(6)]
    patch = cv2.merge([region()] * 3) > 0
    result = [
        np.where(patch, cv2.add(one, np.full_like(one, 25 * (number % 2))), one) for number, one in enumerate(source)
    ]
    calm = measure_flicker(frames_of(source), frames_of(source), lambda _: region())
    wild = measure_flicker(frames_of(source), frames_of(result), lambda _: region())
    assert (calm.ratio, calm.pairs) == (1.0, 5)
    assert wild.source == calm.source
    assert wild.ratio > 3


def test_frames_without_a_region_are_left_out() -> None:
    pictures = frames_of([texture(number) for number in range(6)], first=10)
    assert measure_flicker(pictures, pictures, lambda index: region() if index >= 14 else None).pairs == 2
    assert measure_flicker(pictures, pictures, lambda _: None) == Flicker(0.0, 0.0, 0)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(1, 6), st.integers(2, 12))
def test_windows_stay_inside_shots(lengths: list[int], windows: int, length: int) -> None:
    ends = np.cumsum(lengths)
    shots = tuple(Shot(int(end) - size, int(end) - 1) for end, size in zip(ends, lengths, strict=True))
    chosen = sample_windows(shots, windows, length)
    assert len(chosen) <= windows
    for window in chosen:
        assert 1 < window.last_frame - window.first_frame + 1 <= length
        assert any(window.first_frame in shot and window.last_frame in shot for shot in shots)
    assert len(set(chosen)) == len(chosen)
    if max(lengths) > 1 and len(lengths) == 1:
        assert chosen


@pytest.mark.parametrize(
    ("one", "other", "similarity"),
    [
        ("Wait for it 😂", "WAIT  FOR\nIT", 1.0),
        ("ｆｕｌｌ ｗｉｄｔｈ", "full width", 1.0),
        ("abcd", "abce", 0.75),
        ("abc", "xyz", 0.0),
        ("👨‍👩‍👧", "", 1.0),
        ("text", "", 0.0),
        ("Straße", "STRASSE", 1.0),
    ],
)
def test_text_similarity(one: str, other: str, similarity: float) -> None:
    assert text_similarity(one, other) == pytest.approx(similarity)


@given(st.text(max_size=20), st.text(max_size=20))
def test_text_similarity_is_a_symmetric_share(one: str, other: str) -> None:
    assert 0 <= text_similarity(one, other) <= 1
    assert text_similarity(one, other) == text_similarity(other, one)
    assert text_similarity(one, one) == 1
    assert squeezed(squeezed(one)) == squeezed(one) or not one.isascii()


def test_inspection_collects_what_failed() -> None:
    good, bad = at_most("a", 1, 2, "…"), at_least("b", 1, 2, "…")
    inspection = Inspection((good, bad, equal("c", None, None, "…")))
    assert not inspection.passed
    assert inspection.failed == (bad,)
    assert Inspection((good,)).passed
    assert not Inspection(()).passed
    written = json.loads(json.dumps(inspection.to_json()))
    assert written["measures"][1] == {
        "name": "b",
        "value": 1,
        "limit": 2,
        "direction": "at_least",
        "passed": False,
        "explanation": "…",
    }


def test_what_is_not_a_number_never_passes() -> None:
    assert not at_most("a", math.nan, 1, "…").passed
    assert not at_least("a", math.nan, 1, "…").passed
