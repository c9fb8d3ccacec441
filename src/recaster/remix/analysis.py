"""What is known about a source, independent of any brand: found out once, stored, and used by every remix of it.

It is kept in a folder: `analysis.json` for values, `faces.npz` for landmarks. It finds out nothing itself; see
`recaster.remix.steps.analyse`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from recaster.errors import InvalidInput
from recaster.infra.files import atomic_file
from recaster.media.faces import FaceAnalysis
from recaster.media.overlays import OverlayTrack, tracks_from_json, tracks_to_json
from recaster.media.video import Shot, VideoFacts

ANALYSIS_VERSION = 4
"""Raised whenever an engine finds other things in the same source; older stored analyses are then made anew."""

_VALUES = "analysis.json"
_FACES = "faces.npz"
FILES = (_VALUES, _FACES)
"""The files of an analysis folder."""

_FACTS = TypeAdapter(VideoFacts)


@dataclass(frozen=True, slots=True)
class SourceAnalysis:
    """Facts, shots, overlays and faces of one source."""

    sha256: str
    """Of the source file's bytes."""
    facts: VideoFacts
    shots: tuple[Shot, ...]
    overlays: tuple[OverlayTrack, ...]
    faces: FaceAnalysis

    def save(self, folder: Path) -> None:
        """Write the analysis into `folder`; the values last, so that they are there only when all is."""
        folder.mkdir(parents=True, exist_ok=True)
        self.faces.save(folder / _FACES)
        values = {
            "version": ANALYSIS_VERSION,
            "sha256": self.sha256,
            "facts": _FACTS.dump_python(self.facts, mode="json"),
            "shots": [[shot.first_frame, shot.last_frame] for shot in self.shots],
            "overlays": tracks_to_json(self.overlays),
        }
        with atomic_file(folder / _VALUES) as file:
            file.write((json.dumps(values, indent=1, ensure_ascii=False) + "\n").encode())

    @classmethod
    def load(cls, folder: Path) -> SourceAnalysis:
        """Read an analysis; raises `InvalidInput` when it was made by another version."""
        values = json.loads((folder / _VALUES).read_text(encoding="utf-8"))
        if values.get("version") != ANALYSIS_VERSION:
            raise InvalidInput(
                f"The analysis in {folder} has version {values.get('version')}, this program writes "
                f"{ANALYSIS_VERSION}. Analyse the source again.",
                field="version",
                value=values.get("version"),
                limit=ANALYSIS_VERSION,
            )
        return cls(
            sha256=values["sha256"],
            facts=_FACTS.validate_python(values["facts"]),
            shots=tuple(Shot(first, last) for first, last in values["shots"]),
            overlays=tracks_from_json(values["overlays"]),
            faces=FaceAnalysis.load(folder / _FACES),
        )
