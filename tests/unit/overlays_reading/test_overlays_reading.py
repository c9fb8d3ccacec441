from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from dataclasses import replace
from difflib import SequenceMatcher
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from reading_clips import BOXED, OUTLINED, Words, frames, make_reader, read, write
from typer.testing import CliRunner

from recaster.cli import app
from recaster.errors import Cancelled
from recaster.media.overlays import (
    Animation,
    OverlayRole,
    OverlayTrack,
    RapidTextReader,
    Slab,
    Stroke,
    TesseractReader,
    find_tesseract,
)
from recaster.media.overlays.prediction import prediction
from recaster.media.overlays.tesseract import TRUST, ScriptReading
from recaster.media.video import Image, Shot, probe, read_times

pytestmark = pytest.mark.unit

HOOK = Words("cook it twice", 5, 20, style=replace(OUTLINED, fill=(255, 229, 59)))


@pytest.fixture(scope="module")
def reader(model_files: Mapping[str, Path]) -> RapidTextReader:
    return make_reader(model_files)


@pytest.fixture(scope="module")
def hook_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("clips") / "hook.mp4", frames([HOOK], 26))


@pytest.fixture(scope="module")
def hook(reader: RapidTextReader, hook_clip: Path) -> OverlayTrack:
    (track,) = read(reader, hook_clip)
    return track


def summary(tracks: tuple[OverlayTrack, ...]) -> list[tuple[str, int, int]]:
    return [(track.text, track.first_frame, track.last_frame) for track in tracks]


def test_words_frames_place_and_look_are_found(hook: OverlayTrack) -> None:
    assert (hook.text, hook.first_frame, hook.last_frame) == ("cook it twice", 5, 20)
    xs = [x for x, _ in hook.lines[0].polygon]
    ys = [y for _, y in hook.lines[0].polygon]
    assert 175 < (min(xs) + max(xs)) / 2 < 185
    assert 26 < max(ys) - min(ys) < 42
    assert hook.style.font == "montserrat"
    assert hook.style.size == pytest.approx(34, rel=0.06)
    assert np.linalg.norm(np.subtract(hook.style.fill, (255, 229, 59))) < 30
    assert hook.style.stroke is not None
    assert max(hook.style.stroke.color) < 50
    assert hook.style.slab is None
    assert hook.offsets == ()


def test_the_same_clip_gives_the_same_tracks(reader: RapidTextReader, hook_clip: Path, hook: OverlayTrack) -> None:
    assert read(reader, hook_clip) == (hook,)


def test_a_later_start_and_a_cut_elsewhere_change_nothing(
    reader: RapidTextReader, hook: OverlayTrack, tmp_path: Path
) -> None:
    before, after = frames([], 7, seed=4), frames([], 6, seed=5)
    path = write(tmp_path / "cut.mp4", [*before, *frames([HOOK], 26), *after])
    (track,) = read(reader, path, cuts=(7, 33))
    assert (track.text, track.first_frame, track.last_frame) == (hook.text, 12, 27)
    assert np.abs(np.subtract(track.box, hook.box)).max() < 4
    assert (track.style.font, track.style.weight) == (hook.style.font, hook.style.weight)


def test_a_clip_without_text_gives_none(reader: RapidTextReader, tmp_path: Path) -> None:
    assert read(reader, write(tmp_path / "none.mp4", frames([], 20))) == ()


def test_text_printed_on_the_scene_is_left_alone(reader: RapidTextReader, tmp_path: Path) -> None:
    path = write(tmp_path / "printed.mp4", frames([replace(HOOK, first=0, last=23)], 24, printed="harbour cafe"))
    assert [track.text for track in read(reader, path)] == ["cook it twice"]


def test_a_single_frame_is_read(reader: RapidTextReader, tmp_path: Path) -> None:
    path = write(tmp_path / "one.mp4", frames([replace(HOOK, first=0, last=0)], 1))
    assert summary(read(reader, path)) == [("cook it twice", 0, 0)]


