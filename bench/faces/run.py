"""Measures the face swap: `PYTHONPATH=src OMP_NUM_THREADS=1 python bench/faces/run.py [--only NAME ...] [--work DIR] [--sheets DIR]`.

Writes bench/faces/results.md, and contact sheets of synthetic people beside it. Real footage is measured too when
RECASTER_OPEN_DATA names a folder with `clips/` of it. With `--sheets` every clip, the real ones too, gets a PNG of twelve moments
and 24 neighbouring frames in that folder, which must lie outside of the repository.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from cases import CASES, Case
from clips import Clips, pose_at
from faults import FAULTS
from measure import measure
from people import OTHERS, PEOPLE, PICTURES, picture_of
from PIL import Image as Pillow
from PIL import ImageSequence
from report import EXPECTED, bars, faults, table

from recaster.errors import FaceUnsuitable
from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings
from recaster.media.faces import (
    FaceAnalysis,
    FaceDetector,
    FaceIdentifier,
    FaceLandmarker,
    FaceModels,
    MeshSwapper,
    Persona,
    analyse_faces,
    judge,
    prepare_persona,
)
from recaster.media.faces.follow import follow_face
from recaster.media.faces.hands import HandFinder
from recaster.media.faces.session import presence
from recaster.media.faces.sheet import head_tile, joined
from recaster.media.video import ColorTags, Image, VideoFacts, VideoWriter, find_shots, probe, read_frames

HERE = Path(__file__).resolve().parent
MOST_FRAMES = 72
MOMENTS, NEIGHBOURS = 12, 24
FAULTY = "talk 250"
"""The clip to which faults are done."""
TILE = (250, 320)


@dataclass
class Measured:
    """What came of one clip."""

    values: dict[str, float]
    said: str
    """What is said of the face beforehand."""
    tiles: list[tuple[Image, Image]] = field(default_factory=list)
    """The head in source and result, frame by frame, faded frames too."""
    faulty: dict[str, dict[str, float]] = field(default_factory=dict)


def main() -> None:
    """Measure all cases, or those named, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="names of cases, or parts of them")
    parser.add_argument("--work", type=Path, default=None, help="folder that keeps clips from run to run")
    parser.add_argument("--sheets", type=Path, default=None, help="folder for large sheets of all clips")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    work = given.work if given.work is not None else Path(tempfile.mkdtemp(prefix="recaster-faces-"))
    if given.sheets is not None and HERE.parents[1] in given.sheets.resolve().parents:
        parser.error("the folder for sheets lies in the repository; real people must not be put there")
    work.mkdir(parents=True, exist_ok=True)
    files = ModelStore(Settings().folder("models")).paths()
    models, clips = FaceModels.of(files), Clips(files)
    personas = {
        name: prepare_persona([PEOPLE / name / "assets" / picture for picture in PICTURES], models)
        for name in ("P006", "P007")
    }
    others = _others(models)
    done: list[tuple[Case, Measured]] = []
    for case in CASES:
        if given.only and not any(part in case.name for part in given.only):
            continue
        clip = clip_of(case, clips, work)
        if clip is None:
            continue
        measured = _measured(case, clip, personas[case.persona], others, models)
        done.append((case, measured))
        print(case.name, {key: round(value, 2) for key, value in measured.values.items()}, measured.said, flush=True)
        for name, values in measured.faulty.items():
            print("  ", name, {key: round(value, 2) for key, value in values.items()}, flush=True)
        if given.sheets is not None:
            _write_sheet(measured, given.sheets / f"{case.name.replace(' ', '-').replace(',', '')}.png", TILE)
        if not given.only and case.shown:
            assert case.scene is not None
            _write_sheet(measured, HERE / f"{case.scene.name}.jpg", (TILE[0] // 2, TILE[1] // 2))
    if not given.only:
        (HERE / "results.md").write_text(_report(done, personas), encoding="utf-8")


def _others(models: FaceModels) -> dict[str, np.ndarray]:
    detector, landmarker, identifier = FaceDetector(models), FaceLandmarker(models), FaceIdentifier(models)
    found = {}
    for name in OTHERS:
        image = picture_of(name)
        points, _ = landmarker.in_box(image, detector.find_thoroughly(image)[0])
        found[name] = identifier.embed(image, points)
    return found


def clip_of(case: Case, clips: Clips, work: Path) -> Path | None:
    """The clip of a case, made if need be; None when its footage is not there."""
    if case.scene is not None:
        target = work / f"{case.scene.name}.mp4"
        if not target.exists():
            clips.write(case.scene, case.actor, target)
        return target
    folder = os.environ.get("RECASTER_OPEN_DATA", "")
    source = Path(folder) / "clips" / case.open_clip
    if not folder or not source.exists():
        return None
    return _converted(source, work) if source.suffix == ".gif" else source


def _converted(source: Path, work: Path) -> Path:
    """A GIF as MP4: the product reads no GIF."""
    target = work / f"{source.stem}.mp4"
    if target.exists():
        return target
    with Pillow.open(source) as pictures:
        frames = [np.asarray(one.convert("RGB"))[..., ::-1].copy() for one in ImageSequence.Iterator(pictures)]
    height, width = frames[0].shape[:2]
    facts = VideoFacts(
        "mp4", "h264", width, height, 0, Fraction(1, 12 * 512), Fraction(12), len(frames), Fraction(len(frames), 12),
        ColorTags(1, 1, 1, False), None, 0,
    )  # fmt: skip
    with VideoWriter(target, facts, source=target) as writer:
        for index, frame in enumerate(frames):
            writer.write(frame, index * 512, 512)
    return target


def _measured(case: Case, clip: Path, persona: Persona, others: dict[str, np.ndarray], models: FaceModels) -> Measured:
    facts = probe(clip)
    start = time.process_time()
    analysis = analyse_faces(clip, facts, find_shots(clip, facts), models)
    analysed = (time.process_time() - start) / facts.frame_count
    track = analysis.require_on_camera()
    suitability = judge(track)
    said = f"{suitability.level}. {' '.join(suitability.reasons)}".strip()
    assert models.hand_detector is not None
    assert models.hand_landmarks is not None
    start = time.process_time()
    face = follow_face(clip, track, facts, HandFinder(models.hand_detector, models.hand_landmarks))
    followed = (time.process_time() - start) / len(track.frames)
    alpha = presence(face)
    times = {"ms analysis": 1000 * analysed, "ms follow": 1000 * followed}
    try:
        session = MeshSwapper(models).begin(persona, analysis, facts, clip)
    except FaceUnsuitable as refusal:
        return Measured({**times, "ms swap": 0.0, "faded": 1.0}, f"refused: {refusal}")
    rows = {int(frame): row for row, frame in enumerate(track.frames)}
    spent = [0.0, 0.0]
    landmarks: list[np.ndarray] = []
    hidden: list[np.ndarray] = []
    blinks: list[float] = []
    kept: list[tuple[Image, Image]] = []
    covers = _covers(clip)
    result = Measured({}, said)
    wrong = 0

    def pairs() -> Iterator[tuple[Image, Image]]:
        nonlocal wrong
        for frame in read_frames(clip, 0, min(MOST_FRAMES, facts.frame_count)):
            row = rows.get(frame.index)
            begun = time.process_time()
            swapped = session.swap(frame.image, frame.index)
            if row is None:
                continue
            if alpha[row] > 0:
                spent[0] += time.process_time() - begun
                spent[1] += 1
            wrong += _wrong(frame.image, swapped, analysis, frame.index)
            tiles = [head_tile(one, track.landmarks[row], TILE) for one in (frame.image, swapped)]
            result.tiles.append((tiles[0], tiles[1]))
            # Faded stretches are the source's own face: they are counted, not measured as swaps.
            if alpha[row] < 1:
                continue
            landmarks.append(track.landmarks[row])
            if covers is not None:
                hidden.append(covers[frame.index])
            if case.scene is not None:
                blinks.append(pose_at(frame.index / case.scene.rate).blink)
            if case.name == FAULTY:
                kept.append((frame.image, swapped))
            yield frame.image, swapped

    against = [vector for name, vector in others.items() if name != case.persona]
    given = (landmarks, persona, against, track.embedding, models)
    result.values = measure(pairs(), *given, hidden if covers is not None else None, blinks)
    result.values |= {
        "wrong": float(wrong),
        "faded": float((alpha < 1).mean()),
        "ms swap": 1000 * spent[0] / max(1.0, spent[1]),
        **times,
    }
    if kept:
        result.faulty["as it is"] = result.values
        for name, spoil in FAULTS.items():
            spoiled = [
                (before, spoil(after, landmarks[at]) if name != "flicker" or at % 2 else after)
                for at, (before, after) in enumerate(kept)
            ]
            result.faulty[name] = measure(spoiled, *given)
    return result


def _covers(clip: Path) -> np.ndarray | None:
    """Where something stands before the face, (n, h, w), if the clip's maker said so."""
    path = clip.with_suffix(".hidden.npz")
    if not path.exists():
        return None
    with np.load(path) as archive:
        return np.unpackbits(archive["hidden"], axis=2, count=int(archive["width"])).astype(bool)


def _wrong(source: Image, result: Image, analysis: FaceAnalysis, frame: int) -> bool:
    """Whether a pixel of somebody else's face was changed."""
    for track in analysis.tracks:
        row = int(np.searchsorted(track.frames, frame))
        if track.id == analysis.on_camera or row >= len(track.frames) or track.frames[row] != frame:
            continue
        points = track.landmarks[row]
        low = np.maximum(points[:, :2].min(axis=0).astype(int), 0)
        high = points[:, :2].max(axis=0).astype(int)
        region = np.s_[low[1] : high[1], low[0] : high[0]]
        if (source[region] != result[region]).any():
            return True
    return False


def _write_sheet(measured: Measured, target: Path, tile: tuple[int, int]) -> None:
    """Twelve moments, source above result, and a strip of neighbouring frames in two rows."""
    tiles = measured.tiles
    if not tiles:
        return

    def small(image: Image, size: tuple[int, int]) -> Image:
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)

    moments = [round(at) for at in np.linspace(0, len(tiles) - 1, MOMENTS)]
    strips = []
    for half in (moments[: MOMENTS // 2], moments[MOMENTS // 2 :]):
        strips += [joined([small(tiles[at][side], tile) for at in half]) for side in (0, 1)]
    first = max(0, len(tiles) // 2 - NEIGHBOURS // 2)
    width = strips[0].shape[1]
    near = [small(one[1], (width // (NEIGHBOURS // 2) - 4, tile[1] // 2)) for one in tiles[first : first + NEIGHBOURS]]
    for at in range(0, len(near), NEIGHBOURS // 2):
        strip = joined(near[at : at + NEIGHBOURS // 2])
        strips.append(np.pad(strip, ((0, 0), (0, width - strip.shape[1]), (0, 0)), constant_values=255))
    target.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(target), np.vstack(strips), [cv2.IMWRITE_JPEG_QUALITY, 82])


def _report(done: list[tuple[Case, Measured]], personas: dict[str, Persona]) -> str:
    rows = [(case, measured.values) for case, measured in done]
    faulty = next((measured.faulty for _, measured in done if measured.faulty), {})
    noticed = sum(
        abs(values[EXPECTED[name]] - faulty["as it is"][EXPECTED[name]]) > 0.1
        for name, values in faulty.items()
        if name in EXPECTED
    )
    lines = [
        "# Face swap: measured",
        "",
        "Command: `PYTHONPATH=src OMP_NUM_THREADS=1 RECASTER_OPEN_DATA=DIR python bench/faces/run.py`, 2026-11-24, on 2 shared",
        f"x86-64 cores, no GPU. CPU time, one thread for OpenCV. Up to {MOST_FRAMES} frames per clip; frames that fade to the",
        "source are counted (`faded`) and not measured as swaps. `-`: the source hardly moves there (meters.md), or the measure",
        "does not apply. The actors of the synthetic clips are the demo's puppets, which share no drawing with the swapper.",
        "",
        "`sharp`: energy of the Laplacian on skin over the source's, without its strongest twentieth, which is rims of brows,",
        "shine and outline; `edges`: the same with all of it. `unread`: share of the frames in which SFace does not know the",
        "source's own person (half in the frame); they say nothing about identity.",
        "",
        "`pale`: a patch of the forehead grown brighter than the skin around it, percent. `blotches`: the same over all skin, as",
        "standard deviation and as far as neither person's own face explains it. `shade`: change of broad shading over the source's",
        "own. `brows`, `lips`, `rings`: contrast beyond that",
        "of both source and persona (below zero: short of both), percent of brightness. `blink`: how well the eyes read in the",
        "result go with the actor's true blinks (correlation); `source blink`: the same for those read in the source.",
        "",
        *table(rows),
        "",
        "## Against the bars",
        "",
        *bars(rows),
        "",
        "## Do the measures see what is seen",
        "",
        f"Faults made on purpose (`faults.py`) in the result of {FAULTY}; the measure that has to notice is in bold: {noticed}",
        f"of {len(faulty) - 1} are noticed. Of the first five, identity notices the brows alone and the seam none.",
        "",
        *faults(faulty),
        "",
        "## Said beforehand",
        "",
        *(f"- {case.name}: {measured.said}" for case, measured in done),
        "",
        "## Personas",
        "",
    ]
    lines += [f"- {name}: {len(one.references)} faces. {' '.join(one.missing)}" for name, one in personas.items()]
    lines += ["", (HERE / "looks.md").read_text(encoding="utf-8").rstrip()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
