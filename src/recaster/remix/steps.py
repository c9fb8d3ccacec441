"""The stages of a remix as functions on files: the same for the service's worker and for the command line.

They know the order of the work inside a stage and nothing of jobs, credits or HTTP.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from recaster.errors import MediaInvalid, OutputRejected
from recaster.infra.files import atomic_file, sha256_of
from recaster.media.faces import REACH, FaceAnalysis, FaceTrack, Persona, analyse_faces
from recaster.media.overlays import NewText, OverlayTrack, TextLayout, appearance, lay_out_in_place
from recaster.media.progress import Progress, silent
from recaster.media.quality import Inspection, inspect_timing
from recaster.media.video import (
    Frame,
    FrameReader,
    Image,
    VideoFacts,
    VideoWriter,
    find_shots,
    probe,
    read_chosen,
    read_frames,
    read_times,
)
from recaster.remix.analysis import SourceAnalysis
from recaster.remix.crossing import FramesWithoutText, crossing_frames, hiding_texts, laid_over
from recaster.remix.engines import Engines
from recaster.remix.inspection import IdentityInspection, TextInspection, inspected_faces, inspected_texts
from recaster.remix.plan import RemixPlan
from recaster.remix.progress import Portions

DISCLOSURE = "Made with AI: the person's face and the on-screen text were generated."
"""Label that whoever posts the video shows with it."""


def check_source(clip: Path, sha256: str) -> VideoFacts:
    """Probe a source and compare its bytes with what the library recorded.

    Raises:
        MediaInvalid: it is not the recorded file, or is beyond a limit.
    """
    found = sha256_of(clip)
    if found != sha256:
        raise MediaInvalid(
            "The stored source is not the file that was uploaded: its bytes have changed. Upload it again.",
            field="sha256",
            value=found,
            limit=sha256,
        )
    return probe(clip)


def analyse(clip: Path, sha256: str, engines: Engines, progress: Progress = silent) -> SourceAnalysis:
    """Find shots, overlays and faces of a source.

    The clip is decoded once for the first look at texts and for faces. Faces are looked for once more without the text
    that may hide them: a hook over the eyes, and nobody is found.
    """
    facts = probe(clip)
    count = facts.frame_count
    portions = Portions(progress, (count, 6 * count, count, 3 * count))
    shots = find_shots(clip, facts, portions.next())
    models = engines.face_models()
    finder = engines.face_finder(facts, shots)

    def seen_for_faces(path: Path, start: int = 0, stop: int | None = None, /) -> Iterator[Frame]:
        for frame in read_frames(path, start, stop):
            finder.feed(frame)
            yield frame

    overlays = engines.reader().read_clip(clip, facts, shots, portions.next(), frames=seen_for_faces)
    faces = finder.found()
    hiding = hiding_texts(overlays, faces, count)
    if hiding:
        eraser = engines.eraser()
        eraser.prepare(clip, facts, shots, hiding, portions.next())
        found = analyse_faces(clip, facts, shots, models, portions.next(), frames=FramesWithoutText(eraser))
        faces = max((found, faces), key=_frames_on_camera)
    return SourceAnalysis(sha256, facts, shots, overlays, faces)


def _frames_on_camera(faces: FaceAnalysis) -> int:
    return 0 if faces.on_camera is None else len(faces.track(faces.on_camera).frames)


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a render did."""

    swapped_frames: int
    layouts: dict[str, TextLayout]
    """New text blocks by track id."""
    covered: dict[int, Image]
    """Frames to be inspected whose face stands behind text, as they were before any text was laid over them."""


