"""The persona, the picture and the landmarks that the tests of the face room share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from recaster.media.faces import FaceLandmarker, FaceModels, Persona, find_faces, prepare_persona
from recaster.media.video import Image


@pytest.fixture(scope="session")
def models(model_files: Mapping[str, Path]) -> FaceModels:
    return FaceModels.of(model_files)


@pytest.fixture(scope="session")
def persona(models: FaceModels, persona_pictures: Mapping[str, Path]) -> Persona:
    folder = persona_pictures["P007"]
    return prepare_persona([folder / "studio_portrait.jpg", folder / "amateur_selfie.jpg"], models)


@pytest.fixture(scope="session")
def picture(persona_pictures: Mapping[str, Path]) -> Image:
    """Another person's selfie, 482x720."""
    image = cv2.imread(str(persona_pictures["P006"] / "amateur_selfie.jpg"))
    return np.asarray(cv2.resize(image, (482, 720), interpolation=cv2.INTER_AREA), np.uint8)


@pytest.fixture(scope="session")
def points(models: FaceModels, picture: Image) -> np.ndarray:
    found, presence = FaceLandmarker(models).in_box(picture, find_faces(picture, models)[0])
    assert presence > 0.6
    return found