@pytest.mark.parametrize(
    ("size", "rate", "variable"),
    [
        ((480, 360), Fraction(24), False),
        ((640, 360), Fraction(60), False),
        ((360, 640), Fraction(30000, 1001), False),
        ((360, 480), Fraction(25), True),
    ],
    ids=["4:3 at 24", "16:9 at 60", "29.97", "variable rate"],
)
def test_any_shape_and_rate_works(
    reader: RapidTextReader, tmp_path: Path, size: tuple[int, int], rate: Fraction, variable: bool
) -> None:
    ticks = [40 * index + 13 * (index % 3) for index in range(18)] if variable else None
    path = write(tmp_path / "clip.mp4", frames([replace(HOOK, first=4, last=13)], 18, size), rate, ticks)
    assert summary(read(reader, path)) == [("cook it twice", 4, 13)]


def test_words_that_flash_by_one_after_the_other_are_all_seen(reader: RapidTextReader, tmp_path: Path) -> None:
    flashes = [Words("HERBS", 3, 8, 0.6), Words("SALT", 9, 13, 0.6), Words("WATER", 16, 21, 0.6)]
    path = write(tmp_path / "flash.mp4", frames(flashes, 26))
    assert summary(read(reader, path)) == [(one.text, one.first, one.last) for one in flashes]


def test_a_line_of_one_frame_is_seen_and_so_is_one_that_has_hardly_begun_when_the_clip_ends(
    reader: RapidTextReader, tmp_path: Path
) -> None:
    flash, faint = Words("wash on cold", 12, 12, 0.3), Words("set two alarms", 23, 40, 0.6, entry=Animation("fade", 5))
    path = write(tmp_path / "moment.mp4", frames([flash, faint], 24))
    assert summary(read(reader, path)) == [("wash on cold", 12, 12), ("set two alarms", 23, 23)]


def test_a_letter_alone_and_words_set_close_are_read(reader: RapidTextReader, tmp_path: Path) -> None:
    heavy = replace(OUTLINED, font="tiktok-sans", weight=900, size=26.0)
    lines = [Words("I", 2, 9, 0.7), Words("things I wish I knew", 2, 19, 0.3, heavy)]
    path = write(tmp_path / "close.mp4", frames(lines, 20))
    assert summary(read(reader, path)) == [("things I wish I knew", 2, 19), ("I", 2, 9)]


def test_the_heaviest_i_is_no_figure(reader: RapidTextReader, tmp_path: Path) -> None:
    heavy = replace(OUTLINED, font="tiktok-sans", weight=900, size=50.0)
    path = write(tmp_path / "bar.mp4", frames([Words("I", 4, 9, 0.7, heavy)], 16))
    assert summary(read(reader, path)) == [("I", 4, 9)]


def test_a_caption_on_whose_box_letters_run_together_has_all_its_letters(
    reader: RapidTextReader, tmp_path: Path
) -> None:
    plain = replace(OUTLINED, size=32.0)
    said = replace(
        plain, fill=(0, 0, 0), stroke=Stroke((0, 0, 0), 1.6), slab=Slab((20, 200, 60), 1.0, 8.0, 6.0, 3.0, True)
    )
    words = [
        Words("NEED", 3, 13, 0.6, said, x=-74.0),
        Words("THREE", 3, 13, 0.6, plain, x=60.0),
        Words("NEED", 14, 24, 0.6, plain, x=-74.0),
        Words("THREE", 14, 24, 0.6, said, x=60.0),
    ]
    path = write(tmp_path / "said.mp4", frames(words, 28))
    assert summary(read(reader, path)) == [("NEED THREE", 3, 24)]


def test_a_line_that_grows_and_goes_at_once_is_seen(reader: RapidTextReader, tmp_path: Path) -> None:
    words = Words("buy the refill", 8, 15, 0.5, entry=Animation("pop", 5))
    ((text, first, last),) = summary(read(reader, write(tmp_path / "grows.mp4", frames([words], 26))))
    assert text == "buy the refill"
    assert abs(first - 8) <= 2
    assert abs(last - 15) <= 2