def render(
    clip: Path,
    analysis: SourceAnalysis,
    plan: RemixPlan,
    persona: Persona,
    target: Path,
    engines: Engines,
    progress: Progress = silent,
) -> Rendered:
    """Render the plan in one streaming pass after the engines have learned the clip.

    Audio packets are copied, every frame keeps its time. `target` appears only when it is complete.
    """
    facts = analysis.facts
    portions = Portions(progress, (facts.frame_count, facts.frame_count, facts.frame_count, 3 * facts.frame_count))
    tracks = {track.id: track for track in analysis.overlays}
    replaced = [overlay for overlay in plan.overlays if overlay.action == "replace"]
    drawer = engines.drawer()
    layouts = lay_out_in_place(
        facts,
        drawer,
        {overlay.track_id: NewText(tracks[overlay.track_id], overlay.text, overlay.style) for overlay in replaced},
    )
    swapped = next((analysis.faces.track(face.track_id) for face in plan.faces if face.action == "swap"), None)
    kept = _kept_before(swapped, analysis, layouts)
    eraser = engines.eraser()
    taken_out = (*(tracks[overlay.track_id] for overlay in replaced), *kept)
    eraser.prepare(clip, facts, analysis.shots, taken_out, portions.next())
    clearing, learning = portions.next(), portions.next()
    session = None
    if swapped is not None:
        people = replace(analysis.faces, on_camera=swapped.id)
        before = tuple(track for track in taken_out if crossing_frames(track, swapped, 0.0))
        frames: FrameReader = read_frames
        if before:
            clear = engines.eraser()
            clear.prepare(clip, facts, analysis.shots, before, clearing)
            frames = FramesWithoutText(clear)
        session = engines.swapper().begin(persona, people, facts, clip, learning, frames=frames)
    report = portions.next()
    stays = {track.id for track in kept}
    covering = (
        {frame for track in analysis.overlays for frame in crossing_frames(track, swapped, 0.0)} if swapped else ()
    )
    inspected = inspected_faces(analysis, plan)
    covered: dict[int, Image] = {}
    with VideoWriter(target, facts, source=clip) as writer:
        for frame in read_frames(clip):
            erased = image = eraser.erase(frame)
            if session is not None:
                image = session.swap(image, frame.index)
            if frame.index in inspected and frame.index in covering:
                covered[frame.index] = image
            if stays:
                image = laid_over(image, frame.image, erased, eraser.mask(frame.index, stays))
            for overlay in replaced:
                look = appearance(tracks[overlay.track_id], frame.index)
                if look is not None:
                    image = drawer.draw(image, layouts[overlay.track_id], look)
            writer.write(image, frame.pts, frame.duration)
            report(frame.index + 1, facts.frame_count)
    return Rendered(session.swapped_frames if session is not None else 0, layouts, covered)


def _kept_before(face: FaceTrack | None, analysis: SourceAnalysis, replaced: Container[str]) -> list[OverlayTrack]:
    """Texts that stay and come so near to the swapped face that the swap may touch them; unread ones too."""
    if face is None:
        return []
    return [track for track in analysis.overlays if track.id not in replaced and crossing_frames(track, face, REACH)]


def verify(
    clip: Path,
    result: Path,
    analysis: SourceAnalysis,
    plan: RemixPlan,
    persona: Persona,
    rendered: Rendered,
    engines: Engines,
    progress: Progress = silent,
) -> Inspection:
    """Judge a rendered file.

    Raises:
        OutputRejected: a measure failed; `details["checks"]` holds them.
    """
    places, faces = inspected_texts(analysis, plan), inspected_faces(analysis, plan)
    texts = TextInspection(analysis, rendered.layouts, engines) if places else None
    identity = IdentityInspection(persona, engines) if faces else None
    chosen = sorted({*places, *faces})
    compared = {index for index, overlays in places.items() if any(overlay.action == "keep" for overlay in overlays)}
    sources = read_chosen(clip, compared)
    for done, frame in enumerate(read_chosen(result, chosen)):
        if texts is not None:
            source = next(sources) if frame.index in compared else frame
            texts.look(frame.index, frame.image, source.image, places.get(frame.index, ()))
        if identity is not None and frame.index in faces:
            identity.look(rendered.covered.get(frame.index, frame.image), *faces[frame.index])
        progress(done + 1, len(chosen))
    measures = [*inspect_timing(clip, result)]
    measures += texts.measures() if texts is not None else ()
    measures += identity.measures() if identity is not None else ()
    inspection = Inspection(tuple(measures))
    if not inspection.passed:
        names = ", ".join(measure.name for measure in inspection.failed)
        raise OutputRejected(
            f"The rendered video did not pass its inspection ({names}); it was thrown away. "
            "Pick another source, or look at the measures in the details.",
            checks=[measure.to_json() for measure in inspection.failed],
        )
    return inspection


def write_thumbnail(video: Path, target: Path) -> tuple[int, int]:
    """Write a JPEG of the frame at a third of the clip, at most 720 pixels wide, and return its width and height."""
    facts = probe(video)
    middle = facts.frame_count // 3
    image = next(read_chosen(video, (middle,))).image
    if facts.width > 720:
        height = round(facts.height * 720 / facts.width)
        image = np.asarray(cv2.resize(image, (720, height), interpolation=cv2.INTER_AREA), np.uint8)
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    with atomic_file(target) as file:
        file.write(encoded.tobytes())
    return image.shape[1], image.shape[0]


def published_overlays(clip: Path, analysis: SourceAnalysis, plan: RemixPlan) -> list[dict[str, Any]]:
    """Return the overlays as they go into the container: times in milliseconds, box as x, y, width, height in pixels."""
    times = read_times(clip)
    tracks = {track.id: track for track in analysis.overlays}
    entries = []
    for overlay in plan.overlays:
        track = tracks[overlay.track_id]
        left, top, right, bottom = track.box
        end = sum(times[track.last_frame], Fraction(0))
        entries.append(
            {
                "start_ms": round(times[track.first_frame][0] * 1000),
                "end_ms": round(end * 1000),
                "source_text": overlay.source_text,
                "adapted_text": overlay.text,
                "role": overlay.role.value,
                "box": [round(value, 1) for value in (left, top, right - left, bottom - top)],
            }
        )
    return entries
