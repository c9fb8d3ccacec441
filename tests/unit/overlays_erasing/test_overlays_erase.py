from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from recaster.errors import Cancelled, InvalidInput
from recaster.media.overlays.draw import SkiaTextDrawer
from recaster.media.overlays.erase import EraserSettings, TemporalEraser
from recaster.media.overlays.model import (
    Animation,
    OverlayLine,
    OverlayRole,
    OverlayTrack,
    Slab,
    Stroke,
    TextStyle,
)
from recaster.media.overlays.timing import Appearance
from recaster.media.overlays.timing import appearance as appearance_of
from recaster.media.video.model import ColorTags, Frame, Shot, VideoFacts

pytestmark = pytest.mark.unit

WIDTH, HEIGHT = 360, 640
OUTLINED = TextStyle(
    "tiktok-sans", 900, 34.0, (255, 255, 255), 1.0, Stroke((0, 0, 0), 3.0), None, None, "center", 1.28, 0.0
)
BOXED = replace(OUTLINED, stroke=None, slab=Slab((0, 0, 0), 1.0, 8.0, 12.0, 5.0, True))
NOWHERE = Path("clip-in-memory")


def texture(seed: int, height: int, width: int) -> Any:
    """Smooth coloured noise on two scales: something to see, and something for corners to hold on to."""
    rng = np.random.default_rng(seed)
    coarse = cv2.GaussianBlur(rng.uniform(0, 255, (height, width, 3)), (0, 0), 18)
    fine = cv2.GaussianBlur(rng.uniform(0, 255, (height, width, 3)), (0, 0), 2.5)
    mixed = (coarse - coarse.mean()) * 9 + (fine - fine.mean()) * 2.0 + 128
    return np.clip(mixed, 0, 255).astype(np.uint8)


