"""What every `FaceSwapper` owes its callers, whatever method it uses."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

import tiny_networks
from recaster.errors import NoFaceFound
from recaster.media.faces import (
    FaceAnalysis,
    FaceLandmarker,
    FaceModels,
    FaceSwapper,
    FaceTrack,
    MeshSwapper,
    Persona,
    find_faces,
    prepare_persona,
)
from recaster.media.faces.neural import OnnxParser, OnnxRestorer, OnnxSwapper, load_engine
from recaster.media.video import ColorTags, Image, VideoFacts, VideoWriter

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def models(model_files: Mapping[str, Path]) -> FaceModels:
    return FaceModels.of(model_files)


@pytest.fixture(scope="module")
def persona(models: FaceModels, persona_pictures: Mapping[str, Path]) -> Persona:
    return prepare_persona([persona_pictures["P007"] / "studio_portrait.jpg"], models)


@pytest.fixture(scope="module", params=["mesh", *sorted(tiny_networks.SIZES), "restored and parsed"])
def swapper(
    request: pytest.FixtureRequest, models: FaceModels, tmp_path_factory: pytest.TempPathFactory
) -> FaceSwapper:
    """Every implementation; a generator network of each public family is a tiny one with the same shapes."""
    if request.param == "mesh":
        return MeshSwapper(models)
    folder = tmp_path_factory.mktemp("engines")
    family = request.param if request.param in tiny_networks.SIZES else "inswapper"
    tiny_networks.write_swapper(folder, "tiny", family, tint=0.05, more="most_tiles = 1")
    restorer = parser = None
    if family != request.param:
        network = tiny_networks.restorer(folder / "white.onnx")
        tiny_networks.write_single(folder, "white", "restorer", "gfpgan", network)
        restorer = OnnxRestorer(load_engine(folder, "white", "restorer"), "cpu")
        network = tiny_networks.plane_parser(folder / "plane.onnx")
        tiny_networks.write_single(folder, "plane", "parser", "xseg", network)
        parser = OnnxParser(load_engine(folder, "plane", "parser"), "cpu")
    return OnnxSwapper(models, load_engine(folder, "tiny", "swapper"), restorer=restorer, parser=parser, device="cpu")


@pytest.fixture(scope="module")
def picture(persona_pictures: Mapping[str, Path]) -> Image:
    image = cv2.imread(str(persona_pictures["P006"] / "amateur_selfie.jpg"))
    return np.asarray(cv2.resize(image, (424, 632), interpolation=cv2.INTER_AREA), np.uint8)


@pytest.fixture(scope="module")
def facts(picture: Image) -> VideoFacts:
    height, width = picture.shape[:2]
    return VideoFacts(
        "mp4", "h264", width, height, 0, Fraction(1, 24), Fraction(24), 3, Fraction(1, 8), ColorTags(), None, 1
    )


@pytest.fixture(scope="module")
def analysis(models: FaceModels, picture: Image) -> FaceAnalysis:
    points, _ = FaceLandmarker(models).in_box(picture, find_faces(picture, models)[0])
    track = FaceTrack(
        "face1", np.arange(3, dtype=np.int32), np.repeat(points[None], 3, axis=0), np.zeros(128, np.float32), 150.0
    )
    return FaceAnalysis((track,), "face1")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, picture: Image, facts: VideoFacts) -> Path:
    path = tmp_path_factory.mktemp("swapper") / "still.mp4"
    with VideoWriter(path, facts, source=path) as writer:
        for index in range(3):
            writer.write(picture, index, 1)
    return path


def test_a_swap_keeps_shape_kind_and_input_and_is_counted(
    swapper: FaceSwapper, persona: Persona, analysis: FaceAnalysis, facts: VideoFacts, picture: Image, clip: Path
) -> None:
    session = swapper.begin(persona, analysis, facts, clip)
    before = picture.copy()
    result = session.swap(picture, 0)
    assert result.shape == picture.shape
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(result[0], picture[0])
    assert (result != picture).any()
    assert session.swapped_frames == 1


def test_a_frame_without_the_face_comes_back_unchanged_and_uncounted(
    swapper: FaceSwapper, persona: Persona, analysis: FaceAnalysis, facts: VideoFacts, picture: Image, clip: Path
) -> None:
    session = swapper.begin(persona, analysis, facts, clip)
    np.testing.assert_array_equal(session.swap(picture, 99), picture)
    assert session.swapped_frames == 0


def test_a_clip_without_a_person_is_refused_before_the_first_frame(
    swapper: FaceSwapper, persona: Persona, facts: VideoFacts
) -> None:
    with pytest.raises(NoFaceFound):
        swapper.begin(persona, FaceAnalysis((), None), facts, Path("unused.mp4"))
