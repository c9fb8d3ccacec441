"""The stages as they run in a child process: a JSON request in, a JSON result out. See `recaster.infra.child`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recaster.infra.files import sha256_of
from recaster.media.copywriting import BrandProfile
from recaster.media.faces import Persona, inspect_reference
from recaster.media.faces import prepare_persona as prepare
from recaster.media.progress import Progress
from recaster.remix import planning, steps
from recaster.remix.analysis import SourceAnalysis
from recaster.remix.engines import Engines
from recaster.remix.measuring import measure
from recaster.remix.plan import RemixPlan
from recaster.remix.progress import Portions

Request = dict[str, Any]


def probe(request: Request, progress: Progress) -> dict[str, Any]:
    """Check a fetched source against its record and the limits."""
    facts = steps.check_source(Path(request["clip"]), request["sha256"])
    progress(1, 1)
    return {"frames": facts.frame_count}


def analyse(request: Request, progress: Progress) -> dict[str, Any]:
    """Analyse a source into a folder."""
    engines = Engines.from_choice(request["engines"])
    analysis = steps.analyse(Path(request["clip"]), request["sha256"], engines, progress)
    analysis.save(Path(request["folder"]))
    return {
        "overlays": len(analysis.overlays),
        "faces": len(analysis.faces.tracks),
        "measured": measure(analysis).to_json(),
    }


def adapt(request: Request, progress: Progress) -> dict[str, Any]:
    """Write the plan."""
    engines = Engines.from_choice(request["engines"])
    analysis = SourceAnalysis.load(Path(request["analysis"]))
    brand = BrandProfile.from_record(request["brand"])
    plan = planning.adapt(analysis, brand, request["persona_sha256"], engines, progress)
    plan.save(Path(request["plan"]))
    return {"replaced": sum(overlay.action == "replace" for overlay in plan.overlays)}


def render(request: Request, progress: Progress) -> dict[str, Any]:
    """Render a plan, judge the result, make its thumbnail."""
    engines = Engines.from_choice(request["engines"])
    clip, target, thumbnail = Path(request["clip"]), Path(request["target"]), Path(request["thumbnail"])
    analysis = SourceAnalysis.load(Path(request["analysis"]))
    plan = RemixPlan.load(Path(request["plan"]))
    persona = Persona.load(Path(request["persona"]))
    portions = Portions(progress, (90, 10))
    rendered = steps.render(clip, analysis, plan, persona, target, engines, portions.next())
    inspection = steps.verify(clip, target, analysis, plan, persona, rendered, engines, portions.next())
    width, height = steps.write_thumbnail(target, thumbnail)
    facts = analysis.facts
    return {
        "video": {
            **_file_facts(target, "video/mp4"),
            "width": facts.width + facts.width % 2,
            "height": facts.height + facts.height % 2,
            "duration_ms": round(facts.duration * 1000),
        },
        "thumbnail": {**_file_facts(thumbnail, "image/jpeg"), "width": width, "height": height},
        "overlays": steps.published_overlays(clip, analysis, plan),
        "quality": {**inspection.to_json(), "swappedFrames": rendered.swapped_frames, "frames": facts.frame_count},
        "disclosure_label": steps.DISCLOSURE,
    }


def prepare_persona(request: Request, progress: Progress) -> dict[str, Any]:
    """Turn reference pictures into a persona file; every picture must hold exactly one usable face."""
    models = Engines.from_choice(request["engines"]).face_models()
    pictures = [Path(picture["path"]) for picture in request["pictures"]]
    for picture in pictures:
        inspect_reference(picture, models)
    persona = prepare(pictures, models, progress)
    persona.save(Path(request["target"]))
    return {"pictures": len(pictures)}


def _file_facts(path: Path, mime_type: str) -> dict[str, Any]:
    return {"mime_type": mime_type, "size_bytes": path.stat().st_size, "checksum_sha256": sha256_of(path)}