class Clip:
    """Frames in memory with text burned in by the drawer, which also tells where exactly it stands."""

    def __init__(self, clean: list[Any]) -> None:
        self.clean = clean
        self.burned = [image.copy() for image in clean]
        self.tracks: list[OverlayTrack] = []
        self._drawer = SkiaTextDrawer()

    def add(
        self,
        text: str,
        first: int,
        last: int,
        style: TextStyle = OUTLINED,
        y: float = 200.0,
        entry: Animation = Animation("none", 0),
    ) -> OverlayTrack:
        laid = self._drawer.layout(text, style, (20.0, y - 30, 340.0, y + 30), (WIDTH, HEIGHT), max_lines=1)
        line = laid.lines[0]
        x0, x1 = line.x, line.x + line.width
        y0, y1 = line.baseline - laid.line_top, line.baseline + laid.line_bottom
        polygon = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
        track = OverlayTrack(
            f"ov{len(self.tracks) + 1}",
            (OverlayLine(text, polygon, 1.0),),
            first,
            last,
            min(last, first + entry.frames + 1),
            laid.box,
            (),
            style,
            entry,
            Animation("none", 0),
            OverlayRole.TEXT,
            1.0,
        )
        for index in range(first, last + 1):
            look = appearance_of(track, index) or Appearance()
            self.burned[index] = self._drawer.draw(self.burned[index], laid, look)
        self.tracks.append(track)
        return track

    def facts(self) -> VideoFacts:
        n = len(self.clean)
        return VideoFacts(
            "mp4", "h264", WIDTH, HEIGHT, 0, Fraction(1, 30), Fraction(30), n, Fraction(n, 30), ColorTags(), None, 1
        )

    def frames(self, path: Path = NOWHERE, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        for index, image in list(enumerate(self.burned))[start:stop]:
            yield Frame(index, index, 1, image)

    def erase(
        self, shots: tuple[Shot, ...] | None = None, **options: Any
    ) -> tuple[list[Any], list[Any], TemporalEraser]:
        eraser = TemporalEraser(frames=self.frames)
        whole = (Shot(0, len(self.clean) - 1),)
        eraser.prepare(NOWHERE, self.facts(), shots or whole, tuple(self.tracks), **options)
        return [eraser.erase(f) for f in self.frames()], [eraser.mask(i) for i in range(len(self.clean))], eraser


def psnr(a: Any, b: Any, where: Any) -> float:
    error = ((a.astype(float) - b.astype(float)) ** 2).mean(axis=2)[where].mean()
    return float(10 * np.log10(65025 / max(error, 1e-6)))


def test_background_seen_at_other_times_comes_back() -> None:
    still = texture(1, HEIGHT, WIDTH)
    clip = Clip([still] * 24)
    clip.add("HELLO THERE", 6, 18, entry=Animation("fade", 3))
    out, masks, _ = clip.erase()
    for index in (6, 8, 12, 18):
        assert psnr(out[index], still, masks[index] > 0) >= 35


def test_no_letter_survives_and_nothing_else_changes() -> None:
    clip = Clip([texture(2, HEIGHT, WIDTH)] * 12)
    clip.add("GHOST STROKES", 3, 9)
    out, masks, _ = clip.erase()
    for index in range(12):
        outside = masks[index] == 0
        assert np.array_equal(out[index][outside], clip.burned[index][outside])
        assert (np.abs(out[index].astype(int) - clip.clean[index])[outside] == 0).all(), "ink outside of the mask"
    assert masks[0].max() == 0
    assert masks[5].max() == 255


def test_text_that_the_reader_saw_late_does_not_come_back_as_a_ghost() -> None:
    still = texture(15, HEIGHT, WIDTH)
    clip = Clip([still] * 30)
    track = clip.add("SEEN LATE", 8, 29)
    clip.tracks = [replace(track, first_frame=11)]
    out, masks, _ = clip.erase()
    assert psnr(out[20], still, masks[20] > 0) >= 35


def test_the_fill_never_crosses_a_cut() -> None:
    red, blue = (
        np.full((HEIGHT, WIDTH, 3), (20, 20, 220), np.uint8),
        np.full((HEIGHT, WIDTH, 3), (220, 20, 20), np.uint8),
    )
    clip = Clip([red] * 10 + [blue] * 10)
    clip.add("OVER THE CUT", 0, 19)
    out, _, _ = clip.erase((Shot(0, 9), Shot(10, 19)))
    for index in range(20):
        assert np.abs(out[index].astype(int) - clip.clean[index]).max() <= 3


def test_a_block_next_to_a_cut_is_not_looked_for_beyond_it() -> None:
    clip = Clip([texture(3, HEIGHT, WIDTH)] * 8 + [texture(4, HEIGHT, WIDTH)] * 8)
    clip.add("ENDS HERE", 3, 7)
    _, masks, _ = clip.erase((Shot(0, 7), Shot(8, 15)))
    assert masks[7].any()
    assert not masks[8].any()
    assert not masks[2].any()  # it is looked for there, and is not there yet


def test_captions_back_to_back_do_not_become_each_others_background() -> None:
    still = texture(5, HEIGHT, WIDTH)
    clip = Clip([still] * 24)
    clip.add("FIRST ONE", 4, 11)
    clip.add("SECOND", 12, 20)
    out, masks, _ = clip.erase()
    both = masks[11] | masks[12]
    assert ((masks[11] > 0) == (both > 0)).all()
    for index in (10, 11, 12, 13):
        assert psnr(out[index], still, masks[index] > 0) >= 35


def moving_clip() -> Clip:
    wide = texture(6, HEIGHT + 80, WIDTH + 200)
    frames = []
    for index in range(32):
        x, y = 5.0 * index, 1.3 * index
        matrix = np.array([[1, 0, -x], [0, 1, -y]])
        frames.append(cv2.warpAffine(wide, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC))
    clip = Clip(frames)
    clip.add("ALWAYS HERE", 0, 31)
    return clip


def test_a_moving_camera_shows_what_lies_behind_text_that_never_leaves() -> None:
    clip = moving_clip()
    out, masks, _ = clip.erase()
    for index in (8, 16, 24):
        where = masks[index] > 0
        plain = cv2.inpaint(clip.burned[index], masks[index], 3, cv2.INPAINT_TELEA)
        assert psnr(out[index], clip.clean[index], where) > psnr(plain, clip.clean[index], where) + 4


def test_a_see_through_slab_is_lifted_off_what_moves_behind_it() -> None:
    wide = texture(7, HEIGHT, WIDTH + 80)
    clip = Clip([np.ascontiguousarray(wide[:, 3 * i : 3 * i + WIDTH]) for i in range(16)])
    glass = replace(BOXED, slab=Slab((0, 0, 0), 0.5, 0.0, 40.0, 20.0, True))
    clip.add("GLASS", 0, 15, glass)
    out, masks, _ = clip.erase()
    where = masks[8] > 0
    plain = cv2.inpaint(clip.burned[8], masks[8], 3, cv2.INPAINT_TELEA)
    assert psnr(out[8], clip.clean[8], where) > psnr(plain, clip.clean[8], where) + 5


@pytest.mark.parametrize("turn", [0.0, 7.0])
def test_a_see_through_slab_that_the_description_lacks_is_lifted_all_the_same(turn: float) -> None:
    wide = texture(4, HEIGHT, WIDTH + 60)
    clip = Clip([np.ascontiguousarray(wide[:, 2 * k : 2 * k + WIDTH]) for k in range(20)])
    style = replace(BOXED, slab=Slab((255, 255, 255), 0.55, 6.0, 30.0, 20.0, True), fill=(0, 0, 0), rotation=turn)
    track = clip.add("no sleep", 0, 19, style)
    middle = np.array([WIDTH / 2, 200.0])
    angle = np.radians(turn)
    way = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    centre = np.array(track.lines[0].polygon).mean(axis=0)
    assert np.abs(centre - middle).max() < 20, "the drawer turns about the middle of the words"
    polygon = tuple((float(x), float(y)) for x, y in (np.array(track.lines[0].polygon) - centre) @ way + centre)
    line = replace(track.lines[0], polygon=polygon)
    clip.tracks = [replace(track, lines=(line,), style=replace(style, slab=None))]
    slab = np.abs(clip.burned[10].astype(int) - clip.clean[10]).max(axis=2) > 12
    assert psnr(clip.burned[10], clip.clean[10], slab) < 16
    out, masks, _ = clip.erase()
    assert (masks[10][slab] > 0).mean() > 0.99
    plain = cv2.inpaint(clip.burned[10], masks[10], 3, cv2.INPAINT_TELEA)
    assert psnr(out[10], clip.clean[10], slab) > psnr(plain, clip.clean[10], slab) + 5


def test_a_slab_that_the_description_took_for_an_outline_is_erased_whole() -> None:
    still = texture(16, HEIGHT, WIDTH)
    clip = Clip([still] * 30)
    track = clip.add("BOXED TEXT", 12, 29, BOXED)
    clip.tracks = [replace(track, style=replace(BOXED, slab=None, stroke=Stroke((0, 0, 0), 3.0)))]
    out, masks, _ = clip.erase()
    assert psnr(out[20], still, masks[20] > 0) >= 35
    assert (np.abs(out[20].astype(int) - still)[masks[20] == 0] == 0).mean() > 0.9999


def test_outline_and_colour_that_the_description_lacks_are_seen_where_the_text_comes_and_goes() -> None:
    still = texture(17, HEIGHT, WIDTH)
    clip = Clip([still] * 30)
    track = clip.add("WRONGLY SEEN", 10, 20, replace(OUTLINED, stroke=Stroke((0, 60, 0), 6.0)))
    clip.tracks = [replace(track, style=replace(OUTLINED, stroke=None, fill=(90, 90, 90)))]
    out, masks, _ = clip.erase()
    assert (np.abs(out[15].astype(int) - still)[masks[15] == 0] <= 8).all(), "ink outside of the mask"
    assert psnr(out[15], still, masks[15] > 0) >= 35


def test_beside_faint_letters_little_is_taken() -> None:
    clip = Clip([np.full((HEIGHT, WIDTH, 3), 120, np.uint8)] * 9)
    clip.add("QUIET CLOTH", 0, 8, replace(OUTLINED, stroke=Stroke((70, 70, 70), 3.0), fill=(170, 170, 170)))
    out, masks, _ = clip.erase()
    difference = np.abs(clip.burned[4].astype(int) - clip.clean[4]).max(axis=2)
    assert (masks[4][difference > 6] > 0).all()
    assert psnr(out[4], clip.clean[4], difference > 3) > 45
    assert int((masks[4] > 0).sum()) < 1.22 * int((difference > 3).sum())


def test_emoji_between_a_slab_and_its_end_are_not_left_in_it() -> None:
    still = texture(21, HEIGHT, WIDTH)
    clip = Clip([still] * 10)
    track = clip.add("MOVED OUT", 0, 9, BOXED)
    left, _, right, bottom = (round(v) for v in track.box)
    middle = (left + right) // 2
    for image in clip.burned:
        cv2.rectangle(image, (middle - 52, bottom - 8), (middle + 52, bottom + 40), (0, 0, 0), cv2.FILLED)
        for x in (middle - 22, middle + 22):
            cv2.circle(image, (x, bottom + 14), 18, (40, 200, 250), cv2.FILLED)
    _, masks, _ = clip.erase()
    burned = np.abs(clip.burned[5].astype(int) - still).max(axis=2) > 0
    assert (masks[5][burned] > 0).mean() > 0.995


def test_what_only_looks_like_a_letter_stays_where_nothing_comes_or_goes() -> None:
    still = texture(18, HEIGHT, WIDTH) // 2
    cv2.putText(still, "PRINT", (250, 215), cv2.FONT_HERSHEY_DUPLEX, 1.2, (255, 255, 255), 2)
    clip = Clip([still] * 30)
    track = clip.add("TEXT", 10, 20)
    wide = tuple((x + 160.0 * (index in (1, 2)), y) for index, (x, y) in enumerate(track.lines[0].polygon))
    clip.tracks = [replace(track, lines=(replace(track.lines[0], polygon=wide),))]  # type: ignore[arg-type]
    _, masks, _ = clip.erase()
    changed = (np.abs(clip.burned[15].astype(int) - still).max(axis=2) > 0).astype(np.uint8)
    room = cv2.dilate(changed, np.ones((15, 15), np.uint8))
    assert (masks[15][room == 0] == 0).all()


def test_the_faint_first_frames_of_a_fade_that_the_reader_missed_are_erased() -> None:
    still = texture(19, HEIGHT, WIDTH)
    clip = Clip([still] * 30)
    track = clip.add("FADES IN", 8, 29, entry=Animation("fade", 6))
    clip.tracks = [replace(track, first_frame=11, entry=Animation("none", 0))]
    out, masks, _ = clip.erase()
    for index in (8, 9, 10):
        assert np.abs(clip.burned[index].astype(int) - still).max() > 20
        assert psnr(out[index], still, masks[20] > 0) >= 40
    assert not masks[6].any()


def test_letters_that_are_not_typed_yet_are_left_alone() -> None:
    still = texture(20, HEIGHT, WIDTH)
    clip = Clip([still] * 40)
    clip.add("TYPED WORDS", 4, 39, entry=Animation("typed", 22))
    out, masks, _ = clip.erase()
    assert 0 < (masks[10] > 0).sum() < 0.6 * (masks[38] > 0).sum()
    for index in (6, 10, 20, 38):
        assert np.abs(out[index].astype(int) - still).max() <= 32


def test_a_slab_that_goes_leaves_nothing_of_itself() -> None:
    still = texture(8, HEIGHT, WIDTH)
    clip = Clip([still] * 16)
    clip.add("BOXED TEXT", 5, 15, BOXED)
    out, masks, _ = clip.erase()
    assert psnr(out[10], still, masks[10] > 0) >= 35
    assert (np.abs(out[10].astype(int) - still)[masks[10] == 0] == 0).all()


def test_the_fill_of_a_resting_shot_does_not_flicker() -> None:
    rng = np.random.default_rng(9)
    still = texture(9, HEIGHT, WIDTH).astype(float)
    clip = Clip([np.clip(still + rng.normal(0, 2, still.shape), 0, 255).astype(np.uint8) for _ in range(12)])
    clip.add("STILL", 0, 11)
    out, masks, _ = clip.erase()
    where = masks[5] > 0
    change = np.mean([np.abs(out[i + 1].astype(float) - out[i])[where].mean() for i in range(4, 10)])
    noise = np.mean([np.abs(clip.clean[i + 1].astype(float) - clip.clean[i])[where].mean() for i in range(4, 10)])
    assert change <= noise


def test_two_runs_give_the_same_pixels() -> None:
    clip = Clip(moving_clip().burned[:10])
    clip.tracks = [replace(moving_clip().tracks[0], last_frame=9, reference_frame=5)]
    first, _, _ = clip.erase()
    second, _, _ = clip.erase()
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_clip_without_text_comes_back_as_it_is() -> None:
    clip = Clip([texture(10, HEIGHT, WIDTH)] * 3)
    out, masks, _ = clip.erase()
    assert all(np.array_equal(a, b) for a, b in zip(out, clip.burned, strict=True))
    assert not any(m.any() for m in masks)


def test_text_at_the_edge_and_of_one_frame_is_handled() -> None:
    clip = Clip([texture(11, HEIGHT, WIDTH)] * 5)
    track = clip.add("EDGE", 2, 2, y=40.0)
    moved = replace(track, id="ov2", offsets=((-220.0, -60.0),))
    clip.tracks.append(moved)
    out, _, _ = clip.erase()
    assert out[2].shape == (HEIGHT, WIDTH, 3)


def test_a_long_stretch_is_worked_on_in_windows_of_bounded_memory() -> None:
    still = texture(12, HEIGHT, WIDTH)
    clip = Clip([still] * 60)
    clip.add("LONG", 4, 55)
    settings = EraserSettings(memory_bytes=2_500_000)
    eraser = TemporalEraser(settings, frames=clip.frames)
    read: list[int] = []
    eraser.prepare(NOWHERE, clip.facts(), (Shot(0, 59),), tuple(clip.tracks), lambda done, total: read.append(done))
    for frame in clip.frames():
        restored = eraser.erase(frame)
        assert eraser.held_bytes <= settings.memory_bytes
        if frame.index in (5, 30, 54):
            assert psnr(restored, still, eraser.mask(frame.index) > 0) >= 35
    assert read == sorted(read)
    assert read[-1] == 60


def test_frames_may_be_asked_for_in_any_order() -> None:
    clip = moving_clip()
    in_order, _, eraser = clip.erase()
    frames = list(clip.frames())
    for index in (20, 5, 6, 31):
        assert np.array_equal(eraser.erase(frames[index]), in_order[index])


def test_cancelling_goes_through() -> None:
    clip = Clip([texture(13, HEIGHT, WIDTH)] * 4)
    clip.add("STOP", 0, 3)

    def stop(done: int, total: int) -> None:
        raise Cancelled("The work was cancelled.")

    with pytest.raises(Cancelled):
        clip.erase(progress=stop)


def test_a_frame_of_another_size_is_refused() -> None:
    clip = Clip([texture(14, HEIGHT, WIDTH)] * 4)
    clip.add("SIZE", 0, 3)
    _, _, eraser = clip.erase()
    with pytest.raises(InvalidInput):
        eraser.erase(Frame(0, 0, 1, np.zeros((10, 10, 3), np.uint8)))
