"""Networks that an operator adds, tested with tiny files of the same shapes: what they see, what comes back, what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

import tiny_networks as tiny
from recaster.errors import InvalidInput, LicenceRefused, ModelMissing, NotInstalled
from recaster.media.faces import FaceLandmarker, FaceModels, FaceTrack, FaceView, Persona, find_faces, prepare_persona
from recaster.media.faces.follow import FollowedFace, follow_face
from recaster.media.faces.neural import (
    OnnxGenerator,
    OnnxParser,
    OnnxRestorer,
    declared_engines,
    execution_providers,
    load_engine,
    read_declaration,
    refined,
)
from recaster.media.video import ColorTags, Image, VideoFacts, VideoWriter

pytestmark = pytest.mark.unit

FAMILIES = sorted(tiny.SIZES)


@pytest.fixture(scope="module")
def models(model_files: Mapping[str, Path]) -> FaceModels:
    return FaceModels.of(model_files)


@pytest.fixture(scope="module")
def persona(models: FaceModels, persona_pictures: Mapping[str, Path]) -> Persona:
    return prepare_persona([persona_pictures["P007"] / "studio_portrait.jpg"], models)


@pytest.fixture(scope="module")
def picture(persona_pictures: Mapping[str, Path]) -> Image:
    image = cv2.imread(str(persona_pictures["P006"] / "amateur_selfie.jpg"))
    return np.asarray(cv2.resize(image, (848, 1264), interpolation=cv2.INTER_AREA), np.uint8)


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory, models: FaceModels, picture: Image) -> FollowedFace:
    height, width = picture.shape[:2]
    facts = VideoFacts(
        "mp4", "h264", width, height, 0, Fraction(1, 24), Fraction(24), 2, Fraction(1, 12), ColorTags(), None, 1
    )
    path = tmp_path_factory.mktemp("neural") / "still.mp4"
    with VideoWriter(path, facts, source=path) as writer:
        for index in range(2):
            writer.write(picture, index, 1)
    points, _ = FaceLandmarker(models).in_box(picture, find_faces(picture, models)[0])
    frames = np.arange(2, dtype=np.int32)
    track = FaceTrack("face1", frames, np.repeat(points[None], 2, axis=0), np.zeros(128, np.float32), 400.0)
    return follow_face(path, track, facts)


@pytest.fixture
def view(picture: Image, face: FollowedFace) -> Callable[..., FaceView]:
    def cut(row: int = 0, image: Image | None = None) -> FaceView:
        points = face.points[row]
        low, high = points[:, :2].min(axis=0) - 120, points[:, :2].max(axis=0) + 120
        left, top, right, bottom = (max(0, int(edge)) for edge in (*low, *high))
        crop = (picture if image is None else image)[top:bottom, left:right]
        layout = np.zeros((*crop.shape[:2], 2), np.float32)
        own = points - np.array([left, top, 0], np.float32)
        return FaceView(np.ascontiguousarray(crop), own, layout, np.ones(crop.shape[:2], bool), row)

    return cut


def generator(folder: Path, name: str) -> OnnxGenerator:
    return OnnxGenerator(load_engine(folder, name, "swapper"), "cpu")


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_network_sees_comes_back_in_its_place_and_colours(
    tmp_path: Path, family: str, persona: Persona, face: FollowedFace, view: Callable[..., FaceView]
) -> None:
    # The tiny generator undoes its family's normalisation: wrong mean, range, channel order or alignment would show.
    tiny.write_swapper(tmp_path, "same", family, more="most_tiles = 1")
    seen = view()
    drawn = generator(tmp_path, "same").begin(persona, face).generate(seen)
    assert drawn.picture.shape == seen.image.shape
    inside = drawn.coverage > 0.45
    assert inside.mean() > 0.3
    difference = cv2.GaussianBlur(drawn.picture - seen.image.astype(np.float32), (0, 0), 4)
    assert np.abs(difference[inside]).max() < 8
    assert drawn.coverage.max() == pytest.approx(0.5 if family == "hyperswap" else 1.0, abs=0.01)
    assert drawn.coverage[0].max() < 0.01


@pytest.mark.parametrize("batch", [1, "n"], ids=["one at a time", "all at once"])
def test_tiles_bring_detail_back_that_one_crop_loses(
    tmp_path: Path, batch: object, persona: Persona, face: FollowedFace, view: Callable[..., FaceView]
) -> None:
    seen = view()
    errors = []
    for tiles in (1, 3):
        tiny.write_swapper(tmp_path, "same", "inswapper", more=f"most_tiles = {tiles}", batch=batch)
        drawn = generator(tmp_path, "same").begin(persona, face).generate(seen)
        inside = drawn.coverage > 0.99
        errors.append(float(np.abs(drawn.picture - seen.image)[inside].mean()))
    assert errors[1] < 0.6 * errors[0]


def test_the_persona_decides_what_is_drawn(
    tmp_path: Path, persona: Persona, face: FollowedFace, view: Callable[..., FaceView]
) -> None:
    tiny.write_swapper(tmp_path, "tinting", "inswapper", tint=0.1, more="most_tiles = 1")
    tiny.write_swapper(tmp_path, "same", "inswapper", more="most_tiles = 1")
    seen = view()
    one, other = (generator(tmp_path, name).begin(persona, face).generate(seen) for name in ("tinting", "same"))
    dark = (one.coverage > 0.99) & (seen.image.max(axis=2) < 90)
    added = (one.picture - other.picture)[dark].mean(axis=0)
    assert added[2] > 3 * added[0] > 0, "the identity adds red; pictures are BGR"


def test_a_projection_and_a_converter_are_applied_to_the_identity(
    tmp_path: Path, persona: Persona, face: FollowedFace, view: Callable[..., FaceView]
) -> None:
    seen = view()

    def red(name: str, untinted: str) -> float:
        one, other = (generator(tmp_path, each).begin(persona, face).generate(seen) for each in (name, untinted))
        dark = (one.coverage > 0.45) & (seen.image.max(axis=2) < 90)
        return float((one.picture - other.picture)[dark][:, 2].mean())

    tiny.write_swapper(tmp_path, "same", "inswapper", more="most_tiles = 1")
    for name, matrix in (("plain", np.eye(tiny.LENGTH)), ("zero", np.zeros((tiny.LENGTH, tiny.LENGTH)))):
        tiny.write_swapper(tmp_path, name, "inswapper", tint=0.03, matrix=matrix, more="most_tiles = 1")
    assert red("plain", "same") > 10
    assert abs(red("zero", "same")) < 0.1
    # GHOST takes the vector with its length, so that a converter that doubles it doubles what it adds.
    tiny.write_swapper(tmp_path, "bare", "ghost", more="most_tiles = 1")
    tiny.write_swapper(tmp_path, "single", "ghost", tint=0.004, more="most_tiles = 1")
    description = tiny.write_swapper(tmp_path, "double", "ghost", tint=0.004, more="most_tiles = 1")
    converter = tiny.doubler(tmp_path / "converter.onnx")
    description.write_text(description.read_text() + f"\n[identity.converter]\n{tiny.described(converter)}")
    assert red("double", "bare") == pytest.approx(2 * red("single", "bare"), rel=0.05)


def test_a_restorer_changes_the_face_by_its_strength_and_nothing_else(
    tmp_path: Path, view: Callable[..., FaceView]
) -> None:
    seen = view()
    network = tiny.restorer(tmp_path / "white.onnx")
    tiny.write_single(tmp_path, "white", "restorer", "gfpgan", network, "strength = 0.5")
    restored = OnnxRestorer(load_engine(tmp_path, "white", "restorer"), "cpu").restore(seen.image, seen.points)
    nose = tuple(int(value) for value in seen.points[4, :2][::-1])
    np.testing.assert_allclose(restored[nose], (255 + seen.image[nose].astype(float)) / 2, atol=2)
    tiny.write_single(tmp_path, "off", "restorer", "gfpgan", network, "strength = 0.0")
    off = OnnxRestorer(load_engine(tmp_path, "off", "restorer"), "cpu").restore(seen.image, seen.points)
    np.testing.assert_array_equal(off, seen.image)


def test_a_restorer_with_a_second_input_gets_the_fidelity(tmp_path: Path, view: Callable[..., FaceView]) -> None:
    network = tiny.restorer(tmp_path / "gray.onnx", with_fidelity=True)
    tiny.write_single(tmp_path, "gray", "restorer", "gfpgan", network, "strength = 1.0\nfidelity = 0.25")
    seen = view()
    restored = OnnxRestorer(load_engine(tmp_path, "gray", "restorer"), "cpu").restore(seen.image, seen.points)
    nose = tuple(int(value) for value in seen.points[4, :2][::-1])
    np.testing.assert_allclose(restored[nose], 255 * (0.25 * 0.5 + 0.5), atol=1)


@pytest.mark.parametrize("family", ["bisenet", "xseg"])
def test_a_parser_keeps_what_is_in_front_of_the_face(
    tmp_path: Path, family: str, persona: Persona, face: FollowedFace, picture: Image, view: Callable[..., FaceView]
) -> None:
    build = tiny.class_parser if family == "bisenet" else tiny.plane_parser
    tiny.write_single(tmp_path, "parser", "parser", family, build(tmp_path / "parser.onnx"))
    tiny.write_swapper(tmp_path, "same", "inswapper")
    covered = picture.copy()
    x, y = face.points[0, 4, :2].astype(int)
    cv2.rectangle(covered, (x - 60, y - 20), (x + 60, y + 20), (250, 120, 20), -1)  # something blue
    parser = OnnxParser(load_engine(tmp_path, "parser", "parser"), "cpu")
    session = refined(generator(tmp_path, "same"), parser=parser).begin(persona, face)
    seen = view(0, covered)
    coverage = session.generate(seen).coverage
    nose, cheek = (tuple(int(value) for value in seen.points[index, :2][::-1]) for index in (4, 50))
    assert coverage[nose] < 0.05
    assert coverage[cheek] > 0.9
    # In the next frame the thing is gone: the mask follows, but does not jump.
    after = session.generate(view(1)).coverage[nose]
    assert 0.3 < after < 0.7
    # A frame that does not follow starts afresh.
    assert session.generate(view(1)).coverage[nose] > 0.9


def test_a_restored_and_parsed_face_is_both(
    tmp_path: Path, persona: Persona, face: FollowedFace, view: Callable[..., FaceView]
) -> None:
    tiny.write_swapper(tmp_path, "same", "inswapper")
    tiny.write_single(tmp_path, "white", "restorer", "gfpgan", tiny.restorer(tmp_path / "w.onnx"), "strength = 1.0")
    tiny.write_single(tmp_path, "parser", "parser", "xseg", tiny.plane_parser(tmp_path / "p.onnx"))
    whole = refined(
        generator(tmp_path, "same"),
        OnnxRestorer(load_engine(tmp_path, "white", "restorer"), "cpu"),
        OnnxParser(load_engine(tmp_path, "parser", "parser"), "cpu"),
    )
    assert (whole.shape_transfer, whole.keeps_source_eyes) == (0.0, False)
    seen = view()
    drawn = whole.begin(persona, face).generate(seen)
    nose = tuple(int(value) for value in seen.points[4, :2][::-1])
    np.testing.assert_allclose(drawn.picture[nose], 255, atol=1)
    assert drawn.coverage[nose] > 0.9


def test_engines_are_listed_and_described(tmp_path: Path) -> None:
    tiny.write_swapper(tmp_path, "b", "ghost")
    tiny.write_swapper(tmp_path, "a", "simswap")
    assert list(declared_engines(tmp_path)) == ["a", "b"]
    declared = read_declaration(tmp_path, "a")
    assert declared.crop.size == 256
    assert declared.crop.mean == tiny.IMAGENET_MEAN
    assert load_engine(tmp_path, "a", "swapper").version == f"a/{declared.network.sha256[:12]}"


def test_what_a_description_states_itself_wins_over_its_family(tmp_path: Path) -> None:
    tiny.write_swapper(tmp_path, "own", "ghost", more='shape_transfer = 0.5\n[crop]\ntemplate = "ffhq-512"')
    declared = read_declaration(tmp_path, "own")
    assert declared.crop.template == "ffhq-512"
    assert declared.crop.size == 256
    assert declared.crop.mean == (0.5, 0.5, 0.5)


def test_a_non_commercial_licence_is_refused_unless_the_engine_is_named(tmp_path: Path) -> None:
    tiny.write_swapper(tmp_path, "research", "inswapper", commercial=False)
    with pytest.raises(LicenceRefused, match=r"research.*for research only.*noncommercial_engines"):
        load_engine(tmp_path, "research", "swapper", allowed=["another"])
    assert load_engine(tmp_path, "research", "swapper", allowed=["research"]).name == "research"


def test_another_file_than_the_described_one_is_refused(tmp_path: Path) -> None:
    tiny.write_swapper(tmp_path, "house", "inswapper")
    shutil.copy(tmp_path / "house-recogniser.onnx", tmp_path / "house.onnx")
    with pytest.raises(ModelMissing, match="SHA-256"):
        load_engine(tmp_path, "house", "swapper")
    (tmp_path / "house.onnx").unlink()
    with pytest.raises(ModelMissing, match="missing"):
        load_engine(tmp_path, "house", "swapper")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (('family = "inswapper"', 'family = "outswapper"'), "outswapper"),
        (('kind = "swapper"', 'kind = "painter"'), "painter"),
        (("commercial_use = true", 'commercial_use = "perhaps"'), "network.commercial_use"),
        (('licence = "Apache-2.0"', ""), "network.licence"),
        (('file = "house.onnx"', 'file = "../house.onnx"'), "network.file"),
        (("[network]", "most_tiles = 9\n[network]"), "most_tiles"),
        (("[network]", "colour = 1\n[network]"), "colour"),
        (("[network]", "[network"), "TOML"),
    ],
)
def test_a_wrong_description_names_the_key(tmp_path: Path, change: tuple[str, str], key: str) -> None:
    path = tiny.write_swapper(tmp_path, "house", "inswapper")
    path.write_text(path.read_text().replace(*change, 1))
    with pytest.raises(InvalidInput, match=key):
        load_engine(tmp_path, "house", "swapper")


def test_an_unknown_name_and_a_wrong_kind_are_said(tmp_path: Path) -> None:
    tiny.write_swapper(tmp_path, "house", "inswapper")
    with pytest.raises(InvalidInput, match=r"no face engine called 'mouse'.*house"):
        load_engine(tmp_path, "mouse", "swapper")
    with pytest.raises(InvalidInput, match="is a swapper, not a parser"):
        load_engine(tmp_path, "house", "parser")


def test_a_network_of_other_shapes_is_refused_before_the_first_frame(tmp_path: Path) -> None:
    description = tiny.write_swapper(tmp_path, "house", "ghost")
    text = description.read_text()
    other = tiny.recogniser(tmp_path / "other.onnx")
    description.write_text(text.replace(tiny.described(tmp_path / "house.onnx"), tiny.described(other), 1))
    with pytest.raises(InvalidInput, match=r"other\.onnx.*for the identity"):
        generator(tmp_path, "house")
    description.write_text(text.replace("[network]", "[crop]\nsize = 128\n[network]"))
    with pytest.raises(InvalidInput, match=r"pictures of \[256, 256\]"):
        generator(tmp_path, "house")


def test_an_identity_of_another_length_is_refused(tmp_path: Path, persona: Persona, face: FollowedFace) -> None:
    description = tiny.write_swapper(tmp_path, "house", "ghost")
    longer = tiny.recogniser(tmp_path / "longer.onnx", length=24)
    text = description.read_text()
    description.write_text(text.replace(tiny.described(tmp_path / "house-recogniser.onnx"), tiny.described(longer)))
    with pytest.raises(InvalidInput, match=r"gives 24 numbers, the generator wants 16"):
        generator(tmp_path, "house").begin(persona, face)


def test_an_inswapper_without_its_matrix_is_refused(tmp_path: Path) -> None:
    tiny.write_swapper(tmp_path, "house", "inswapper", matrix=None)
    with pytest.raises(InvalidInput, match=r"16x16 matrix 'last'"):
        generator(tmp_path, "house")


def test_a_file_that_is_no_model_is_said(tmp_path: Path) -> None:
    description = tiny.write_swapper(tmp_path, "house", "ghost")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"this is no protocol buffer")
    text = description.read_text()
    description.write_text(text.replace(tiny.described(tmp_path / "house.onnx"), tiny.described(broken)))
    with pytest.raises(ModelMissing, match=r"broken\.onnx cannot be run"):
        generator(tmp_path, "house")


def test_a_graphics_processor_is_used_when_present(monkeypatch: pytest.MonkeyPatch) -> None:
    present = ["AzureExecutionProvider", "CPUExecutionProvider", "CUDAExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: present)
    assert execution_providers("auto") == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert execution_providers("cpu") == ["CPUExecutionProvider"]


def test_a_graphics_processor_that_does_not_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write_swapper(tmp_path, "house", "ghost")
    engine = load_engine(tmp_path, "house", "swapper")
    monkeypatch.setattr(
        "onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    with (
        pytest.warns(UserWarning, match="CUDAExecutionProvider"),
        pytest.raises(NotInstalled, match="inference_device"),
    ):
        OnnxGenerator(engine, "auto")
    OnnxGenerator(engine, "cpu")
