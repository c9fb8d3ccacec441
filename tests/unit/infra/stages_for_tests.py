"""Stages that misbehave on purpose; they are run by `test_infra_child.py` in a real child process."""

import os
import time
from pathlib import Path

from recaster.errors import FaceUnsuitable


def double(request, progress):
    print("noise that a library might print")
    for step in range(5):
        progress(step + 1, 5)
    return {"value": request["value"] * 2}


def refuse(request, progress):
    raise FaceUnsuitable("The face is too small.", height=31, limit=48)


def die(request, progress):
    print("out of memory", file=__import__("sys").stderr, flush=True)
    os._exit(137)


def fail(request, progress):
    raise ZeroDivisionError("a bug")


def forever(request, progress):
    Path(request["file"]).write_text(str(os.getpid()))
    while True:
        progress(1, 2)
        time.sleep(0.05)
