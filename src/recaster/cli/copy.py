"""`recaster copy`: the overlays of one video and what they would say for a brand; nothing is drawn.

`recaster formulas check` is for whoever edits the formulas.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import TypeAdapter, ValidationError

from recaster.cli.console import AsJson, ProgressBars, progress_bars, show_json, show_table
from recaster.errors import InvalidInput
from recaster.infra.files import sha256_of
from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings
from recaster.media.copywriting import BrandProfile, CopyRequest
from recaster.media.copywriting.checks import graphemes
from recaster.media.copywriting.corpus import CORPUS_LANGUAGES, corpus_problems, load_corpus
from recaster.media.overlays import OverlayTrack, tracks_from_json
from recaster.media.video import VideoFacts, find_shots, probe
from recaster.remix.engines import LOCAL_MODEL, Engines, copy_adapter
from recaster.remix.planning import copy_lines, room

formulas_app = typer.Typer(help="The formulas of the embedded copy adapter.", no_args_is_help=True)
_FACTS = TypeAdapter(VideoFacts)


def copy(
    source: Annotated[Path, typer.Argument(help="A video, or the analysis.json of one.", exists=True, dir_okay=False)],
    brand: Annotated[Path, typer.Option(help="Brand profile, see examples/brand.toml.")],
    language: Annotated[str | None, typer.Option(help="Language of the new texts; otherwise the profile's.")] = None,
    adapter: Annotated[
        Literal["formula", "provider", "local"] | None, typer.Option(help="Who writes; otherwise the setting's.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the overlays of a video would say for a brand, old and new, with role, length and path."""
    profile = BrandProfile.from_toml(brand)
    settings = Settings()
    if adapter is not None:
        settings = settings.model_copy(update={"copy_adapter": adapter})
    store = ModelStore(settings.folder("models"))
    with progress_bars() as bars:
        overlays, facts, seed = _read(source, settings, bars)
        fits = room(overlays, facts, Engines({}, settings).drawer())
        lines = copy_lines(overlays, facts, fits)
        writer = copy_adapter(settings, store.path(LOCAL_MODEL) if settings.copy_adapter == "local" else None)
        request = CopyRequest(lines, profile, language or profile.primary_language, seed=seed)
        result = writer.adapt(request, fits, bars.stage("adapt"))
    if as_json:
        show_json(
            {
                "language": request.language,
                "adapter": result.adapter,
                "settings": dict(result.settings),
                "lines": [
                    {
                        "id": line.id,
                        "role": line.role.value,
                        "from": line.source_text,
                        "to": line.text,
                        "length": graphemes(line.text),
                        "maxLength": fits(line.id, line.text).max_graphemes,
                        "action": line.action,
                        "path": line.path,
                        "reason": line.reason,
                    }
                    for line in result.lines
                ],
            }
        )
        return
    show_table(
        ("role", "old text", "new text", "length", "path"),
        [
            (
                line.role.value,
                line.source_text,
                line.text if line.action == "adapted" else "(kept)",
                f"{graphemes(line.source_text)} → {graphemes(line.text)}",
                line.path,
            )
            for line in result.lines
        ],
    )
    typer.echo(f"{result.adapter}, {request.language}")


@formulas_app.command("check")
def check(
    folder: Annotated[
        Path | None, typer.Argument(help="Formulas of one's own, `<language>/*.toml`; otherwise the setting's.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read all formulas and say what is wrong with them; exit code 2 where something is."""
    own = folder or Settings().copy_formulas
    if own is not None and not own.is_dir():
        raise InvalidInput(f"There is no folder {own}.", field="folder", value=str(own))
    rows: list[tuple[str, int, int]] = []
    problems: list[str] = []
    for language in CORPUS_LANGUAGES:
        corpus = load_corpus(language, own)
        problems += corpus_problems(corpus)
        rows.append((language, len(corpus.formulas), sum(len(formula.write) for formula in corpus.formulas)))
    if as_json:
        languages = [dict(zip(("language", "formulas", "wordings"), row, strict=True)) for row in rows]
        show_json({"languages": languages, "problems": problems})
    else:
        show_table(("language", "formulas", "wordings"), rows)
        for problem in problems:
            typer.echo(problem)
    if problems:
        raise typer.Exit(InvalidInput.exit_code)


def _read(source: Path, settings: Settings, bars: ProgressBars) -> tuple[tuple[OverlayTrack, ...], VideoFacts, int]:
    """Return the overlays of a video or of a stored analysis, the video's facts, and the seed that a remix would take."""
    if source.suffix.lower() != ".json":
        digest = sha256_of(source)
        facts = probe(source)
        shots = find_shots(source, facts, bars.stage("shots"))
        reader = Engines.of(settings).reader()
        return reader.read_clip(source, facts, shots, bars.stage("read")), facts, int(digest[:8], 16)
    try:
        values = json.loads(source.read_text(encoding="utf-8"))
        facts = _FACTS.validate_python(values["facts"])
        return tracks_from_json(values["overlays"]), facts, int(values["sha256"][:8], 16)
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValidationError) as error:
        raise InvalidInput(
            f"{source} is not an analysis of this program: {type(error).__name__}. Give the video itself, or the "
            "analysis.json that a remix has stored.",
            field="source",
            value=str(source),
        ) from error
