"""Who is in a clip and where each face is in every frame; which of them is *the* on-camera person. Nothing is swapped here."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recaster.errors import FaceUnsuitable, InvalidInput, NoFaceFound
from recaster.media.faces.archive import write_archive
from recaster.media.faces.mesh import Points, expression, poses_of, unwrapped, yaw_degrees
from recaster.media.faces.networks import (
    Embedding,
    FaceBox,
    FaceDetector,
    FaceIdentifier,
    FaceLandmarker,
    FaceModels,
    overlap,
    similarity,
)
from recaster.media.progress import Progress, silent
from recaster.media.video import Frame, FrameReader, Image, Shot, VideoFacts, read_frames

DETECT_EVERY = 15
"""Frames between two looks for new faces; a known face is followed in every frame."""
LEAST_PRESENCE = 0.6
LEAST_HEIGHT = 48.0
"""Pixels; a smaller face cannot be swapped well."""
SAME_PERSON = 0.45
"""SFace cosine from which two tracks are one person; the usual threshold for single pictures is 0.363."""
OTHER_PERSON = 0.15
"""SFace cosine to everything seen of a run below which it has slipped to somebody else; one face under other light and
turned has more, two people mostly less."""
FACING_YAW = 30.0
"""Degrees; nobody is asked who he is when turned further."""
STILL = 0.002
"""Mean standard deviation of the landmarks in the face's own frame, over the distance between the eyes. Measured: a poster
under compression 0.0007, the calmest real face 0.0035."""
TEXTURE = 80
"""Side of the small textures that are kept of every frame."""
LOOK_TEXTURE = 160
"""Side of the one texture kept of a person; a thin rim of glasses is seen in it."""
_SAMPLES = 5
_TEXTURES = 12
_LEAST_TO_JUDGE = 20


@dataclass(frozen=True, slots=True, eq=False)
class FaceTrack:
    """One person's face over the clip, across cuts."""

    id: str
    frames: NDArray[np.int32]
    """Indices of the frames in which the face was found, rising, shape (n,)."""
    landmarks: NDArray[np.float32]
    """Points in frame pixels, shape (n, 468, 3)."""
    embedding: Embedding
    height: float
    """Median height from forehead to chin in pixels."""
    alive: bool = True
    """Whether the face moves in itself; a poster and a photograph do not."""
    speaking: float = 0.0
    """Standard deviation of the mouth's opening over the distance between the eyes."""
    texture: Image | None = None
    """Usual colours in the layout of the mesh, BGR (160, 160, 3)."""


@dataclass(frozen=True, slots=True, eq=False)
class FaceAnalysis:
    """All faces of a clip."""

    tracks: tuple[FaceTrack, ...]
    on_camera: str | None
    """Id of the on-camera person's track."""

    def track(self, track_id: str) -> FaceTrack:
        """Return a track by its id, which must exist."""
        return next(track for track in self.tracks if track.id == track_id)

    def choosing(self, number: int) -> FaceAnalysis:
        """The same analysis with another person on camera, counted from 1.

        Raises:
            InvalidInput: there are not so many people.
        """
        if not 1 <= number <= len(self.tracks):
            raise InvalidInput(
                f"There is no face number {number}; {len(self.tracks)} were found.",
                field="face",
                value=number,
                limit=len(self.tracks),
            )
        return FaceAnalysis(self.tracks, self.tracks[number - 1].id)

    def require_on_camera(self) -> FaceTrack:
        """Return the on-camera person.

        Raises:
            NoFaceFound: nobody is on camera.
            FaceUnsuitable: the face is too small.
        """
        if self.on_camera is None:
            raise NoFaceFound("Nobody is on camera in this clip. Pick a source in which one person faces the camera.")
        track = self.track(self.on_camera)
        if track.height < LEAST_HEIGHT:
            raise FaceUnsuitable(
                f"The face on camera is {track.height:.0f} pixels high; {LEAST_HEIGHT:.0f} are needed. "
                "Pick a source in which the person is nearer.",
                field="face_height",
                value=round(track.height, 1),
                limit=LEAST_HEIGHT,
            )
        return track

    def save(self, path: Path) -> None:
        """Write the analysis as one NumPy archive, atomically."""
        arrays: dict[str, NDArray[np.generic]] = {}
        for position, track in enumerate(self.tracks):
            arrays[f"frames{position}"] = track.frames
            arrays[f"landmarks{position}"] = track.landmarks
            arrays[f"embedding{position}"] = track.embedding
            if track.texture is not None:
                arrays[f"texture{position}"] = track.texture
        values = {"ids": [track.id for track in self.tracks], "heights": [track.height for track in self.tracks]}
        values["alive"] = [track.alive for track in self.tracks]
        values["speaking"] = [track.speaking for track in self.tracks]
        arrays["values"] = np.frombuffer(json.dumps({**values, "on_camera": self.on_camera}).encode(), np.uint8)
        write_archive(path, arrays)

    @classmethod
    def load(cls, path: Path) -> FaceAnalysis:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as archive:
            values = json.loads(archive["values"].tobytes())
            tracks = tuple(
                FaceTrack(
                    track_id,
                    archive[f"frames{position}"],
                    archive[f"landmarks{position}"],
                    archive[f"embedding{position}"],
                    float(values["heights"][position]),
                    bool(values["alive"][position]),
                    float(values["speaking"][position]),
                    archive.get(f"texture{position}"),
                )
                for position, track_id in enumerate(values["ids"])
            )
        return cls(tracks, values["on_camera"])


