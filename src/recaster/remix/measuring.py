"""What an analysis says about how well its source can be remixed, as the recommendations take it. Nothing is decoded."""

from __future__ import annotations

from statistics import median

import numpy as np

from recaster.media.faces import FaceAnalysis, worn
from recaster.media.faces.mesh import poses_of
from recaster.remix.analysis import SourceAnalysis
from recaster.service.recommendations.remixability import Measured

_YAW_PERCENTILE = 90


def measure(analysis: SourceAnalysis) -> Measured:
    """Return the figures of an analysis that speak of its remixability."""
    frames = max(analysis.facts.frame_count, 1)
    faces = analysis.faces
    on_camera = faces.track(faces.on_camera) if faces.on_camera is not None else None
    others = {int(frame) for track in faces.tracks if track.id != faces.on_camera for frame in track.frames}
    texts = tuple(track.text for track in analysis.overlays if track.text.strip())
    confidences = [track.confidence for track in analysis.overlays if track.text.strip()]
    return Measured(
        duration_ms=round(analysis.facts.duration * 1000),
        face_share=round(len(on_camera.frames) / frames, 4) if on_camera is not None else 0.0,
        face_height=round(on_camera.height, 1) if on_camera is not None else 0.0,
        face_yaw=round(_yaw(faces), 1),
        other_face_share=round(len(others) / frames, 4),
        overlay_texts=texts,
        overlay_confidence=round(median(confidences), 4) if confidences else 0.0,
        face_wears=worn(on_camera) if on_camera is not None else (),
    )


def _yaw(faces: FaceAnalysis) -> float:
    """Degrees by which the on-camera head turns aside at the 90th percentile; 0 without one."""
    if faces.on_camera is None:
        return 0.0
    turns = poses_of(faces.track(faces.on_camera).landmarks).degrees[:, 0]
    return float(np.percentile(np.abs(turns), _YAW_PERCENTILE))
