"""`recaster models` and `recaster doctor` as a person and a script meet them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recaster.cli import app
from recaster.infra.models import load_manifest

pytestmark = pytest.mark.unit


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECASTER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_doctor_names_each_missing_model_and_its_remedy(empty_home: Path) -> None:
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exit_code == 1
    findings = {finding["subject"]: finding for finding in json.loads(result.stdout)["findings"]}
    from_wheels = [model.name for model in load_manifest().models if model.wheel and not model.optional]
    assert from_wheels
    for name in from_wheels:
        assert findings[f"model {name}"]["state"] == "broken"
        assert "recaster models install" in findings[f"model {name}"]["remedy"]
    assert findings["model smollm2"]["state"] == "ok"
    assert findings["model overlay_fill"]["state"] == "ok"
    assert findings["database"]["state"] == "ok"
    assert findings["encoder"]["state"] == "ok"


def test_doctor_says_which_address_is_wrong(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECASTER_STORAGE_URL", "ftp://somewhere")
    result = CliRunner().invoke(app, ["doctor", "--json"])
    findings = {finding["subject"]: finding for finding in json.loads(result.stdout)["findings"]}
    assert findings["object store"]["state"] == "broken"
    assert "ftp" in findings["object store"]["found"]


def test_doctor_never_shows_a_secret(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECASTER_COPY_API_KEY", "canary-7f3a")
    monkeypatch.setenv("RECASTER_KEY_PEPPER", "canary-7f3a")
    for arguments in (["doctor"], ["doctor", "--json"]):
        assert "canary-7f3a" not in CliRunner().invoke(app, arguments).output


def test_models_list_shows_licence_and_state_of_every_declared_model(empty_home: Path) -> None:
    result = CliRunner().invoke(app, ["models", "list", "--json"])
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert {row["name"] for row in rows} == {model.name for model in load_manifest().models}
    assert all(row["licence"] and row["state"] in {"ok", "missing"} for row in rows)
