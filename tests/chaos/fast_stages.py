"""Stages that take milliseconds instead of minutes, for proofs about what surrounds them: same files, no pixels.

What they write depends on their inputs alone, as it does for the real ones, so that a run with crashes can be compared
with one without. A clip whose TikTok id ends with one of `FAILURES` fails as the real stages would.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from recaster.errors import Cancelled, NoFaceFound, OutputRejected, RecasterError
from recaster.remix.analysis import FILES as ANALYSIS_FILES

FAILURES: Mapping[bytes, tuple[str, type[RecasterError]]] = {
    b"no face": ("analyse", NoFaceFound),
    b"bad output": ("render", OutputRejected),
}
"""Content of a source → the stage at which it fails, and how."""
PARTS = 4


def run_stage(
    stage: str,
    request: Mapping[str, Any],
    *,
    progress: Callable[[int, int], None],
    is_cancelled: Callable[[], bool],
    pause: Callable[[], None] = lambda: time.sleep(0.002),
) -> dict[str, Any]:
    """Do what the stage's name says, in a few parts with a pause before each."""
    for part in range(PARTS):
        pause()
        if is_cancelled():
            raise Cancelled("The work was cancelled.")
        progress(part + 1, PARTS)
    if "clip" in request:
        failing, error = FAILURES.get(Path(request["clip"]).read_bytes(), ("", RecasterError))
        if failing == stage:
            raise error(f"The {stage} stage was made to fail.")
    results: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
        "probe": lambda request: {"frames": 8},
        "analyse": _analyse,
        "adapt": _adapt,
        "render": _render,
    }
    return results[stage](request)


def _analyse(request: Mapping[str, Any]) -> dict[str, Any]:
    folder = Path(request["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    for name in ANALYSIS_FILES:
        (folder / name).write_text(f"{name} of {request['sha256']}")
    return {"overlays": 0, "faces": 1, "measured": {}}


def _adapt(request: Mapping[str, Any]) -> dict[str, Any]:
    Path(request["plan"]).write_text(json.dumps({"brand": request["brand"]["name"]}))
    return {"replaced": 0}


def _render(request: Mapping[str, Any]) -> dict[str, Any]:
    content = Path(request["clip"]).read_bytes() + Path(request["plan"]).read_bytes()
    files = {}
    for name, target, kind in (("video", "target", "video/mp4"), ("thumbnail", "thumbnail", "image/jpeg")):
        data = name.encode() + content
        Path(request[target]).write_bytes(data)
        files[name] = {
            "mime_type": kind, "size_bytes": len(data), "checksum_sha256": hashlib.sha256(data).hexdigest(),
            "width": 720, "height": 1280,
        }  # fmt: skip
    files["video"]["duration_ms"] = 8000
    return {**files, "overlays": [], "quality": {"checks": []}, "disclosure_label": "AI-generated"}
