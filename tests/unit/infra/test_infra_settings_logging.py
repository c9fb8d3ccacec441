from __future__ import annotations

import json
import logging
import stat
from pathlib import Path

import pytest
import structlog

from recaster.infra.logging import configure_logging, redact
from recaster.infra.settings import Settings

pytestmark = pytest.mark.unit

TOKEN = "lp_live_" + "K" * 16 + "_" + "s_" * 21 + "s"


def test_everything_has_a_default_and_a_description(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert settings.resolved_database_url() == f"sqlite:///{tmp_path}/recaster.db"
    assert settings.resolved_storage_url() == f"file://{tmp_path}/objects"
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
    assert list(tmp_path.iterdir()) == []


def test_arguments_beat_environment_beats_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "own.toml"
    file.write_text('port = 1001\nhost = "0.0.0.0"\nlog_level = "DEBUG"\n')
    monkeypatch.setenv("RECASTER_CONFIG", str(file))
    monkeypatch.setenv("RECASTER_PORT", "1002")
    monkeypatch.setenv("RECASTER_LOG_LEVEL", "ERROR")
    settings = Settings(home=tmp_path, log_level="WARNING")
    assert (settings.host, settings.port, settings.log_level) == ("0.0.0.0", 1002, "WARNING")


def test_the_pepper_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    first = Settings(home=tmp_path).pepper()
    assert len(first) == 32
    assert Settings(home=tmp_path).pepper() == first
    assert stat.S_IMODE((tmp_path / "secrets" / "pepper").stat().st_mode) == 0o600
    assert Settings(home=tmp_path, key_pepper="given").pepper() != first
    (tmp_path / "secrets" / "pepper").write_bytes(b"short")
    with pytest.raises(RuntimeError, match="5 bytes instead of 32"):
        Settings(home=tmp_path).pepper()


def test_the_description_masks_secrets(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, copy_api_key="sk-canary", key_pepper="pepper-canary")
    assert "canary" not in json.dumps(settings.describe())


def test_secrets_are_cut_out_of_logs(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    try:
        configure_logging("INFO")
        structlog.get_logger("a").info(
            "seen", authorization=f"Bearer {TOKEN}", note=f"key {TOKEN} end", deep={"api_key": "x"}
        )
        logging.getLogger("library").warning("url postgresql://user:word@host/db and %s", TOKEN)
        try:
            raise ValueError(TOKEN)
        except ValueError:
            structlog.get_logger("a").exception("failed")
    finally:
        root.handlers, root.level = before
        structlog.reset_defaults()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "s_s_s_" not in "".join(lines)
    assert "word" not in lines[1]
    seen = json.loads(lines[0])
    assert seen["authorization"] == "…"
    assert seen["note"] == f"key lp_live_{'K' * 16}_… end"
    assert json.loads(lines[1])["logger"] == "library"


def test_redacting_leaves_the_rest_alone() -> None:
    value = {"job": "job_1", "n": 3, "list": ["a", ("b",)], "none": None}
    assert redact(value) == {"job": "job_1", "n": 3, "list": ["a", ["b"]], "none": None}
