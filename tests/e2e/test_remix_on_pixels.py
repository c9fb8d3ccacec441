"""The whole pipeline on real pixels: a clip is made, read, rewritten, erased, swapped, drawn, encoded and inspected."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from recaster.demo.sheet import contact_sheet
from recaster.demo.source import make_source_clip
from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings
from recaster.media.copywriting import BrandProfile
from recaster.media.faces import analyse_faces, prepare_persona
from recaster.media.overlays import OverlayRole, SkiaTextDrawer, TextStyle
from recaster.media.quality import text_similarity
from recaster.media.video import Shot, VideoWriter, audio_digest, probe, read_chosen, read_frames, read_times
from recaster.remix import steps
from recaster.remix.analysis import SourceAnalysis
from recaster.remix.engines import Engines, engine_choice
from recaster.remix.plan import RemixPlan
from recaster.remix.planning import adapt

pytestmark = pytest.mark.e2e

BANK = {
    "en": {
        OverlayRole.HOOK: ("3 things I wish I knew before planning my week",),
        OverlayRole.LIST_ITEM: ("check the fridge first", "plan three dinners", "leave one night free"),
    }
}


def test_a_clip_is_remixed_and_passes_its_inspection(
    tmp_path: Path, model_store: ModelStore, model_files: Mapping[str, Path], persona_pictures: Mapping[str, Path]
) -> None:
    clip, result = tmp_path / "source.mp4", tmp_path / "remix.mp4"
    make_source_clip(persona_pictures["P006"], model_files, clip, seconds=3, rate=12, size=(540, 960))
    engines = Engines.from_choice(engine_choice(Settings(), model_store))
    persona = prepare_persona(
        [persona_pictures["P007"] / "studio_portrait.jpg", persona_pictures["P007"] / "emotions_sheet.jpg"],
        engines.face_models(),
    )
    digest = hashlib.sha256(clip.read_bytes()).hexdigest()

    found = steps.analyse(clip, digest, engines)
    found.save(tmp_path / "analysis")
    analysis = SourceAnalysis.load(tmp_path / "analysis")
    assert analysis.overlays == found.overlays
    assert [track.role for track in analysis.overlays][:2] == [OverlayRole.HOOK, OverlayRole.LIST_ITEM]
    assert text_similarity(analysis.overlays[0].text, "3 things I wish I knew before meal prepping") > 0.9
    assert abs(analysis.overlays[1].first_frame - round(1.2 * 12)) <= 1
    assert len(analysis.faces.tracks) == 1

    plan = adapt(analysis, BrandProfile(name="Pantrypal", message_bank=BANK), "0" * 64, engines)
    plan.save(tmp_path / "plan.json")
    plan = RemixPlan.load(tmp_path / "plan.json")
    actions = {overlay.role: overlay.action for overlay in plan.overlays}
    assert actions[OverlayRole.HOOK] == "replace"

    rendered = steps.render(clip, analysis, plan, persona, result, engines)
    inspection = steps.verify(clip, result, analysis, plan, persona, rendered, engines)
    assert inspection.passed
    assert rendered.swapped_frames == probe(clip).frame_count
    assert read_times(result) == read_times(clip)
    assert audio_digest(result) == audio_digest(clip) is not None

    contact_sheet(clip, result, tmp_path / "sheet.png", 2)
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob(".*")), "a half-written file was left behind"


def test_the_inspection_refuses_an_untouched_copy(
    tmp_path: Path, model_store: ModelStore, model_files: Mapping[str, Path], persona_pictures: Mapping[str, Path]
) -> None:
    clip = tmp_path / "source.mp4"
    make_source_clip(persona_pictures["P006"], model_files, clip, seconds=1, rate=12, size=(540, 960))
    engines = Engines.from_choice(engine_choice(Settings(), model_store))
    persona = prepare_persona([persona_pictures["P007"] / "studio_portrait.jpg"], engines.face_models())
    analysis = steps.analyse(clip, "0" * 64, engines)
    plan = adapt(analysis, BrandProfile(name="Pantrypal", message_bank=BANK), "0" * 64, engines)
    rendered = steps.render(clip, analysis, plan, persona, tmp_path / "remix.mp4", engines)
    with pytest.raises(steps.OutputRejected) as refused:
        steps.verify(clip, clip, analysis, plan, persona, rendered, engines)
    failed = {check["name"] for check in refused.value.details["checks"]}
    assert "identity_gain" in failed


def test_a_line_that_stays_is_not_painted_over_by_the_new_face(
    tmp_path: Path, model_store: ModelStore, model_files: Mapping[str, Path], persona_pictures: Mapping[str, Path]
) -> None:
    bare, clip, result = (tmp_path / f"{name}.mp4" for name in ("bare", "source", "remix"))
    make_source_clip(persona_pictures["P006"], model_files, bare, seconds=1, rate=12, size=(540, 960))
    engines = Engines.from_choice(engine_choice(Settings(), model_store))
    face = analyse_faces(bare, probe(bare), (Shot(0, 11),), engines.face_models()).require_on_camera()
    middle = float(face.landmarks[:, :, 1].mean())
    written_over(bare, clip, "I WAITED SO LONG", (60.0, middle - 25, 480.0, middle + 25))
    persona = prepare_persona([persona_pictures["P007"] / "studio_portrait.jpg"], engines.face_models())

    analysis = steps.analyse(clip, "0" * 64, engines)
    line = next(track for track in analysis.overlays if text_similarity(track.text, "I WAITED SO LONG") > 0.9)
    plan = adapt(analysis, BrandProfile(name="Pantrypal"), "0" * 64, engines)
    plan = plan.model_copy(
        update={"overlays": tuple(one.model_copy(update={"action": "keep"}) for one in plan.overlays)}
    )
    rendered = steps.render(clip, analysis, plan, persona, result, engines)
    inspection = steps.verify(clip, result, analysis, plan, persona, rendered, engines)
    assert next(measure.value for measure in inspection.measures if measure.name == "kept_text_lost") == 0.0
    left, top, right, bottom = (round(value) for value in line.box)
    before, after = (next(read_chosen(one, (6,))).image[top:bottom, left:right].astype(int) for one in (clip, result))
    letters = before.min(axis=2) > 200
    assert abs(before - after)[letters].mean() < 8
    assert abs(before - after)[~letters].mean() > 3, "the face behind the line was to change"

    # A swap that knows nothing of the line paints over it, and the inspection must see that.
    blind = replace(analysis, overlays=())
    careless = steps.render(clip, blind, plan.model_copy(update={"overlays": ()}), persona, result, engines)
    with pytest.raises(steps.OutputRejected) as refused:
        steps.verify(clip, result, analysis, plan, persona, careless, engines)
    assert "kept_text_lost" in {check["name"] for check in refused.value.details["checks"]}


def written_over(clip: Path, target: Path, text: str, box: tuple[float, float, float, float]) -> None:
    """Burn a line of white text into every frame."""
    facts, drawer = probe(clip), SkiaTextDrawer()
    style = TextStyle("tiktok-sans", 700, 40.0, (255, 255, 255), 1.0, None, None, None, "center", 1.28, 0.0)
    layout = drawer.layout(text, style, box, (facts.width, facts.height), max_lines=1)
    with VideoWriter(target, facts, source=clip) as writer:
        for frame in read_frames(clip):
            writer.write(drawer.draw(frame.image, layout), frame.pts, frame.duration)
