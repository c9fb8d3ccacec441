"""`--swapper` of the commands that draw faces: what is refused before any work is done."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import tiny_networks as tiny
from recaster.cli import app
from recaster.errors import InvalidInput, LicenceRefused
from recaster.infra.settings import Settings

pytestmark = pytest.mark.unit


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    home = tmp_path / "home"
    (home / "face-engines").mkdir(parents=True)
    (home / "models").symlink_to(Settings().folder("models"))
    monkeypatch.setenv("RECASTER_HOME", str(home))
    clip, pictures = tmp_path / "clip.mp4", tmp_path / "pictures"
    clip.write_bytes(b"never opened")
    pictures.mkdir()
    (pictures / "one.jpg").write_bytes(b"never opened")
    brand = tmp_path / "brand.toml"
    brand.write_text('name = "House"\n')
    return [str(clip), "--persona", str(pictures), "-o", str(tmp_path / "out.mp4")]


@pytest.mark.parametrize("command", ["swap", "remix"])
def test_a_swapper_that_cannot_be_used_is_refused_first(tmp_path: Path, arguments: list[str], command: str) -> None:
    if command == "remix":
        arguments = [*arguments, "--brand", str(tmp_path / "brand.toml")]
    tiny.write_swapper(tmp_path / "home" / "face-engines", "research", "ghost", commercial=False)
    for swapper, error in (("magic", InvalidInput), ("onnx:unknown", InvalidInput), ("onnx:research", LicenceRefused)):
        result = CliRunner().invoke(app, [command, *arguments, "--swapper", swapper])
        assert isinstance(result.exception, error), swapper
    assert not (tmp_path / "out.mp4").exists()
