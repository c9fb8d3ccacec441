"""Measure the embedded copy adapter on the frozen set and write `results.md`.

    PYTHONPATH=src python bench/copywriting/run.py

It needs no network and no model. Verdicts are a person's: `verdicts.toml` holds every text that was read and what was
wrong with it; a text that is not there counts as unread and the run says so.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from measure import Outcome, Video, load_brands, load_videos, run, run_all
from scorer import judge

from recaster.media.copywriting.corpus import CORPUS_LANGUAGES, load_corpus
from recaster.media.copywriting.structure import classify
from recaster.media.overlays.model import OverlayRole

HERE = Path(__file__).parent
MACHINE = "2 shared x86-64 cores, no GPU"
DATE = "2026-11-24"
COMMAND = "PYTHONPATH=src python bench/copywriting/run.py"
TOLD_BY_WORDS = (
    OverlayRole.TEXT,
    OverlayRole.SETUP,
    OverlayRole.PUNCHLINE,
    OverlayRole.SUSPENSE,
    OverlayRole.CALL_TO_ACTION,
)


def main() -> int:
    """Run everything, write the results, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--unread", action="store_true", help="print the new texts that nobody has read yet")
    arguments = parser.parse_args()
    videos = load_videos()
    english = tuple(video for video in videos if video.language == "en")
    plain, banked = run_all(english, "en", bank=False), run_all(english, "en", bank=True)
    translated = {tag: run_all(english, tag, bank=True) for tag in CORPUS_LANGUAGES if tag != "en"}
    own = {
        tag: run_all(tuple(video for video in videos if video.language == tag), None, bank=False)
        for tag in CORPUS_LANGUAGES
        if tag != "en"
    }
    verdicts: dict[str, str] = tomllib.loads((HERE / "verdicts.toml").read_text(encoding="utf-8"))["verdicts"]
    if arguments.unread:
        for text in unread(plain, verdicts):
            print(text)
        return 0
    table = bars(plain, banked, translated, verdicts)
    (HERE / "results.md").write_text(report(table, plain, banked, translated, own, verdicts), encoding="utf-8")
    for row in table:
        print(" | ".join(row))
    return 0


def unread(outcomes: Iterable[Outcome], verdicts: dict[str, str]) -> list[str]:
    """Return the texts without a verdict."""
    return [line.text for outcome in outcomes for line in outcome.adapted if line.text not in verdicts]


def share(outcomes: Sequence[Outcome]) -> tuple[int, int]:
    """Return how many lines were adapted, and of how many."""
    return sum(len(one.adapted) for one in outcomes), sum(len(one.wanted) for one in outcomes)


def percent(part: int, whole: int) -> str:
    """Return a share with its counts."""
    return f"{part / whole:.1%} ({part} of {whole})"


def bars(
    plain: list[Outcome], banked: list[Outcome], translated: dict[str, list[Outcome]], verdicts: dict[str, str]
) -> list[tuple[str, str, str, str]]:
    """Return the table: measure, bar, figure, met or missed."""
    everything = [*plain, *banked, *(one for outcomes in translated.values() for one in outcomes)]
    lines = sum(len(one.lines) for one in everything)
    broken = sum(len(one.violations) for one in everything)
    adapted, wanted = share(plain)
    with_bank, of = share(banked)
    texts = [line.text for one in plain for line in one.adapted]
    read = [text for text in texts if text in verdicts]
    fit = sum(not verdicts[text] for text in read)
    bad, good = judge()
    refused, accepted = sum(bool(line.rules) for line in bad), sum(not line.rules for line in good)
    middle, longest, fresh = timing()
    rows = [
        ("lines that pass every hard check", "100 %", percent(lines - broken, lines), broken == 0),
        ("English lines adapted, no message bank", "≥ 60 %", percent(adapted, wanted), adapted >= 0.6 * wanted),
        ("English lines adapted, with a message bank", "≥ 95 %", percent(with_bank, of), with_bank >= 0.95 * of),
        (
            "of those without a bank, fit to publish unedited",
            "≥ 85 %",
            f"{percent(fit, len(read))}, {len(texts) - len(read)} unread",
            fit >= 0.85 * len(texts),
        ),
    ]
    for tag, outcomes in translated.items():
        part, whole = share(outcomes)
        left = sum(rule.rule in ("leftover", "untranslated") for one in outcomes for rule in one.violations)
        rows.append(
            (
                f"en → {tag}, with a bank in {tag}",
                "≥ 90 %, 0 leftovers",
                f"{percent(part, whole)}, {left} leftovers",
                part >= 0.9 * whole and left == 0,
            )
        )
    rows += [
        ("CPU time for 10 lines, median and longest", "≤ 0.5 s", f"{middle:.2f} s, {longest:.2f} s", longest <= 0.5),
        ("the same, first video of a process", "≤ 0.5 s", f"{fresh:.2f} s", fresh <= 0.5),
        ("scorer: bad lines refused", "≥ 90 %", percent(refused, len(bad)), refused >= 0.9 * len(bad)),
        ("scorer: good lines accepted", "≥ 95 %", percent(accepted, len(good)), accepted >= 0.95 * len(good)),
    ]
    return [(name, bar, figure, "met" if met else "missed") for name, bar, figure, met in rows]


