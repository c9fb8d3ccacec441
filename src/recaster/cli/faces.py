"""`recaster persona prepare` and `recaster swap`: the face room on local files, with progress bars."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import cv2
import typer

from recaster.cli.console import AsJson, progress_bars, show_json, show_table
from recaster.errors import InvalidInput
from recaster.infra.files import atomic_file, sha256_of
from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings
from recaster.media.faces import (
    FaceModels,
    Persona,
    face_sheet,
    judge,
    prepare_persona,
)
from recaster.media.progress import Progress
from recaster.remix import steps
from recaster.remix.engines import Engines
from recaster.remix.face_engines import with_swapper
from recaster.remix.planning import keep_texts

PICTURES = (".jpg", ".jpeg", ".png", ".webp")

persona_app = typer.Typer(help="Influencers' faces from pictures.", no_args_is_help=True)


@persona_app.command("prepare")
def prepare(
    folder: Annotated[Path, typer.Argument(help="Folder with pictures of one person.", exists=True, file_okay=False)],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Persona file to write.")] = None,
    as_json: AsJson = False,
) -> None:
    """Turn pictures of one person into a persona, and say what was used, what was not and what is missing."""
    models = FaceModels.of(ModelStore(Settings().folder("models")).paths())
    target = output if output is not None else folder / "persona.npz"
    with progress_bars() as bars:
        persona = prepare_persona(pictures_in(folder), models, bars.stage("persona"))
        persona.save(target)
    if as_json:
        show_json(
            {
                "output": str(target),
                "references": len(persona.references),
                "rejected": [{"picture": name, "reason": reason} for name, reason in persona.rejected],
                "missing": list(persona.missing),
            }
        )
        return
    show_table(("picture", "not used because"), persona.rejected)
    for wish in persona.missing:
        typer.echo(wish)
    typer.echo(f"{len(persona.references)} faces → {target}")


def swap(
    clip: Annotated[Path, typer.Argument(help="The video.", exists=True, dir_okay=False)],
    persona: Annotated[Path, typer.Option(help="Folder with pictures, or a file of `persona prepare`.", exists=True)],
    output: Annotated[Path, typer.Option("-o", "--output", help="The video that is written.")],
    face: Annotated[
        int | None, typer.Option(help="Whose face: 1 is the first found. Default: the one on camera.")
    ] = None,
    swapper: Annotated[
        str | None, typer.Option(help="Who draws the face: `mesh` or `onnx:NAME`; otherwise what the settings choose.")
    ] = None,
    sheet: Annotated[Path | None, typer.Option(help="Also write a picture of before and after, PNG.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put a persona's face on the person on camera; everything else of the video stays, text before the face too."""
    engines = Engines.of(with_swapper(Settings(), swapper))
    output.parent.mkdir(parents=True, exist_ok=True)
    with progress_bars() as bars:
        person = load_persona(persona, engines.face_models(), bars.stage("persona"))
        analysis = steps.analyse(clip, sha256_of(clip), engines, bars.stage("analyse"))
        if face is not None:
            analysis = replace(analysis, faces=analysis.faces.choosing(face))
        plan = keep_texts(analysis, persona_digest(persona), engines)
        rendered = steps.render(clip, analysis, plan, person, output, engines, bars.stage("swap"))
    faces = analysis.faces.tracks
    track = analysis.faces.require_on_camera()
    if sheet is not None:
        encoded = cv2.imencode(".png", face_sheet(clip, output, track))[1]
        with atomic_file(sheet) as file:
            file.write(encoded.tobytes())
    suitability = judge(track)
    rows = [
        (
            other.id,
            len(other.frames),
            f"{other.height:.0f}",
            "swapped" if other.id == track.id else "left",
            " ".join(judge(other).reasons),
        )
        for other in faces
    ]
    if as_json:
        show_json(
            {
                "output": str(output),
                "face": track.id,
                "swappedFrames": rendered.swapped_frames,
                "frames": analysis.facts.frame_count,
                "suitability": {"level": suitability.level, "reasons": list(suitability.reasons)},
                "faces": [dict(zip(("id", "frames", "height", "action", "notes"), row, strict=True)) for row in rows],
            }
        )
    else:
        show_table(("face", "frames", "height", "action", "notes"), rows)
        typer.echo(f"{rendered.swapped_frames} of {analysis.facts.frame_count} frames → {output}")


def pictures_in(folder: Path) -> list[Path]:
    """Pictures of a folder in order of their names.

    Raises:
        InvalidInput: there is none.
    """
    pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    if not pictures:
        raise InvalidInput(
            f"There is no picture in {folder}. Put JPEG, PNG or WebP files of one person there.",
            field="persona",
            value=str(folder),
            limit=", ".join(PICTURES),
        )
    return pictures


def load_persona(path: Path, models: FaceModels, progress: Progress) -> Persona:
    """A persona of a folder with pictures, or of a file that `recaster persona prepare` wrote.

    Raises:
        InvalidInput: there is no picture in the folder.
        InfluencerUnusable: the pictures show no usable face, or the file is none of ours or of another version.
    """
    if path.is_dir():
        return prepare_persona(pictures_in(path), models, progress)
    return Persona.load(path)


def persona_digest(path: Path) -> str:
    """SHA-256 of a persona's file, or over those of all pictures of its folder, in order."""
    if path.is_file():
        return sha256_of(path)
    digest = hashlib.sha256()
    for picture in pictures_in(path):
        digest.update(bytes.fromhex(sha256_of(picture)))
    return digest.hexdigest()
