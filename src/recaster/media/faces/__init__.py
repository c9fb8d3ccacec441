"""Faces: find, follow, tell apart, and put a persona's face on the on-camera person."""

from recaster.media.faces.analysis import FaceAnalysis, FaceTrack, analyse_faces
from recaster.media.faces.generator import FaceGenerator, FaceView, GeneratedFace, GeneratorSession
from recaster.media.faces.networks import (
    FaceDetector,
    FaceIdentifier,
    FaceLandmarker,
    FaceModels,
    find_faces,
    similarity,
)
from recaster.media.faces.persona import Persona, Reference, inspect_reference, prepare_persona
from recaster.media.faces.swap import FaceSwapper, GeneratorSwapper, MeshSwapper, SwapSession

__all__ = [
    "FaceAnalysis",
    "FaceDetector",
    "FaceGenerator",
    "FaceIdentifier",
    "FaceLandmarker",
    "FaceModels",
    "FaceSwapper",
    "FaceTrack",
    "FaceView",
    "GeneratedFace",
    "GeneratorSession",
    "GeneratorSwapper",
    "MeshSwapper",
    "Persona",
    "Reference",
    "SwapSession",
    "analyse_faces",
    "find_faces",
    "inspect_reference",
    "prepare_persona",
    "similarity",
]
