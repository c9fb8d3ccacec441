"""How much identity there is to be had: `PYTHONPATH=src OMP_NUM_THREADS=1 python bench/faces/ceiling.py [--work DIR]`.

Parts of the result are exchanged for a perfect persona's (its own portrait, straight on, in the result's colours) and for the
source's, and parts of the portrait for the result's: what SFace makes of it says where the rest of the cosine lies. Writes
bench/faces/ceiling.md. Real footage is looked at too when RECASTER_OPEN_DATA names a folder with `clips/` of it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from cases import CASES, Case
from clips import Clips
from people import PEOPLE, PICTURES
from run import clip_of

from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings
from recaster.media.faces import (
    FaceIdentifier,
    FaceLandmarker,
    FaceModels,
    MeshSwapper,
    Persona,
    analyse_faces,
    prepare_persona,
    similarity,
)
from recaster.media.faces.contours import BROWS, EYES, OUTER_LIPS, OVAL
from recaster.media.faces.finish import edge_spread
from recaster.media.faces.light import filled_texels, oval_texels, skin_texels
from recaster.media.faces.mesh import drawn_from_layout, expression, face_mesh, layout_map, poses_of, unwrapped
from recaster.media.video import Image, find_shots, probe, read_frames

HERE = Path(__file__).resolve().parent
NAMES = (
    "talk 250",
    "talk 90",
    "P006 on P007, 250",
    "open man A",
    "open man B",
    "open woman",
    "open laugh",
    "open two people",
)
FRAMES = 6
"""The calmest and straightest ones of a clip."""
SIZE = 256
_NOSE = (168, 48, 278, 2, 193, 417, 98, 327, 129, 358)

Scores = dict[str, list[tuple[float, float]]]


def main() -> None:
    """Exchange parts in all cases and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=None, help="folder that keeps clips from run to run")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    work = given.work if given.work is not None else Path(tempfile.mkdtemp(prefix="recaster-ceiling-"))
    work.mkdir(parents=True, exist_ok=True)
    files = ModelStore(Settings().folder("models")).paths()
    models, clips = FaceModels.of(files), Clips(files)
    personas = {
        name: prepare_persona([PEOPLE / name / "assets" / picture for picture in PICTURES], models)
        for name in ("P006", "P007")
    }
    found: dict[str, Scores] = {}
    for case in CASES:
        if case.name not in NAMES:
            continue
        clip = clip_of(case, clips, work)
        if clip is not None:
            found[case.name] = _exchanged(case, clip, personas[case.persona], models)
            print(case.name, {name: _mean(pairs) for name, pairs in found[case.name].items()}, flush=True)
    (HERE / "ceiling.md").write_text(_report(found), encoding="utf-8")


def _exchanged(case: Case, clip: Path, persona: Persona, models: FaceModels) -> Scores:
    landmarker, identifier = FaceLandmarker(models), FaceIdentifier(models)
    facts = probe(clip)
    analysis = analyse_faces(clip, facts, find_shots(clip, facts), models)
    track = analysis.require_on_camera()
    session = MeshSwapper(models).begin(persona, analysis, facts, clip)
    mouths = np.array([expression(points)[0] for points in track.landmarks])
    unrest = np.abs(poses_of(track.landmarks).degrees[:, 0]) + 30 * np.abs(mouths - np.median(mouths))
    rows = {int(track.frames[row]): int(row) for row in np.argsort(unrest)[:FRAMES]}
    portrait = persona.references[0]
    scores: Scores = defaultdict(list)

    def scored(name: str, image: Image, points: np.ndarray) -> None:
        vector = identifier.embed(image, landmarker.near(image, points)[0])
        scores[name].append((similarity(vector, persona.embedding), similarity(vector, track.embedding)))

    for frame in read_frames(clip, 0, max(rows) + 1):
        if frame.index not in rows:
            continue
        result = session.swap(frame.image, frame.index)
        own, drawn = (landmarker.near(image, track.landmarks[rows[frame.index]])[0] for image in (frame.image, result))
        side = max(96, round(float(np.ptp(drawn[:, 0])) / 0.62))
        perfect, source, made = (
            unwrapped(image, points, side)
            for image, points in ((portrait.image, portrait.landmarks), (frame.image, own), (result, drawn))
        )
        perfect = _in_colours_of(perfect, made)
        scored("source", frame.image, own)
        scored("result", result, drawn)
        for part, place in _parts().items():
            scored(f"result, persona's own {part}", _pasted(result, drawn, perfect, place), drawn)
        for part, place in _parts().items():
            scored(f"result, source's {part}", _pasted(result, drawn, source, place), drawn)
        for part, place in _parts().items():
            scored(
                f"portrait, result's {part}",
                _pasted(portrait.image, portrait.landmarks, made, place),
                portrait.landmarks,
            )
        scored("portrait", portrait.image, portrait.landmarks)
        scored(
            "portrait of the source's size and softness",
            *_as_filmed(portrait.image, portrait.landmarks, frame.image, own),
        )
    return scores


