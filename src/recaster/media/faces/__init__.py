"""Faces: find, follow, tell apart, and put a persona's face on the on-camera person."""

from recaster.media.faces.analysis import FaceAnalysis, FaceFinder, FaceTrack, analyse_faces
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
from recaster.media.faces.session import REACH
from recaster.media.faces.sheet import face_sheet
from recaster.media.faces.suitability import Suitability, judge, worn
from recaster.media.faces.swap import FaceSwapper, GeneratorSwapper, MeshSwapper, SwapSession

__all__ = [
    "REACH",
    "FaceAnalysis",
    "FaceDetector",
    "FaceFinder",
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
    "Suitability",
    "SwapSession",
    "analyse_faces",
    "face_sheet",
    "find_faces",
    "inspect_reference",
    "judge",
    "prepare_persona",
    "similarity",
    "worn",
]
