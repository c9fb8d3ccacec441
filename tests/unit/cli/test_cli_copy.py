"""`recaster copy` on a stored analysis, and `recaster formulas check`."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from typer.testing import CliRunner

from recaster.cli import app
from recaster.errors import InvalidInput
from recaster.media.overlays import tracks_to_json
from recaster.media.overlays.model import Animation, OverlayLine, OverlayRole, OverlayTrack, Stroke, TextStyle
from recaster.media.video import VideoFacts
from recaster.media.video.model import ColorTags

pytestmark = pytest.mark.unit

EXAMPLE = Path(__file__).parents[3] / "examples" / "brand.toml"
STYLE = TextStyle(
    "tiktok-sans", 700, 60.0, (255, 255, 255), 1.0, Stroke((0, 0, 0), 4.0), None, None, "center", 1.2, 0.0
)
LINES = (
    "3 things I wish I knew before moving",
    "1. label every box",
    "2. pack a first night bag",
    "3. eat",
    "save this 📌",
    "@jane",
)


@pytest.fixture
def analysis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECASTER_HOME", str(tmp_path / "home"))
    facts = VideoFacts(
        "mp4", "h264", 1080, 1920, 0, Fraction(1, 15360), Fraction(30), 600, Fraction(20),
        ColorTags(), None, 1000,
    )  # fmt: skip
    tracks = tuple(
        OverlayTrack(
            id=f"ov{number}",
            lines=(OverlayLine(text, ((90.0, 0.0), (990.0, 0.0), (990.0, 70.0), (90.0, 70.0)), 0.99),),
            first_frame=90 * (number - 1),
            last_frame=90 * number - 1,
            reference_frame=90 * number - 5,
            box=(60.0, 400.0, 1020.0, 480.0),
            offsets=(),
            style=STYLE,
            entry=Animation("none", 0),
            exit=Animation("none", 0),
            role=OverlayRole.HOOK if number == 1 else OverlayRole.TEXT,
            confidence=0.99,
        )
        for number, text in enumerate(LINES, 1)
    )
    values = {
        "version": 1,
        "sha256": "ab" * 32,
        "facts": TypeAdapter(VideoFacts).dump_python(facts, mode="json"),
        "shots": [[0, 599]],
        "overlays": tracks_to_json(tracks),
    }
    path = tmp_path / "analysis.json"
    path.write_text(json.dumps(values))
    return path


def test_a_table_of_old_and_new_with_role_length_and_path(analysis: Path) -> None:
    result = CliRunner().invoke(app, ["copy", str(analysis), "--brand", str(EXAMPLE)], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert "old text" in result.stdout
    assert "list_item" in result.stdout
    assert "bank" in result.stdout
    assert "(kept)" in result.stdout
    assert "formula/" in result.stdout


def test_json_for_a_script(analysis: Path) -> None:
    result = CliRunner().invoke(app, ["copy", str(analysis), "--brand", str(EXAMPLE), "--json"])
    lines = json.loads(result.stdout)["lines"]
    assert [line["role"] for line in lines] == [
        "hook",
        "list_item",
        "list_item",
        "list_item",
        "call_to_action",
        "handle",
    ]
    assert lines[5]["action"] == "kept"
    assert lines[1]["to"].startswith("1. ")
    assert all(line["length"] <= line["maxLength"] for line in lines)
    assert all(line["reason"] for line in lines)


def test_another_language_without_a_bank_says_which_lines_and_what_helps(analysis: Path) -> None:
    result = CliRunner().invoke(app, ["copy", str(analysis), "--brand", str(EXAMPLE), "--language", "sv"])
    assert isinstance(result.exception, Exception)
    assert "message bank" in str(result.exception)
    assert "There are no formulas in sv" in str(result.exception)


def test_what_is_no_analysis_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECASTER_HOME", str(tmp_path / "home"))
    path = tmp_path / "other.json"
    path.write_text('{"a": 1}')
    result = CliRunner().invoke(app, ["copy", str(path), "--brand", str(EXAMPLE)])
    assert isinstance(result.exception, InvalidInput)


def test_the_formulas_that_ship_are_good_and_bad_ones_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECASTER_HOME", str(tmp_path / "home"))
    good = CliRunner().invoke(app, ["formulas", "check", "--json"])
    assert good.exit_code == 0
    counts = {entry["language"]: entry["formulas"] for entry in json.loads(good.stdout)["languages"]}
    assert counts["en"] >= 150
    assert min(counts.values()) >= 60
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "own.toml").write_text('[x]\nrole = "hook"\nmatch = ["hi"]\nwrite = ["{y} there"]\n')
    bad = CliRunner().invoke(app, ["formulas", "check", str(tmp_path)])
    assert bad.exit_code == 2
    assert "[x]" in bad.stdout