@dataclass(slots=True, eq=False)
class _Run:
    """A face followed without interruption."""

    frames: list[int]
    points: list[Points]
    embeddings: list[Embedding]
    textures: list[Image]

    def points_at(self, frame: int) -> Points | None:
        """The points in a frame; None outside of the run."""
        place = frame - self.frames[0] if self.frames else -1
        return self.points[place] if 0 <= place < len(self.frames) else None

    def cut(self, frame: int) -> None:
        """Forget what was seen from a frame on."""
        kept = sum(index < frame for index in self.frames)
        del self.frames[kept:], self.points[kept:]


class FaceFinder:
    """Is fed every frame of a clip in order; `found` then tells its faces.

    Faces are looked for at every cut and every `DETECT_EVERY` frames, and followed from each frame's points to the next,
    and back to where they came into the picture since the look before. Who it is is asked again at every look, so that a
    run cannot slip from one person to another. Runs of one person are joined by likeness, also across cuts. The on-camera
    person is who is there longest, largest, most central and speaking; a face that does not move in itself (a poster, a
    photograph) only when there is no other.
    """

    def __init__(self, facts: VideoFacts, shots: tuple[Shot, ...], models: FaceModels) -> None:
        self._detector, self._landmarker = FaceDetector(models), FaceLandmarker(models)
        self._identifier = FaceIdentifier(models)
        self._facts = facts
        self._starts = {shot.first_frame for shot in shots}
        self._ended: list[_Run] = []
        self._alive: list[_Run] = []
        self._recent: deque[Frame] = deque(maxlen=DETECT_EVERY)

    def feed(self, frame: Frame) -> None:
        """Take the next frame."""
        if frame.index in self._starts:
            self._ended, self._alive = self._ended + self._alive, []
            self._recent.clear()
        going_on: list[_Run] = []
        for run in self._alive:
            points, presence = self._landmarker.near(frame.image, run.points[-1])
            if presence >= LEAST_PRESENCE and not any(_same_place(points, other.points[-1]) for other in going_on):
                run.frames.append(frame.index)
                run.points.append(points)
                going_on.append(run)
            else:
                self._ended.append(run)
        self._alive = going_on
        if frame.index in self._starts or frame.index % DETECT_EVERY == 0:
            for box in self._detector.find(frame.image):
                points, presence = self._landmarker.in_box(frame.image, box)
                if presence >= LEAST_PRESENCE and not any(_same_place(points, run.points[-1]) for run in self._alive):
                    run = _Run([frame.index], [points], [], [])
                    _follow_back(run, self._recent, self._landmarker, [*self._ended, *self._alive])
                    self._alive.append(run)
            self._ended, self._alive = _asked_again(frame, self._alive, self._ended, self._identifier)
        self._recent.append(frame)

    def found(self) -> FaceAnalysis:
        """All faces of the clip, once its last frame was fed."""
        return _judged(self._ended + self._alive, self._facts)


def analyse_faces(
    path: Path,
    facts: VideoFacts,
    shots: tuple[Shot, ...],
    models: FaceModels,
    progress: Progress = silent,
    *,
    frames: FrameReader = read_frames,
) -> FaceAnalysis:
    """Find, follow and tell apart the faces of a clip; see `FaceFinder`.

    Raises:
        MediaInvalid: the clip cannot be decoded.
        Cancelled: `progress` did.
    """
    finder = FaceFinder(facts, shots, models)
    for frame in frames(path):
        finder.feed(frame)
        progress(frame.index + 1, facts.frame_count)
    return finder.found()


