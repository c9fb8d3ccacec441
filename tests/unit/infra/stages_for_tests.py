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


def environment(request, progress):
    return dict(os.environ)


def write(request, progress):
    written = []
    for path in request["paths"]:
        try:
            Path(path).write_text("x")
        except OSError:
            continue
        written.append(path)
    return {"written": written}


def write_much(request, progress):
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        Path(request["path"]).write_bytes(bytes(request["bytes"]))
    except OSError as error:
        return {"error": str(error)}
    return {"error": ""}


def sleep(request, progress):
    time.sleep(60)


def start_program(request, progress):
    import subprocess

    try:
        done = subprocess.run(request["command"], capture_output=True, text=True, check=False)
    except OSError as error:
        return {"error": str(error)}
    return {"output": done.stdout, "complaint": done.stderr}
