"""Files that attack whoever opens them, opened the way an upload is. The generator and the long run are in bench/sources."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bench.sources.hostile import Canary, examine
from bench.sources.hostile_media import bombs, healthy, mutated

from recaster.errors import MediaInvalid
from recaster.infra.child import run_in_child
from recaster.infra.sandbox import SandboxPolicy
from recaster.infra.settings import Settings
from recaster.service.media.decoding import FileExaminer
from recaster.service.media.inspection import UploadedFile

pytestmark = pytest.mark.unit

HERE = str(Path(__file__).parent)
CLASSIFIED = {"MEDIA_INVALID", "UNSUPPORTED_MEDIA_TYPE", "PAYLOAD_TOO_LARGE"}
CHOSEN = (
    "pixels: MP4 of 16,000 x 16,000",
    "pixels: header small, sequence 16,000 x 16,000",
    "pixels: PNG of 30,000 x 30,000",
    "duration: 36,000 s",
    "streams: 4,000",
    "index: 2^31 samples of one byte",
    "playlist named .mp4",
    "playlist inside MP4 boxes",
    "MP4 that refers to a foreign address",
)
"""One of each kind; the bench opens all."""


def test_every_bomb_ends_in_a_classified_error_with_little_memory_and_nobody_is_asked(tmp_path: Path) -> None:
    canary = Canary()
    made = bombs(canary.address)
    for name in CHOSEN:
        seen = examine(made[name], tmp_path)
        assert seen.code in CLASSIFIED, name
        assert seen.cpu_seconds < 5, name
        assert seen.peak_megabytes < 300, name
    assert canary.visits == 0


def test_sixty_damaged_files_break_no_decoder(tmp_path: Path) -> None:
    files = []
    for seed, kind, content in mutated(healthy(tmp_path), 60):
        path = tmp_path / f"{seed}.{kind}"
        path.write_bytes(content)
        files.append(str(path))
    paths = [HERE, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    answers = run_in_child(
        "stages_for_hostile_media:inspect_all",
        {"files": files},
        sandbox=SandboxPolicy(readable=(str(tmp_path), HERE), memory_bytes=1_500_000_000, cpu_seconds=60),
        environment={"PYTHONPATH": os.pathsep.join(map(os.path.abspath, paths)), "OMP_NUM_THREADS": "1"},
    )["answers"]
    assert len(answers) == 60
    assert set(answers) <= CLASSIFIED | {"accepted"}
    assert "MEDIA_INVALID" in answers
    assert "accepted" in answers


def test_a_decoder_that_dies_is_an_answer_about_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(healthy(tmp_path)["mp4"])
    # Too little memory for the libraries alone stands for a decoder that eats it all.
    settings = Settings.model_construct(**{**Settings(home=tmp_path).__dict__, "probe_memory_bytes": 90_000_000})
    with pytest.raises(MediaInvalid, match="broke down"):
        FileExaminer(settings)(UploadedFile(path, path.stat().st_size, "0" * 64))
