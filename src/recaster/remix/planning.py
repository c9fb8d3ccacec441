"""Deciding on a remix: which words take the place of which overlays, and whose face is replaced.

It decides and measures what has room; nothing is drawn or written here. What was decided is a `RemixPlan`.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import regex

from recaster.media.copywriting import BrandProfile, CopyLine, CopyRequest, CopyResult, Fits, FitVerdict, classify
from recaster.media.faces import judge
from recaster.media.overlays import OverlayTrack, TextDrawer
from recaster.media.progress import Progress, silent
from recaster.media.video import VideoFacts
from recaster.remix.analysis import SourceAnalysis
from recaster.remix.crossing import require_in_sight
from recaster.remix.engines import Engines
from recaster.remix.plan import PlannedFace, PlannedOverlay, RemixPlan

UNDETERMINED = "und"
"""BCP 47 tag of texts whose language nobody asked for."""


def adapt(
    analysis: SourceAnalysis,
    brand: BrandProfile,
    persona_sha256: str,
    engines: Engines,
    progress: Progress = silent,
) -> RemixPlan:
    """Decide everything about the remix.

    Raises:
        CopyRejected: a text that must be written could not be.
        NoFaceFound, FaceUnsuitable: there is nobody whose face can be replaced.
    """
    faces = _planned_faces(analysis)
    tracks = {track.id: track for track in analysis.overlays}
    fits = room(analysis.overlays, analysis.facts, engines.drawer())
    request = CopyRequest(
        copy_lines(analysis.overlays, analysis.facts, fits),
        brand,
        brand.primary_language,
        seed=int(analysis.sha256[:8], 16),
    )
    result = engines.copy_adapter().adapt(request, fits, progress)
    overlays = []
    for line in result.lines:
        track = tracks[line.id]
        replaced = line.action == "adapted"
        overlays.append(
            PlannedOverlay(
                track_id=line.id,
                role=line.role,
                action="replace" if replaced else "keep",
                source_text=line.source_text,
                text=line.text,
                style=track.style,
                path=line.path,
                reason=line.reason,
            )
        )
    return _plan(analysis, persona_sha256, engines, faces, tuple(overlays), brand.primary_language, result)


def keep_texts(analysis: SourceAnalysis, persona_sha256: str, engines: Engines) -> RemixPlan:
    """Decide on a new face alone: every text stays as it is.

    Raises:
        NoFaceFound, FaceUnsuitable: there is nobody whose face can be replaced.
    """
    faces = _planned_faces(analysis)
    kept = tuple(
        PlannedOverlay(
            track_id=track.id,
            role=track.role,
            action="keep",
            source_text=_one_line(track.text),
            text=_one_line(track.text),
            style=track.style,
            path="kept",
            reason="Only the face is replaced.",
        )
        for track in analysis.overlays
    )
    return _plan(analysis, persona_sha256, engines, faces, kept, UNDETERMINED, CopyResult((), adapter="none"))


def _planned_faces(analysis: SourceAnalysis) -> tuple[PlannedFace, ...]:
    on_camera = analysis.faces.require_on_camera()
    require_in_sight(analysis.overlays, on_camera, analysis.shots)
    return tuple(
        PlannedFace(track_id=face.id, action="swap", reason=" ".join(("The on-camera person.", *judge(face).reasons)))
        if face.id == on_camera.id
        else PlannedFace(track_id=face.id, action="leave", reason="Not the on-camera person.")
        for face in analysis.faces.tracks
    )


def _plan(
    analysis: SourceAnalysis,
    persona_sha256: str,
    engines: Engines,
    faces: tuple[PlannedFace, ...],
    overlays: tuple[PlannedOverlay, ...],
    language: str,
    copy: CopyResult,
) -> RemixPlan:
    return RemixPlan(
        source_sha256=analysis.sha256,
        persona_sha256=persona_sha256,
        width=analysis.facts.width,
        height=analysis.facts.height,
        frame_count=analysis.facts.frame_count,
        language=language,
        copy_adapter=copy.adapter,
        copy_settings=dict(copy.settings),
        engines=engines.names,
        overlays=overlays,
        faces=faces,
    )


def room(overlays: Sequence[OverlayTrack], facts: VideoFacts, drawer: TextDrawer) -> Fits:
    """Return what tells whether a text has room where an overlay stood, measured with the real font."""
    tracks = {track.id: track for track in overlays}

    def fits(line_id: str, text: str) -> FitVerdict:
        track = tracks[line_id]
        size = (facts.width, facts.height)
        report = drawer.fits(text, track.style, track.box, size, max_lines=_most_lines(track))
        return FitVerdict(report.fits and not report.missing_glyphs, report.max_graphemes)

    return fits


def copy_lines(overlays: Sequence[OverlayTrack], facts: VideoFacts, fits: Fits) -> tuple[CopyLine, ...]:
    """Return the overlays as lines to be rewritten, in order of appearance, with their roles told."""
    texts = {track.id: _one_line(track.text) for track in overlays}
    return classify(
        tuple(
            CopyLine(
                id=track.id,
                role=track.role,
                text=texts[track.id],
                max_graphemes=fits(track.id, texts[track.id]).max_graphemes,
                seconds=float(_seconds(track, facts)),
            )
            for track in overlays
            if texts[track.id]
        )
    )


def _most_lines(track: OverlayTrack) -> int:
    """A new text takes no more lines than the old one: what stands below it stays clear."""
    return len(track.lines)


def _one_line(text: str) -> str:
    squeezed: str = regex.sub(r"\s+", " ", text).strip()
    return squeezed


def _seconds(track: OverlayTrack, facts: VideoFacts) -> Fraction:
    return (track.last_frame - track.first_frame + 1) / facts.average_rate
