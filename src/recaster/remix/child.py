"""Runs one stage of the work in a process of its own, and is that process.

A stage decodes untrusted bytes, needs both cores and hundreds of megabytes: in its own process it can be stopped at once,
gives its memory back, and keeps the worker's threads free. The parent writes one JSON request line to the child's
standard input and keeps the pipe open; the child answers with JSON lines (`progress`, then `result` or `error`). When
the pipe closes, the parent is gone and the child ends itself, so that no orphan goes on writing.

What a stage does is not here: see `recaster.remix.stages`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import IO, Any

from recaster import errors
from recaster.errors import Cancelled, RecasterError
from recaster.media.progress import Progress, silent

REPORT_INTERVAL = 0.25
"""Seconds between two progress lines of a child."""


class StageCrashed(RecasterError):
    """A stage's process ended without an answer, for example because the machine ran out of memory."""

    retryable = True


def run_in_child(
    stage: str,
    request: Mapping[str, Any],
    *,
    progress: Progress = silent,
    is_cancelled: Callable[[], bool] = lambda: False,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run the function `stage` (`package.module:function`) in a child process and return its result.

    The function takes the request and a `Progress` and returns JSON. `request` and the result are JSON. `is_cancelled` is asked about twice a second; when it says yes the child is killed
    and `Cancelled` raised. A `RecasterError` of the child is raised here as the same class; a child that dies without an
    answer raises `StageCrashed` with the end of what it wrote to its error stream.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", "recaster.remix.child", stage],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **(environment or {})},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    complaints: list[str] = []
    listener = threading.Thread(target=_collect, args=(child.stderr, complaints), daemon=True)
    watcher = threading.Thread(target=_kill_when, args=(child, is_cancelled), daemon=True)
    try:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(json.dumps(dict(request)) + "\n")
            child.stdin.flush()
        listener.start()
        watcher.start()
        answer = None
        for line in child.stdout:
            message = json.loads(line)
            if "progress" in message:
                progress(*message["progress"])
            else:
                answer = message
        child.wait()
        listener.join(timeout=5)
    finally:
        _kill(child)
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
        child.wait()
    if is_cancelled():
        raise Cancelled("The work was cancelled.")
    if answer is None:
        end = "\n".join("".join(complaints).splitlines()[-15:])
        raise StageCrashed(
            f"The stage '{stage}' ended without an answer (exit code {child.returncode}). It will be tried again.",
            stage=stage,
            exit_code=child.returncode,
            log=end,
        )
    if "error" in answer:
        raise rebuild_error(answer["error"])
    result: dict[str, Any] = answer["result"]
    return result


def describe_error(error: RecasterError) -> dict[str, Any]:
    """Turn an error into JSON that `rebuild_error` understands."""
    return {"type": type(error).__name__, "message": error.message, "details": error.details}


def rebuild_error(description: Mapping[str, Any]) -> RecasterError:
    """Turn the description of an error back into an error of the same class."""
    kind = getattr(errors, description["type"], RecasterError)
    if not (isinstance(kind, type) and issubclass(kind, RecasterError)):
        kind = RecasterError
    error = kind(description["message"])
    error.details = dict(description["details"])
    return error


def _collect(stream: IO[str], into: list[str]) -> None:
    for line in stream:
        into.append(line)
        del into[:-200]


def _kill_when(child: subprocess.Popen[str], is_cancelled: Callable[[], bool]) -> None:
    while child.poll() is None:
        if is_cancelled():
            _kill(child)
            return
        time.sleep(0.5)


def _kill(child: subprocess.Popen[str]) -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


# ---- the child's side -----------------------------------------------------------------------------------------------


class _Reporter:
    """Writes progress lines, at most one every `REPORT_INTERVAL` seconds, and always the last one."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._last = 0.0

    def __call__(self, done: int, total: int, /) -> None:
        now = time.monotonic()
        if done >= total or now - self._last >= REPORT_INTERVAL:
            self._last = now
            self.send({"progress": [done, total]})

    def send(self, message: Mapping[str, Any]) -> None:
        self._stream.write(json.dumps(message) + "\n")
        self._stream.flush()


def _end_with_parent(stream: IO[str]) -> None:
    stream.read()
    os._exit(1)


def main(stage: str) -> int:
    """Read the request, run the stage, write the answer. The return value is the exit code."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    reporter = _Reporter(answers)
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, args=(sys.stdin,), daemon=True).start()
    try:
        module, _, name = stage.partition(":")
        result = getattr(importlib.import_module(module), name)(request, reporter)
    except RecasterError as error:
        reporter.send({"error": describe_error(error)})
        return error.exit_code
    reporter.send({"result": result})
    return 0


if __name__ == "__main__":
    # Threads of native libraries may still hold locks; leaving without their destructors avoids hanging at the end.
    code = main(sys.argv[1])
    sys.stderr.flush()
    os._exit(code)