def _parts() -> dict[str, np.ndarray]:
    """Where each part of a face lies in the layout, 0 or 1."""
    oval = oval_texels(SIZE, 0.97)
    eyes = np.maximum(*(filled_texels(SIZE, eye, (1.2, 1.9)) for eye in EYES))
    brows = np.maximum(*(filled_texels(SIZE, brow, (1.2, 1.5)) for brow in BROWS)) * (1 - eyes)
    mouth = filled_texels(SIZE, OUTER_LIPS, (1.15, 1.25))
    nose = filled_texels(SIZE, _NOSE, 1.12) * (1 - eyes)
    rest = oval * (1 - np.maximum.reduce([eyes, brows, mouth, nose]))
    above = (np.arange(SIZE)[:, None] / SIZE < face_mesh().layout[105, 1]).astype(np.float32)
    return {
        "eyes": eyes, "brows": brows, "nose": nose, "mouth": mouth, "forehead": rest * above,
        "cheeks and jaw": rest * (1 - above), "whole face inside the outline": oval,
    }  # fmt: skip


def _pasted(image: Image, points: np.ndarray, texture: Image, place: np.ndarray) -> Image:
    layout, on_mesh = layout_map(points, image.shape[:2])
    soft = cv2.GaussianBlur(place.astype(np.float32), (0, 0), 0.012 * SIZE)
    share = (drawn_from_layout(soft, layout) * on_mesh)[..., None]
    drawn = drawn_from_layout(texture, layout).astype(np.float32)
    return np.clip(np.round(image * (1 - share) + drawn * share), 0, 255).astype(np.uint8)


def _in_colours_of(texture: Image, wanted: Image) -> Image:
    """The texture with mean and spread of the other's skin."""
    skin = skin_texels(texture.shape[0]) > 0
    own, other = texture[skin].astype(np.float32), wanted[skin].astype(np.float32)
    matched = (texture - own.mean(axis=0)) * (other.std(axis=0) / own.std(axis=0)) + other.mean(axis=0)
    return np.clip(matched, 0, 255).astype(np.uint8)


def _as_filmed(image: Image, points: np.ndarray, other: Image, theirs: np.ndarray) -> tuple[Image, np.ndarray]:
    """A picture as small and as soft as another one."""
    scale = float(np.ptp(theirs[:, 0]) / np.ptp(points[:, 0]))
    small = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    moved = (points * np.float32(scale)).astype(np.float32)
    wanted, have = (edge_spread(one, _inside(one, at)) for one, at in ((other, theirs), (small, moved)))
    blur = float(np.sqrt(max(wanted**2 - have**2, 0)))
    return np.asarray(cv2.GaussianBlur(small, (0, 0), blur), np.uint8) if blur > 0.1 else small, moved


def _inside(image: Image, points: np.ndarray) -> np.ndarray:
    hull = cv2.convexHull(np.round(points[list(OVAL), :2]).astype(np.int32))
    return cv2.fillConvexPoly(np.zeros(image.shape[:2], np.float32), hull, 1.0)


def _mean(pairs: list[tuple[float, float]]) -> str:
    persona, source = np.mean(pairs, axis=0)
    return f"{persona:.2f}, {source:.2f}"


def _report(found: dict[str, Scores]) -> str:
    lines = [
        "# Identity: where it is lost",
        "",
        "Command: `PYTHONPATH=src OMP_NUM_THREADS=1 RECASTER_OPEN_DATA=DIR python bench/faces/ceiling.py`, 2026-11-24, on 2 shared",
        f"x86-64 cores, no GPU. Each cell: SFace cosine to the persona, to the source; mean of the {FRAMES} calmest and straightest",
        "frames. `Persona's own`: that part of its portrait, in the result's mean colours but with the portrait's own light and",
        "expression, which no clip could show. A part exchanged for the source's says what the swap earns there.",
        "",
        f"| picture | {' | '.join(found)} |",
        f"| --- |{' --- |' * len(found)}",
    ]
    names = list(next(iter(found.values()))) if found else []
    lines += [f"| {name} | {' | '.join(_mean(scores[name]) for scores in found.values())} |" for name in names]
    lines += ["", (HERE / "ceiling-notes.md").read_text(encoding="utf-8").rstrip()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
