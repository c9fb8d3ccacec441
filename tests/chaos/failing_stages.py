"""Stages that fail as the real ones do, each in a real child process; see `test_chaos_failures.py`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from recaster.errors import CopyRejected, FaceUnsuitable, MediaInvalid, NoFaceFound, OutputRejected


def media_invalid(request: dict[str, Any], progress: Any) -> None:
    raise MediaInvalid("The file is no video.", field="codec", value="none", limit=["h264"])


def no_face(request: dict[str, Any], progress: Any) -> None:
    raise NoFaceFound("Nobody is on camera.")


def face_unsuitable(request: dict[str, Any], progress: Any) -> None:
    raise FaceUnsuitable("The face is too small.", height=31, limit=48)


def copy_rejected(request: dict[str, Any], progress: Any) -> None:
    raise CopyRejected("No text kept within its budget.")


def output_rejected(request: dict[str, Any], progress: Any) -> None:
    Path(request["target"]).write_bytes(b"a whole video that is wrong")
    raise OutputRejected("The new text cannot be read.", checks=[{"name": "readable", "value": 0.1, "limit": 0.8}])


def bug(request: dict[str, Any], progress: Any) -> None:
    raise ZeroDivisionError("a secret of the inside")


def endless(request: dict[str, Any], progress: Any) -> None:
    Path(request["target"]).write_bytes(b"half a video")
    while True:
        progress(1, 2)
        time.sleep(0.05)
