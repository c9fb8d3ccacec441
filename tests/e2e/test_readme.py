"""What the README tells a newcomer to type is typed here, to the letter, against a real server."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from recaster.demo.source import make_source_clip
from recaster.infra.settings import Settings

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


@pytest.fixture
def environment(tmp_path: Path, port: int) -> Iterator[dict[str, str]]:
    """The environment of both shells, while a server without a worker runs: here only the wire is of interest."""
    models = Settings().folder("models")
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(models)
    variables = {**os.environ, "RECASTER_HOME": str(home), "RECASTER_PORT": str(port)}
    command = [sys.executable, "-m", "recaster.cli", "serve", "--no-worker"]
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while not _ready(port):
                assert server.poll() is None, (tmp_path / "server.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield variables
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=30)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError):
        return False


def test_the_readme_starts_a_remix_with_curl(
    tmp_path: Path,
    port: int,
    environment: Mapping[str, str],
    model_files: Mapping[str, Path],
    persona_pictures: Mapping[str, Path],
) -> None:
    make_source_clip(persona_pictures["P006"], model_files, tmp_path / "clip.mp4", seconds=1, rate=12, size=(360, 640))
    (tmp_path / "pictures").mkdir()
    portrait = cv2.imread(str(persona_pictures["P007"] / "studio_portrait.jpg"))
    for number, side in enumerate((800, 1000)):
        cv2.imwrite(str(tmp_path / f"pictures/{number}.jpg"), cv2.resize(np.asarray(portrait), (side, side)))
    block = re.search(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    commands = block[1].replace(".venv/bin/recaster", f"{sys.executable} -m recaster.cli")
    commands = commands.replace("localhost:8480", f"127.0.0.1:{port}")
    setup, remix = commands.rsplit("\n\n", 1)
    other = remix.replace("7412345678901234567", "7412345678901234568")
    script = f"set -eu\n{setup}\necho\n{remix}\necho\n{remix}\necho\n{other}"

    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    first, again, refused = (json.loads(line) for line in done.stdout.splitlines()[-3:])
    assert first["status"] == "running"
    assert len(first["containerIds"]) == 1
    assert again == first
    assert refused["error"]["code"] == "IDEMPOTENCY_CONFLICT"
