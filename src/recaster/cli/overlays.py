"""`recaster read`: what is burned into a video, as a table, as JSON and as a picture to check it by."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

from recaster.cli.console import progress_bars, show_json, show_table
from recaster.infra.files import atomic_file
from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings
from recaster.media.overlays import OverlayTrack, RapidTextReader, TextModels, find_tesseract
from recaster.media.overlays.prediction import prediction
from recaster.media.video import Image, find_shots, probe, read_frames, read_times

SHEET_HEIGHT = 640
"""Height of one frame on a sheet, in pixels."""
SHEET_COLUMNS = 6
_MARK = (60, 220, 40)


def read(
    clip: Annotated[Path, typer.Argument(help="The video whose texts are read.", exists=True, dir_okay=False)],
    output: Annotated[
        Path | None, typer.Option("--json", help="Write one entry per line of text as JSON here.", dir_okay=False)
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Write a PNG with the outlines of what was found here.", dir_okay=False)
    ] = None,
    print_json: Annotated[bool, typer.Option("--print-json", help="Print the JSON instead of a table.")] = False,
) -> None:
    """Find and read burned-in text: words, exact times, place, role and look of every overlay."""
    store = ModelStore(Settings().folder("models"))
    models = TextModels(store.path("text_detector"), store.path("text_recogniser"))
    reader = RapidTextReader(models, scripts=find_tesseract())
    facts = probe(clip)
    times = read_times(clip)
    with progress_bars() as bars:
        shots = find_shots(clip, facts, bars.stage("shots"))
        tracks = reader.read_clip(clip, facts, shots, bars.stage("read"))
    document = prediction(tracks, times)
    if output is not None:
        with atomic_file(output) as file:
            file.write(json.dumps(document, ensure_ascii=False, indent=1).encode())
    if sheet is not None:
        with atomic_file(sheet) as file:
            file.write(cv2.imencode(".png", draw_sheet(clip, tracks))[1].tobytes())
    if print_json:
        show_json(document)
    else:
        show_table(("track", "from", "to", "role", "look", "text", "confidence"), _rows(tracks, times))


def _rows(tracks: Sequence[OverlayTrack], times: Sequence[tuple[Fraction, Fraction]]) -> list[tuple[str, ...]]:
    def seconds(moment: Fraction) -> str:
        return f"{float(moment - times[0][0]):.2f} s"

    return [
        (
            track.id,
            seconds(times[track.first_frame][0]),
            seconds(sum(times[track.last_frame], start=Fraction(0))),
            track.role.value,
            _look(track),
            track.text if track.text.strip() else "(not read)",
            f"{track.confidence:.2f}",
        )
        for track in tracks
    ]


def _look(track: OverlayTrack) -> str:
    style = track.style
    parts = [f"{style.font} {style.weight}, {style.size:.0f} px"]
    parts += [
        name for name, there in (("stroke", style.stroke), ("shadow", style.shadow), ("slab", style.slab)) if there
    ]
    parts += [f"{word} {move.kind}" for word, move in (("in", track.entry), ("out", track.exit)) if move.kind != "none"]
    return ", ".join(parts)


def draw_sheet(clip: Path, tracks: Sequence[OverlayTrack]) -> Image:
    """One frame per track, at its reference frame, with the outlines of all lines that stand there."""
    wanted = sorted({track.reference_frame for track in tracks}) or [0]
    cells = []
    for frame in read_frames(clip, 0, wanted[-1] + 1):
        if frame.index not in wanted:
            continue
        picture = frame.image
        for track in tracks:
            if track.first_frame <= frame.index <= track.last_frame:
                for line in track.lines:
                    corners = np.rint(np.array(track.polygon_at(line, frame.index))).astype(np.int32)
                    cv2.polylines(picture, [corners], True, _MARK, 2, cv2.LINE_AA)
                    left, top = corners.min(axis=0)
                    name = f"{track.id} {track.role.value}"
                    cv2.putText(picture, name, (int(left), int(top) - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.6, _MARK, 2)
        scale = SHEET_HEIGHT / picture.shape[0]
        width = max(1, round(picture.shape[1] * scale))
        cells.append(np.asarray(cv2.resize(picture, (width, SHEET_HEIGHT), interpolation=cv2.INTER_AREA), np.uint8))
    rows = [cells[start : start + SHEET_COLUMNS] for start in range(0, len(cells), SHEET_COLUMNS)]
    empty = np.zeros_like(cells[0])
    filled = [row + [empty] * (min(SHEET_COLUMNS, len(cells)) - len(row)) for row in rows]
    return np.asarray(np.vstack([np.hstack(row) for row in filled]), np.uint8)
