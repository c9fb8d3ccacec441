"""Runs one function in a process of its own, and is that process.

Whatever decodes untrusted bytes, needs both cores or talks to a foreign site runs like this: it can be stopped at once,
gives its memory back, and keeps the caller's threads free. The parent writes one JSON request line to the child's
standard input and keeps the pipe open; the child answers with JSON lines (`progress`, then `result` or `error`). When
the pipe closes, the parent is gone and the child ends itself, so that no orphan goes on writing.

With a `SandboxPolicy` the child starts with an empty environment and locks itself up before it imports the function.
What the functions do is not here: see `recaster.remix.stages`, `recaster.service.media.decoding`,
`recaster.infra.ytdlp_child`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any, Final

from recaster import errors
from recaster.errors import Cancelled, RecasterError
from recaster.infra.sandbox import Isolation, SandboxPolicy, enter

REPORT_INTERVAL = 0.25
"""Seconds between two progress lines of a child."""
MOST_ANSWER_CHARACTERS: Final = 32_000_000
"""Longest line that a child may answer; one that was taken over must not fill its parent's memory."""

PROXY_VARIABLES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
"""Variables by which HTTP clients learn of a proxy. In a network of its own a child reaches it by another port."""

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")
_PASSED_ON_ENDINGS = ("_NUM_THREADS",)

Progress = Callable[[int, int], None]


class StageCrashed(RecasterError):
    """A child process ended without an answer, for example because the machine ran out of memory."""

    retryable = True


class ChildTimedOut(StageCrashed):
    """A child process did not answer within its time and was killed."""


@dataclass(frozen=True, slots=True)
class ChildReport:
    """What was seen of a child that has ended."""

    peak_bytes: int
    """Largest resident memory. Of a child that died before it could tell, what the system says, which may be our own."""
    cpu_seconds: float
    isolation: tuple[tuple[str, bool, str], ...]
    """Name of each isolation step, whether it held, and if not, why; empty without a policy."""


def _silent(done: int, total: int, /) -> None:
    pass


def run_in_child(
    stage: str,
    request: Mapping[str, Any],
    *,
    progress: Progress = _silent,
    is_cancelled: Callable[[], bool] = lambda: False,
    environment: Mapping[str, str] | None = None,
    sandbox: SandboxPolicy | None = None,
    seconds: float | None = None,
    observe: Callable[[ChildReport], None] = lambda report: None,
) -> dict[str, Any]:
    """Run the function `stage` (`package.module:function`) in a child process and return its result.

    The function takes the request and a progress callback and returns JSON. `request` and the result are JSON.
    `is_cancelled` is asked about twice a second; when it says yes the child is killed and `Cancelled` raised. A
    `RecasterError` of the child is raised here as the same class; a child that dies without an answer raises
    `StageCrashed` with the end of what it wrote to its error stream, one that takes longer than `seconds` of wall time
    `ChildTimedOut`.

    Without `sandbox` the child gets this process's environment and `environment` on top; with it, `environment` and
    what any program needs, and nothing else. `observe` is told once how the child fared, whatever its end.
    """
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "recaster.infra.child", stage],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**(clean_environment(sandbox) if sandbox else _inherited()), **(environment or {})},
        cwd=sandbox.writable[0] if sandbox and sandbox.writable else None,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    complaints: list[str] = []
    ended = threading.Event()
    listener = threading.Thread(target=_collect, args=(child.stderr, complaints), daemon=True)
    watcher = _Watcher(child, ended, is_cancelled, seconds)
    listener.start()
    watcher.start()
    answer: dict[str, Any] | None = None
    isolation: tuple[tuple[str, bool, str], ...] = ()
    peak = 0
    try:
        message = {"request": dict(request), "sandbox": sandbox.to_json() if sandbox else None}
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(json.dumps(message) + "\n")
            child.stdin.flush()
        while line := child.stdout.readline(MOST_ANSWER_CHARACTERS):
            said = _understand(line)
            if "progress" in said:
                progress(*said["progress"])
            elif "isolation" in said:
                isolation = tuple((str(name), bool(holds), str(why)) for name, holds, why in said["isolation"])
            elif "peak" in said:
                peak = int(said["peak"])
            else:
                answer = said
    finally:
        ended.set()
        watcher.kill()
        watcher.retire()
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()
        usage = _reap(child)
        listener.join(timeout=5)
    observe(ChildReport(peak or usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime, isolation))
    if is_cancelled():
        raise Cancelled("The work was cancelled.")
    if watcher.timed_out:
        raise ChildTimedOut(f"'{stage}' did not answer within {seconds} seconds and was stopped.", stage=stage)
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


def clean_environment(sandbox: SandboxPolicy) -> dict[str, str]:
    """Return what a locked-up child starts with: no secret can be in it, because nothing is passed on but these."""
    kept = {
        name: value for name, value in os.environ.items() if name in _PASSED_ON or name.endswith(_PASSED_ON_ENDINGS)
    }
    folder = sandbox.writable[0] if sandbox.writable else "/nonexistent"
    # No settings file: it may hold secrets, and could not be read anyway.
    kept |= {"HOME": folder, "TMPDIR": folder, "RECASTER_CONFIG": os.devnull, "PYTHONDONTWRITEBYTECODE": "1"}
    return {**kept, **_import_path()}