def test_hard_edges_of_the_scene_do_not_make_a_line_higher(reader: RapidTextReader, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    knit = cv2.GaussianBlur(rng.uniform(0, 255, (640, 360)), (0, 0), 1.0)
    knit = np.clip((knit - knit.mean()) * 2.2 + 140, 0, 255).astype(np.uint8)
    heavy = replace(OUTLINED, font="tiktok-sans", weight=900, size=44.0, fill=(90, 220, 255))
    shown = [Words("TOLD", 3, 10, 0.6, heavy)]
    path = write(tmp_path / "knit.mp4", frames(shown, 16, scene=np.dstack([knit] * 3)))
    (track,) = read(reader, path)
    ys = [y for _, y in track.lines[0].polygon]
    # The capitals are 0.7 em high, with an outline of 3 pixels at both ends.
    assert max(ys) - min(ys) == pytest.approx(0.7 * 44 + 6, rel=0.2)


def test_faint_small_type_that_stands_still_is_found(reader: RapidTextReader, tmp_path: Path) -> None:
    faint = replace(OUTLINED, font="tiktok-sans", weight=700, size=13.0, opacity=0.45, stroke=None)
    path = write(tmp_path / "faint.mp4", frames([Words("@north.kitchen", 0, 39, 0.9, faint)], 40))
    ((text, first, last),) = summary(read(reader, path))
    assert (first, last) == (0, 39)
    assert SequenceMatcher(None, text, "@north.kitchen").ratio() > 0.85


def test_a_fade_counts_from_its_first_faint_frame(reader: RapidTextReader, tmp_path: Path) -> None:
    words = replace(HOOK, style=BOXED, first=6, last=25, entry=Animation("fade", 5))
    (track,) = read(reader, write(tmp_path / "fade.mp4", frames([words], 26)))
    assert abs(track.first_frame - 6) <= 1
    assert track.last_frame == 25
    assert track.entry.kind == "fade"
    assert track.style.slab is not None
    assert max(track.style.slab.color) < 40


def test_typed_text_is_one_track_from_its_first_letter(reader: RapidTextReader, tmp_path: Path) -> None:
    words = Words("freeze the herbs", 4, 33, style=replace(OUTLINED, size=28.0), entry=Animation("typed", 16))
    (track,) = read(reader, write(tmp_path / "typed.mp4", frames([words], 34)))
    assert track.text == "freeze the herbs"
    assert abs(track.first_frame - 4) <= 1
    assert track.entry.kind == "typed"


def test_the_last_letters_of_a_typed_line_that_goes_at_once_are_read(reader: RapidTextReader, tmp_path: Path) -> None:
    style = replace(OUTLINED, size=28.0, align="left")
    words = Words("freeze the herbs", 4, 20, style=style, entry=Animation("typed", 16))
    (track,) = read(reader, write(tmp_path / "typed.mp4", frames([words], 30)))
    assert track.text == "freeze the herbs"
    assert track.entry.kind == "typed"


def test_moving_text_is_one_track_with_a_place_per_frame(reader: RapidTextReader, tmp_path: Path) -> None:
    words = Words("measure", 0, 23, 0.5, replace(OUTLINED, size=30.0, align="left"), sway=3.0)
    (track,) = read(reader, write(tmp_path / "sway.mp4", frames([words], 24)))
    assert track.text == "measure"
    assert (track.first_frame, track.last_frame) == (0, 23)
    moves = np.array([track.offset_at(frame) for frame in range(24)])
    assert np.abs(np.diff(moves[:, 0]) - 3).max() <= 1
    assert np.abs(moves[:, 1]).max() <= 1
    line = track.lines[0]
    assert track.polygon_at(line, 23)[0][0] - track.polygon_at(line, 0)[0][0] == pytest.approx(69, abs=3)


def test_emoji_on_a_box_are_kept_in_the_text(reader: RapidTextReader, tmp_path: Path) -> None:
    words = Words("save this 🎯", 0, 15, 0.7, style=BOXED)
    (track,) = read(reader, write(tmp_path / "emoji.mp4", frames([words], 16)))
    assert track.text == "save this 🎯"
    (mark,) = track.lines[0].emoji
    assert mark.character == "🎯"
    assert min(x for x, _ in mark.polygon) > max(x for x, _ in track.lines[0].polygon)
    assert track.role is OverlayRole.CALL_TO_ACTION


def test_progress_is_reported_and_may_stop_the_work(reader: RapidTextReader, hook_clip: Path) -> None:
    def stop(done: int, total: int) -> None:
        assert 0 < done <= total
        raise Cancelled("The test stops the work.")

    with pytest.raises(Cancelled):
        reader.read_clip(hook_clip, probe(hook_clip), (Shot(0, 25),), stop)


class OneLine:
    """A script reader that knows one sentence."""

    def read(self, line: Image) -> ScriptReading | None:
        return ScriptReading("приготовь дважды", 0.6, "rus") if line.shape[0] == 48 else None


def test_other_scripts_are_found_always_and_read_where_a_reader_for_them_is(
    reader: RapidTextReader, model_files: Mapping[str, Path], tmp_path: Path
) -> None:
    words = Words("щдж фыл бью", 0, 19, style=replace(OUTLINED, font="tiktok-sans", weight=700))
    path = write(tmp_path / "other.mp4", frames([words], 20))
    (found,) = read(reader, path)
    (told,) = read(make_reader(model_files, OneLine()), path)
    assert (found.first_frame, found.last_frame) == (0, 19)
    assert np.abs(np.subtract(found.box, told.box)).max() < 8
    assert (told.text, told.lines[0].confidence) == ("приготовь дважды", 0.6)


def test_tesseract_is_run_as_a_program_and_trusted_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = "level\tpage\tblock\tpar\tline\tword\tleft\ttop\twidth\theight\tconf\ttext\n" + "".join(
        f"5\t1\t1\t1\t1\t{number}\t0\t0\t9\t9\t80\t{word}\n" for number, word in enumerate(("привет", "всем"), 1)
    )
    (tmp_path / "table.tsv").write_text(table)
    program = tmp_path / "tesseract"
    program.write_text(
        f'#!/bin/sh\nif [ "$1" = "--list-langs" ]; then echo "eng rus"; exit 0; fi\ncat >/dev/null\ncat "{tmp_path}/table.tsv"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = find_tesseract()
    assert isinstance(found, TesseractReader)
    assert found.languages == ("rus",)
    reading = found.read(np.full((48, 200, 3), 90, np.uint8))
    assert reading == ScriptReading("привет всем", round(0.8 * TRUST, 3), "rus")


def test_without_tesseract_there_is_no_script_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_tesseract() is None


def test_prediction_has_one_entry_per_line_in_seconds(hook: OverlayTrack, hook_clip: Path) -> None:
    (entry,) = prediction((hook,), read_times(hook_clip))["tracks"]
    assert entry["text"] == "cook it twice"
    assert entry["start_s"] == pytest.approx(5 / 30, abs=1e-3)
    assert entry["end_s"] == pytest.approx(21 / 30, abs=1e-3)
    assert len(entry["polygon"]) == 4


def test_the_command_writes_json_and_a_sheet(hook_clip: Path, tmp_path: Path) -> None:
    output, sheet = tmp_path / "pred.json", tmp_path / "sheet.png"
    done = CliRunner().invoke(app, ["read", str(hook_clip), "--json", str(output), "--sheet", str(sheet)])
    assert done.exit_code == 0, done.output
    assert "cook it twice" in done.output
    assert [entry["text"] for entry in json.loads(output.read_text())["tracks"]] == ["cook it twice"]
    picture = cv2.imread(str(sheet))
    assert picture is not None
    assert picture.shape[0] == 640


def test_emoji_on_a_line_of_their_own_belong_to_the_words_above(reader: RapidTextReader, tmp_path: Path) -> None:
    words = [Words("never buy this", 0, 15, 0.3), Words("💅🙌", 0, 15, 0.37)]
    (track,) = read(reader, write(tmp_path / "row.mp4", frames(words, 16)))
    assert track.text == "never buy this"
    assert [one.character for one in track.lines[-1].emoji] == ["💅", "🙌"]
    lowest = max(y for _, y in track.lines[-1].polygon)
    assert all(min(y for _, y in one.polygon) > lowest - 4 for one in track.lines[-1].emoji)


def test_colours_of_the_scene_below_words_are_no_emoji(reader: RapidTextReader, tmp_path: Path) -> None:
    scene = np.full((640, 360, 3), (90, 110, 120), np.uint8)
    cv2.circle(scene, (150, 237), 17, (20, 40, 230), -1)
    cv2.rectangle(scene, (190, 221), (222, 253), (40, 200, 240), -1)
    words = Words("never buy this", 0, 15, 0.3)
    (track,) = read(reader, write(tmp_path / "balls.mp4", frames([words], 16, scene=scene)))
    assert [one for line in track.lines for one in line.emoji] == []
