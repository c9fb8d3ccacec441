"""Formulas of one's own, and what the validator tells whoever edits them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from recaster.errors import InvalidInput
from recaster.media.copywriting import BrandProfile, CopyLine, CopyRequest, FitVerdict, FormulaAdapter
from recaster.media.copywriting.corpus import compile_pattern, corpus_problems, load_corpus
from recaster.media.overlays.model import OverlayRole

pytestmark = pytest.mark.unit


def written(folder: Path, text: str, language: str = "en") -> Path:
    (folder / language).mkdir(exist_ok=True)
    (folder / language / "own.toml").write_text(text, encoding="utf-8")
    return folder


def test_formulas_of_ones_own_are_used_and_replace_those_of_the_same_name(tmp_path: Path) -> None:
    folder = written(
        tmp_path, '[wait_for_it]\nrole = "suspense"\nmatch = ["wait for it"]\nwrite = ["patience, friend"]\n'
    )
    line = CopyLine("a", OverlayRole.SUSPENSE, "wait for it", 40, 3.0)
    result = FormulaAdapter(folder).adapt(
        CopyRequest((line,), BrandProfile(name="X"), "en"), lambda _, text: FitVerdict(True, 40)
    )
    assert result.lines[0].text == "patience, friend"
    assert len(load_corpus("en", folder).formulas) == len(load_corpus("en").formulas)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ('[a]\nrole = "hook"\nmatch = ["how to {do}"]\nwrite = ["a way to {x}"]', "no `match` offers"),
        ('[a]\nrole = "hook"\nwrite = ["about {x}"]', "no `match` to take them from"),
        ('[a]\nrole = "hook"\nmatch = ["hi"]\nwrite = []', "`write` is empty"),
        ('[a]\nrole = "hook"\nmatch = ["hi"]\nwrite = ["ho", "Ho"]', "stands there twice"),
        ('[a]\nrole = "hook"\nmatch = ["hi"]\nwrite = ["ho  ho"]', "space"),
        (f'[a]\nrole = "hook"\nmatch = ["hi"]\nwrite = ["{"o" * 71}"]', "longer than 70"),
    ],
)
def test_the_validator_names_the_table_and_what_is_wrong(table: str, complaint: str, tmp_path: Path) -> None:
    problems = corpus_problems(load_corpus("en", written(tmp_path, table)))
    assert any("[a]" in problem and complaint in problem for problem in problems)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[a]\nrole = "hok"\nwrite = ["x"]', "hok"),
        ('[a]\nwrite = ["x"]', "no `role`"),
        ('[a]\nrole = "hook"\nwrte = ["x"]', "unknown field `wrte`"),
        ('[a]\nrole = "hook"\nmatch = ["(unclosed"]\nwrite = ["x"]', "is wrong"),
        ("[a\n", "not a TOML file"),
        ("a = 1\n", "no table"),
    ],
)
def test_a_broken_file_is_refused_naming_file_and_table(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=re.escape(complaint)) as refusal:
        load_corpus("en", written(tmp_path, text))
    assert "own.toml" in refusal.value.message


def test_a_voice_of_its_own_is_used_for_that_voice_only(tmp_path: Path) -> None:
    folder = written(
        tmp_path, '[greet]\nrole = "text"\nmatch = ["zymurgy"]\nwrite = ["plain words"]\nwitty = ["funny words"]\n'
    )
    texts = {
        voice: {
            FormulaAdapter(folder)
            .adapt(
                CopyRequest(
                    (CopyLine("a", OverlayRole.TEXT, "zymurgy", 40, 3.0),),
                    BrandProfile(name="X", brand_voice=voice),  # type: ignore[arg-type]
                    "en",
                    source_language="en",
                    seed=seed,
                ),
                lambda _, text: FitVerdict(True, 40),
            )
            .lines[0]
            .text
            for seed in range(8)
        }
        for voice in ("warm", "witty")
    }
    assert texts["warm"] == {"plain words"}
    assert "funny words" in texts["witty"]


@pytest.mark.parametrize(
    ("pattern", "line", "holds"),
    [
        ("{n} things i {x}", "3 things I pack", {"n": "3", "x": "pack"}),
        ("me at {t} {ing}", "me at 2am eating cake", {"t": "2am", "ing": "eating cake"}),
        ("(save|keep) this( now|)", "Keep this", {}),
        ("stop {ing}", "stop the car", None),
    ],
)
def test_notation(pattern: str, line: str, holds: dict[str, str] | None) -> None:
    found = compile_pattern(pattern).fullmatch(line)
    assert (None if found is None else {key: value for key, value in found.groupdict().items() if value}) == holds