def _inherited() -> dict[str, str]:
    return {**os.environ, **_import_path()}


def _import_path() -> dict[str, str]:
    """The child may stand in another working folder, so relative entries of the import path are made absolute."""
    given = os.environ.get("PYTHONPATH", "")
    entries = [os.path.abspath(entry) for entry in given.split(os.pathsep) if entry]
    return {"PYTHONPATH": os.pathsep.join(entries)} if entries else {}


def describe_error(error: RecasterError) -> dict[str, Any]:
    """Turn an error into JSON that `rebuild_error` understands."""
    more = {name: value for name, value in vars(error).items() if name not in {"message", "details"}}
    return {
        "module": type(error).__module__,
        "type": type(error).__name__,
        "message": error.message,
        "details": error.details,
        "more": more,
    }


def rebuild_error(description: Mapping[str, Any]) -> RecasterError:
    """Turn the description of an error back into an error of the same class."""
    kind = getattr(errors, description["type"], None) or _class_of(description.get("module", ""), description["type"])
    # Constructors of the leaves build their own sentences; what was said is kept as it is.
    error: RecasterError = kind.__new__(kind)
    RecasterError.__init__(error, description["message"])
    error.details = dict(description["details"])
    for name, value in description.get("more", {}).items():
        # Plain fields only: a child that was taken over must not reach into the object's machinery.
        if name.isidentifier() and not name.startswith("_"):
            setattr(error, name, value)
    return error


def _class_of(module: str, name: str) -> type[RecasterError]:
    loaded = sys.modules.get(module)
    if loaded is None and module.startswith("recaster.") and module.endswith(".errors"):
        loaded = importlib.import_module(module)
    kind = getattr(loaded, name, None)
    return kind if isinstance(kind, type) and issubclass(kind, RecasterError) else RecasterError


def _understand(line: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError as error:
        raise StageCrashed("A child process answered something that is not of our form; it was stopped.") from error
    return said if isinstance(said, dict) else {}


def _collect(stream: IO[str], into: list[str]) -> None:
    for line in stream:
        into.append(line[:2000])
        del into[:-200]


class _Watcher(threading.Thread):
    """Kills the child when it is cancelled or out of time."""

    def __init__(
        self,
        child: subprocess.Popen[str],
        ended: threading.Event,
        is_cancelled: Callable[[], bool],
        seconds: float | None,
    ) -> None:
        super().__init__(daemon=True)
        self.timed_out = False
        self._child = child
        self._ended = ended
        self._is_cancelled = is_cancelled
        self._seconds = seconds
        self._mutex = threading.Lock()
        self._retired = False

    def run(self) -> None:
        started = time.monotonic()
        while True:
            left = 0.5 if self._seconds is None else min(0.5, self._seconds - (time.monotonic() - started))
            if left <= 0:
                self.timed_out = True
                self.kill()
                return
            if self._ended.wait(left):
                return
            if self._is_cancelled():
                self.kill()
                return

    def kill(self) -> None:
        """End the child with everything that it has started."""
        with self._mutex, contextlib.suppress(ProcessLookupError):
            if not self._retired:
                os.killpg(self._child.pid, signal.SIGKILL)

    def retire(self) -> None:
        """Kill no more: once the child is reaped, its number may be that of a stranger."""
        with self._mutex:
            self._retired = True


def _reap(child: subprocess.Popen[str]) -> resource.struct_rusage:
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return usage


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
    """Read the request, lock up, run the function, write the answer. The return value is the exit code."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    reporter = _Reporter(answers)
    message = json.loads(sys.stdin.readline())
    request = message["request"]
    try:
        if message["sandbox"] is not None:
            isolation = enter(SandboxPolicy.from_json(message["sandbox"]))
            reporter.send({"isolation": _shown(isolation)})
            _lead_to_proxy(isolation.proxy_port)
        threading.Thread(target=_end_with_parent, args=(sys.stdin,), daemon=True).start()
        module, _, name = stage.partition(":")
        result = getattr(importlib.import_module(module), name)(request, reporter)
    except RecasterError as error:
        reporter.send({"peak": _peak_bytes()})
        reporter.send({"error": describe_error(error)})
        return error.exit_code
    reporter.send({"peak": _peak_bytes()})
    reporter.send({"result": result})
    return 0


def _peak_bytes() -> int:
    """Largest resident memory since this program began; what the system counts per process goes back to its parent."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return 0
    return int(line.split()[1]) * 1024


def _lead_to_proxy(port: int) -> None:
    """Replace the proxy's port in our environment by that of the relay, where there is one."""
    for name in PROXY_VARIABLES:
        url = os.environ.get(name)
        if url and port:
            os.environ[name] = f"{url.rsplit(':', 1)[0]}:{port}"


def _shown(isolation: Isolation) -> list[list[object]]:
    return [[step.name, step.holds, step.reason] for step in isolation.steps]


if __name__ == "__main__":
    # Threads of native libraries may still hold locks; leaving without their destructors avoids hanging at the end.
    code = 1
    try:
        code = main(sys.argv[1])
    finally:
        # On a bug the reason has to be out before the parent, seeing the pipe closed, kills what is left.
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(code)
