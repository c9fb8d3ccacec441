"""`recaster erase` and `recaster reset`: burned-in text out of a local clip, or other words in its place and look."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from recaster.cli.console import AsJson, ProgressBars, progress_bars, show_json, show_table
from recaster.demo.sheet import contact_sheet
from recaster.errors import InvalidInput
from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings
from recaster.media.overlays import OverlayRole, OverlayTrack, erase_clip, reset_clip, tracks_from_json
from recaster.media.video import EncoderSettings, find_shots, probe
from recaster.media.video.model import Shot, VideoFacts
from recaster.remix.engines import FILL_MODEL, Engines

Clip = Annotated[Path, typer.Argument(help="The video.", exists=True, dir_okay=False)]
Output = Annotated[Path, typer.Option("-o", "--output", help="The video that is written.")]
Overlays = Annotated[
    Path | None,
    typer.Option(help="Overlays as JSON (schema recaster.overlays/1) instead of reading the clip.", exists=True),
]
Sheet = Annotated[Path | None, typer.Option(help="Also write a PNG with moments before and after.")]
Lossless = Annotated[
    bool,
    typer.Option("--lossless", help="Write every pixel to the bit (RGB H.264), for measuring and further editing."),
]
Marks = Annotated[
    bool,
    typer.Option("--marks", help="Also erase handles and watermarks of the source's creator. Have the right to do so."),
]
KEPT_ROLES = (OverlayRole.HANDLE, OverlayRole.WATERMARK)


def erase(
    clip: Clip,
    output: Output,
    overlays: Overlays = None,
    sheet: Sheet = None,
    lossless: Lossless = False,
    marks: Marks = False,
    as_json: AsJson = False,
) -> None:
    """Erase the burned-in text of a video and restore what is behind it."""
    engines = _engines(overlays)
    output.parent.mkdir(parents=True, exist_ok=True)
    with progress_bars() as bars:
        facts, shots, found = _read(clip, overlays, engines, bars)
        erased = tuple(track for track in found if marks or track.role not in KEPT_ROLES)
        encoder = EncoderSettings(lossless=lossless)
        erase_clip(clip, output, facts, shots, erased, engines.eraser(), bars.stage("erase"), encoder=encoder)
    if sheet is not None:
        contact_sheet(clip, output, sheet)
    rows = [
        (track.id, track.role.value, track.text.replace("\n", " "), "erased" if track in erased else "kept")
        for track in found
    ]
    _report(output, ("overlay", "role", "text", "what"), rows, as_json)


def reset(
    clip: Clip,
    texts: Annotated[
        Path,
        typer.Option(
            help='JSON object: overlay id, or old text, to new text: {"ov1": "new words", "old words": null}. '
            "null only erases; overlays that are not named stay.",
            exists=True,
            dir_okay=False,
        ),
    ],
    output: Output,
    overlays: Overlays = None,
    sheet: Sheet = None,
    lossless: Lossless = False,
    as_json: AsJson = False,
) -> None:
    """Replace burned-in text by other words in the same place, look and timing."""
    engines = _engines(overlays)
    output.parent.mkdir(parents=True, exist_ok=True)
    wanted = _texts(texts)
    with progress_bars() as bars:
        facts, shots, found = _read(clip, overlays, engines, bars)
        chosen = _assigned(wanted, found)
        erased = tuple(track for track in found if track.id in chosen)
        new = {key: text for key, text in chosen.items() if text is not None}
        encoder = EncoderSettings(lossless=lossless)
        eraser, drawer = engines.eraser(), engines.drawer()
        laid = reset_clip(clip, output, facts, shots, erased, new, eraser, drawer, bars.stage("reset"), encoder=encoder)
    if sheet is not None:
        contact_sheet(clip, output, sheet)
    rows = [
        (
            track.id,
            track.text.replace("\n", " "),
            laid[track.id].text.replace("\n", " / ") if track.id in laid else "",
            f"{laid[track.id].scale:.0%}" if track.id in laid else "erased" if track.id in chosen else "kept",
        )
        for track in found
    ]
    _report(output, ("overlay", "old text", "new text", "size"), rows, as_json)


def _engines(overlays: Path | None) -> Engines:
    settings = Settings()
    if overlays is None:
        return Engines.of(settings)
    store = ModelStore(settings.folder("models"))
    return Engines({FILL_MODEL: store.path(FILL_MODEL)}, settings)  # nothing is read: no reader's model is needed


def _read(
    clip: Path, overlays: Path | None, engines: Engines, bars: ProgressBars
) -> tuple[VideoFacts, tuple[Shot, ...], tuple[OverlayTrack, ...]]:
    facts = probe(clip)
    shots = find_shots(clip, facts, bars.stage("shots"))
    if overlays is not None:
        return facts, shots, tracks_from_json(_json_object(overlays, "overlays"))
    return facts, shots, engines.reader().read_clip(clip, facts, shots, bars.stage("read"))


def _json_object(path: Path, field: str) -> dict[str, object]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InvalidInput(
            f"{path.name} is not JSON ({error}). Write a JSON object in UTF-8.", field=field, value=path.name
        ) from error
    if not isinstance(document, dict):
        raise InvalidInput(f"{path.name} holds no JSON object. Write one in braces.", field=field, value=path.name)
    return document


def _texts(path: Path) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for key, text in _json_object(path, "texts").items():
        if text is not None and (not isinstance(text, str) or not text.strip()):
            raise InvalidInput(
                f"The text for '{key}' is {text!r}. Give words, or null to erase only.", field="texts", value=key
            )
        found[key] = text
    return found


def _assigned(wanted: dict[str, str | None], tracks: tuple[OverlayTrack, ...]) -> dict[str, str | None]:
    """New texts by overlay id; a key that is no id names every overlay whose old text it is."""
    chosen: dict[str, str | None] = {}
    for key, text in wanted.items():
        ids = [track.id for track in tracks if key == track.id or _plain(key) == _plain(track.text)]
        if not ids:
            listed = "; ".join(f"{track.id}: {' '.join(track.text.split())}" for track in tracks)
            raise InvalidInput(
                f"No overlay of this clip has the id or the text '{key}'. There are: {listed or 'none'}.",
                field="texts",
                value=key,
                limit=[track.id for track in tracks],
            )
        chosen |= dict.fromkeys(ids, text)
    return chosen


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _report(output: Path, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]], as_json: bool) -> None:
    if as_json:
        show_json({"output": str(output), "overlays": [dict(zip(columns, row, strict=True)) for row in rows]})
    else:
        show_table(columns, rows)
        typer.echo(str(output))