def _follow_back(run: _Run, recent: Iterable[Frame], landmarker: FaceLandmarker, others: list[_Run]) -> None:
    """Follow a face that a look has found to the frames since the look before, in which it came into the picture."""
    for frame in reversed(tuple(recent)):
        points, presence = landmarker.near(frame.image, run.points[0])
        seen = (other.points_at(frame.index) for other in others)
        if presence < LEAST_PRESENCE or any(known is not None and _same_place(points, known) for known in seen):
            return
        run.frames.insert(0, frame.index)
        run.points.insert(0, points)


def _asked_again(
    frame: Frame, alive: list[_Run], ended: list[_Run], identifier: FaceIdentifier
) -> tuple[list[_Run], list[_Run]]:
    """Check that each run still shows the same person; end it at the last sure frame where it does not."""
    going_on = []
    for run in alive:
        points = run.points[-1]
        embedding = identifier.embed(frame.image, points)
        facing = abs(yaw_degrees(points)) < FACING_YAW
        if run.embeddings and facing and max(similarity(embedding, known) for known in run.embeddings) < OTHER_PERSON:
            run.cut(max(run.frames[0] + 1, frame.index - DETECT_EVERY + 1))
            ended.append(run)
            run = _Run([frame.index], [points], [], [])
        if len(run.embeddings) < _SAMPLES:
            run.embeddings.append(embedding)
        if len(run.textures) < _TEXTURES:
            run.textures.append(unwrapped(frame.image, points, LOOK_TEXTURE))
        going_on.append(run)
    return ended, going_on


def _judged(runs: list[_Run], facts: VideoFacts) -> FaceAnalysis:
    people: list[tuple[Embedding, list[_Run]]] = []
    for run in sorted((run for run in runs if run.embeddings), key=lambda run: run.frames[0]):
        mean = np.mean(run.embeddings, axis=0)
        embedding = np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float32)
        taken = set(run.frames)
        for known, owned in people:
            apart = all(taken.isdisjoint(other.frames) for other in owned)
            if apart and similarity(known, embedding) >= SAME_PERSON:
                owned.append(run)
                break
        else:
            people.append((embedding, [run]))
    tracks = []
    for position, (embedding, owned) in enumerate(people):
        frames = np.concatenate([np.asarray(run.frames, np.int32) for run in owned])
        landmarks = np.concatenate([np.stack(run.points) for run in owned]).astype(np.float32)
        height = float(np.median(np.ptp(landmarks[:, :, 1], axis=1)))
        textures = [texture for run in owned for texture in run.textures]
        tracks.append(
            FaceTrack(
                f"face{position + 1}",
                frames,
                landmarks,
                embedding,
                height,
                _moves(landmarks),
                float(np.std([expression(points)[0] for points in landmarks])),
                np.asarray(np.median(textures, axis=0), np.uint8) if textures else None,
            )
        )
    ranked = sorted(tracks, key=lambda track: -_weight(track, facts))
    return FaceAnalysis(tuple(tracks), ranked[0].id if ranked else None)


def _weight(track: FaceTrack, facts: VideoFacts) -> float:
    centre = track.landmarks[:, :, 0].mean(axis=1).mean()
    off = abs(float(centre) - facts.width / 2) / (facts.width / 2)
    talks = 1 + min(track.speaking, 0.05) / 0.05
    return len(track.frames) * track.height * (1.2 - off) * talks * (1.0 if track.alive else 0.02)


def _moves(landmarks: NDArray[np.float32]) -> bool:
    """Whether the face changes its form: even a silent one blinks, a picture of one does not."""
    if len(landmarks) < _LEAST_TO_JUDGE:
        return True
    shapes = poses_of(landmarks).removed(landmarks)
    return bool(shapes[:, :, :2].std(axis=0).mean() > STILL)


def _same_place(one: Points, other: Points) -> bool:
    return overlap(_bounds(one), _bounds(other)) > 0.3


def _bounds(points: Points) -> FaceBox:
    left, top = points[:, :2].min(axis=0)
    right, bottom = points[:, :2].max(axis=0)
    return float(left), float(top), float(right), float(bottom)
