"""`recaster remix`: the whole pipeline on local files, without a server, with progress bars."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from recaster.cli.console import AsJson, progress_bars, show_json, show_table
from recaster.cli.faces import load_persona, persona_digest
from recaster.infra.files import sha256_of
from recaster.infra.settings import Settings
from recaster.media.copywriting import BrandProfile
from recaster.remix import steps
from recaster.remix.engines import Engines
from recaster.remix.face_engines import with_swapper
from recaster.remix.planning import adapt


def remix(
    source: Annotated[Path, typer.Argument(help="The video that is remixed.", exists=True, dir_okay=False)],
    persona: Annotated[Path, typer.Option(help="Folder with pictures, or a file of `persona prepare`.", exists=True)],
    brand: Annotated[Path, typer.Option(help="Brand profile, see examples/brand.toml.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The video that is written.")],
    swapper: Annotated[
        str | None, typer.Option(help="Who draws the face: `mesh` or `onnx:NAME`; otherwise what the settings choose.")
    ] = None,
    plan: Annotated[Path | None, typer.Option(help="Also write the plan as JSON here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Remix a local video: new texts, new face, same sound and timing."""
    profile = BrandProfile.from_toml(brand)
    output.parent.mkdir(parents=True, exist_ok=True)
    engines = Engines.of(with_swapper(Settings(), swapper))
    digest = sha256_of(source)
    with progress_bars() as bars, tempfile.TemporaryDirectory(prefix=".recaster-", dir=output.parent) as scratch:
        steps.check_source(source, digest)
        person = load_persona(persona, engines.face_models(), bars.stage("persona"))
        analysis = steps.analyse(source, digest, engines, bars.stage("analyse"))
        decided = adapt(analysis, profile, persona_digest(persona), engines, bars.stage("adapt"))
        if plan is not None:
            decided.save(plan)
        draft = Path(scratch) / output.name
        rendered = steps.render(source, analysis, decided, person, draft, engines, bars.stage("render"))
        inspection = steps.verify(source, draft, analysis, decided, person, rendered, engines, bars.stage("verify"))
        draft.replace(output)
    rows = [(overlay.role.value, overlay.source_text, overlay.text, overlay.path) for overlay in decided.overlays]
    if as_json:
        show_json(
            {
                "output": str(output),
                "overlays": [dict(zip(("role", "from", "to", "path"), row, strict=True)) for row in rows],
                "inspection": inspection.to_json(),
            }
        )
    else:
        show_table(("role", "old text", "new text", "path"), rows)
        typer.echo(str(output))