def timing() -> tuple[float, float, float]:
    """Return the CPU seconds for ten lines: median and longest in a process that has written before, median in a fresh one."""
    english = [video for video in load_videos() if video.language == "en"]
    lines = [line for video in english for line in video.lines]
    spent = []
    for number in range(15):
        ten = tuple(replace(line, id=f"ov{place}") for place, line in enumerate(lines[10 * number : 10 * number + 10]))
        spent.append(run(Video(f"ten{number}", "en", ten), load_brands()[number % 5], "en").cpu_seconds)
    script = (
        "import sys; sys.path.insert(0, 'bench/copywriting')\n"
        "from measure import *\n"
        "v = load_videos()\n"
        "ten = tuple(replace(line, id=f'ov{i}') for i, line in enumerate([l for x in v for l in x.lines][:10]))\n"
        "print(run(Video('ten', 'en', ten), load_brands()[0], 'en').cpu_seconds)\n"
    ).replace("from measure import *\n", "from dataclasses import replace\nfrom measure import *\n")
    fresh = [
        float(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    ]
    return statistics.median(spent), max(spent), statistics.median(fresh)


def roles(videos: Iterable[Video]) -> tuple[int, int]:
    """Return how many of the roles that are told by words are told as a person told them, and of how many.

    The reader of overlays finds hooks, captions and list items by form; what it calls plain text is given as such.
    """
    right = told = 0
    for video in videos:
        given = tuple(
            replace(line, role=OverlayRole.TEXT) if line.role in TOLD_BY_WORDS else line for line in video.lines
        )
        for wanted, found in zip(video.lines, classify(given), strict=True):
            if wanted.role in TOLD_BY_WORDS:
                told += 1
                right += wanted.role is found.role
    return right, told


def framed_share(outcomes: Iterable[Outcome]) -> tuple[int, int]:
    """Return how many adapted lines are the source's own sentence with an opening or an end, and of how many."""
    lines = [line for one in outcomes for line in one.adapted if line.path == "formula"]
    return sum("{all}" in line.reason or "{clause}" in line.reason for line in lines), len(lines)


def report(
    table: list[tuple[str, str, str, str]],
    plain: list[Outcome],
    banked: list[Outcome],
    translated: dict[str, list[Outcome]],
    own: dict[str, list[Outcome]],
    verdicts: dict[str, str],
) -> str:
    """Return the results as Markdown."""
    told = roles(load_videos())
    framed = framed_share(plain)
    parts = [
        "# Copywriting: what the embedded adapter does\n",
        f"Command: `{COMMAND}` · {DATE} · {MACHINE} · made-up brands and videos, see `README.md`.\n",
        _table(("measure", "bar", "figure", ""), table),
        "\n## Beside the bars\n",
        _table(
            ("measure", "figure"),
            [
                ("roles told by words as a person told them", percent(*told)),
                ("adapted without a bank by an opening or an end around the source's own sentence", percent(*framed)),
                *((f"{tag} → {tag}, no message bank: lines adapted", percent(*share(own[tag]))) for tag in own),
                *(
                    (
                        f"formulas and wordings, {tag}",
                        f"{len(corpus.formulas)}, {sum(len(f.write) for f in corpus.formulas)}",
                    )
                    for tag in CORPUS_LANGUAGES
                    for corpus in (load_corpus(tag),)
                ),
            ],
        ),
        "\n" + (HERE / "history.md").read_text(encoding="utf-8"),
        "\n## English, no message bank: every line and its verdict\n",
        *(_listing(one, verdicts) for one in plain),
        "\n## English, with a message bank\n",
        *(_listing(one, None) for one in banked),
    ]
    for tag, outcomes in translated.items():
        parts += [f"\n## en → {tag}, with a message bank\n", *(_listing(one, None) for one in outcomes)]
    for tag, outcomes in own.items():
        parts += [f"\n## {tag} → {tag}, no message bank\n", *(_listing(one, None) for one in outcomes)]
    return "\n".join(parts) + "\n"


def _listing(outcome: Outcome, verdicts: dict[str, str] | None) -> str:
    head = f"\n**{outcome.video.id}**, {outcome.brand}\n"
    if outcome.refusal:
        return f"{head}\nRefused: {outcome.refusal}\n"
    rows = []
    for line in outcome.lines:
        new = line.text if line.action == "adapted" else "(kept)"
        row = [line.role.value, line.source_text, new, line.path]
        if verdicts is not None:
            row.append("" if line.action == "kept" else _verdict(verdicts.get(line.text)))
        rows.append(row)
    columns = ("role", "old", "new", "path", *(() if verdicts is None else ("verdict",)))
    return f"{head}\n{_table(columns, rows)}"


def _verdict(reason: str | None) -> str:
    return "unread" if reason is None else f"unfit: {reason}" if reason else "fit"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    started = time.process_time()
    code = main()
    print(f"{time.process_time() - started:.0f} s of CPU time", file=sys.stderr)
    sys.exit(code)
