"""The wheel carries all that the package needs: it runs from the wheel's files alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from recaster.infra.settings import Settings

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "recaster"


def test_the_package_runs_from_its_wheel(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        carried = {name for name in archive.namelist() if name.startswith("recaster/")}
        archive.extractall(tmp_path / "site")
    written = {
        f"recaster/{path.relative_to(SOURCE)}"
        for path in SOURCE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert carried == written

    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(Settings().folder("models"))
    doctor = subprocess.run(
        [sys.executable, "-c", "import recaster.cli as cli; print(cli.__file__); cli.main()", "doctor", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), "RECASTER_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    place, _, report = doctor.stdout.partition("\n")
    assert place.startswith(str(tmp_path / "site"))
    findings = json.loads(report)["findings"]
    assert [finding for finding in findings if finding["state"] == "broken"] == []
    assert doctor.returncode == 0
