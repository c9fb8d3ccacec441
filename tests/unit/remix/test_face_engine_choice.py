"""Which face engines the settings choose: built, named in plans, checked before a job starts, shown by the doctor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

import tiny_networks as tiny
from recaster.cli import app
from recaster.errors import InvalidInput, LicenceRefused, ModelMissing
from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings
from recaster.media.faces import FaceModels, MeshSwapper
from recaster.remix.engines import Engines, engine_choice
from recaster.remix.face_engines import FaceChoice, with_swapper

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "face-engines"
    path.mkdir()
    return path


@pytest.fixture
def models(model_files: Mapping[str, Path]) -> FaceModels:
    return FaceModels.of(model_files)


def test_without_a_word_the_mesh_is_chosen(tmp_path: Path, models: FaceModels) -> None:
    choice = FaceChoice.of(Settings(home=tmp_path))
    assert choice.names() == {"swapper": "mesh/4"}
    assert isinstance(choice.build(models), MeshSwapper)


def test_chosen_networks_are_named_in_plans_with_their_hashes(tmp_path: Path, folder: Path, models: FaceModels) -> None:
    tiny.write_swapper(folder, "house", "ghost")
    tiny.write_single(folder, "white", "restorer", "gfpgan", tiny.restorer(folder / "white.onnx"))
    tiny.write_single(folder, "plane", "parser", "xseg", tiny.plane_parser(folder / "plane.onnx"))
    settings = Settings(home=tmp_path, face_swapper="onnx:house", face_restorer="white", face_parser="plane")
    choice = FaceChoice.of(settings)
    names = choice.names()
    assert names.keys() == {"swapper", "face_restorer", "face_parser"}
    assert names["swapper"].startswith("onnx:house/")
    assert FaceChoice.from_json(json.loads(json.dumps(choice.to_json()))) == choice
    assert not isinstance(choice.build(models), MeshSwapper)


def test_a_restorer_goes_with_the_mesh_too(tmp_path: Path, folder: Path, models: FaceModels) -> None:
    tiny.write_single(folder, "white", "restorer", "gfpgan", tiny.restorer(folder / "white.onnx"))
    choice = FaceChoice.of(Settings(home=tmp_path, face_restorer="white"))
    assert choice.names()["swapper"] == "mesh/4"
    assert not isinstance(choice.build(models), MeshSwapper)


def test_a_job_is_refused_before_it_starts_when_a_network_cannot_be_used(
    tmp_path: Path, folder: Path, model_store: ModelStore
) -> None:
    tiny.write_swapper(folder, "research", "ghost", commercial=False)
    with pytest.raises(LicenceRefused):
        engine_choice(Settings(home=tmp_path, face_swapper="onnx:research"), model_store)
    allowed = Settings(home=tmp_path, face_swapper="onnx:research", noncommercial_engines=["research"])
    engines = Engines.from_choice(json.loads(json.dumps(engine_choice(allowed, model_store))))
    assert engines.names["swapper"].startswith("onnx:research/")
    (folder / "research.onnx").write_bytes(b"something else")
    with pytest.raises(ModelMissing):
        engine_choice(allowed, model_store)
    with pytest.raises(InvalidInput, match="missing"):
        engine_choice(Settings(home=tmp_path, face_swapper="onnx:missing"), model_store)


@pytest.mark.parametrize("value", ["magic", "onnx:", "onnx:../house", "onnx:a b"])
def test_a_swapper_of_no_known_form_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(ValidationError, match="face_swapper"):
        Settings(home=tmp_path, face_swapper=value)


def test_a_single_run_may_choose_another_swapper(tmp_path: Path, folder: Path) -> None:
    settings = Settings(home=tmp_path)
    assert with_swapper(settings, None) is settings
    tiny.write_swapper(folder, "house", "ghost")
    assert FaceChoice.of(with_swapper(settings, "onnx:house")).names()["swapper"].startswith("onnx:house/")
    for value in ("magic", "onnx:"):
        with pytest.raises(InvalidInput, match="no face swapper"):
            with_swapper(settings, value)
    # A name that leads out of the folder is no name.
    with pytest.raises(InvalidInput):
        FaceChoice.of(with_swapper(settings, "onnx:../face-engines/house")).names()


def test_the_doctor_shows_described_engines_and_why_one_cannot_be_used(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECASTER_HOME", str(tmp_path))
    tiny.write_swapper(folder, "house", "inswapper")
    tiny.write_swapper(folder, "research", "ghost", commercial=False)

    def findings() -> dict[str, dict[str, str]]:
        result = CliRunner().invoke(app, ["doctor", "--json"])
        return {finding["subject"]: finding for finding in json.loads(result.stdout)["findings"]}

    shown = findings()
    assert shown["face engines"]["state"] == "ok"
    assert "mesh" in shown["face engines"]["found"]
    assert shown["face engine house"]["state"] == "ok"
    assert "not chosen" in shown["face engine house"]["found"]
    assert shown["face engine research"]["state"] == "warning"
    monkeypatch.setenv("RECASTER_FACE_SWAPPER", "onnx:research")
    shown = findings()
    assert shown["face engine research"]["state"] == shown["face engines"]["state"] == "broken"
    assert "commercial" in shown["face engines"]["found"]
    monkeypatch.setenv("RECASTER_NONCOMMERCIAL_ENGINES", '["research"]')
    assert findings()["face engines"]["state"] == "ok"
