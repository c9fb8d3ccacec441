"""Locks up a process that touches untrusted bytes: no network, no secrets, one writable folder, bounded memory and time.

A process locks itself up with `enter` before it reads the first untrusted byte; what it starts with was decided by its
parent (`recaster.infra.child`), which also gives it an empty environment. The steps, from the outermost:

    limits         address space, processor time, size of a written file, open files, no core dumps
    privileges     no new privileges, no capabilities
    namespaces     own users, own network with nothing in it (or with a way to our proxy only), own IPC
    files          Landlock: reads only the runtime, the models and what it was given; writes only its folder
    system calls   seccomp: no sockets, no programs (unless the policy allows them), no mounts, no debugging of others

`examine` proves each step on this machine by trying to break it. Which step does not hold is told, never hidden; the
setting `isolation` decides whether work goes on without it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import socket
import sys
import sysconfig
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from recaster.errors import RecasterError
from recaster.infra import _kernel

Network = Literal["none", "proxy"]
"""`none`: no connection at all. `proxy`: only the filtering proxy's socket can be reached."""
StepName = Literal["limits", "privileges", "namespaces", "files", "system calls"]

STEPS: Final[tuple[StepName, ...]] = ("limits", "privileges", "namespaces", "files", "system calls")
"""All steps in their order."""

_SYSTEM_PATHS = (
    "/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime",
    "/etc/mime.types", "/etc/ssl", "/etc/fonts", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat",
    "/proc/sys/vm", "/proc/sys/kernel", "/sys/devices/system/cpu", "/sys/devices/system/node", "/sys/fs/cgroup",
    "/dev/null", "/dev/zero", "/dev/urandom", "/dev/random",
)  # fmt: skip
_DEVICES = ("/dev/null",)
_RELAY_CHUNK = 1 << 16


class IsolationMissing(RecasterError):
    """A step of the isolation does not hold on this machine and the settings ask for all of them."""

    exit_code = 9


@dataclass(frozen=True, slots=True)
class SandboxPolicy:
    """What a locked-up process may do."""

    readable: tuple[str, ...] = ()
    """Paths that it may read beside the runtime."""
    writable: tuple[str, ...] = ()
    """Folders in which it may write; usually one."""
    network: Network = "none"
    proxy_socket: str = ""
    """Path of the proxy's Unix socket, for `network="proxy"`."""
    proxy_port: int = 0
    """Port of the proxy on the machine's loopback, where the child cannot have a network of its own."""
    memory_bytes: int = 1_000_000_000
    """Address space."""
    cpu_seconds: int = 30
    file_bytes: int = 1_000_000_000
    """Size of a single file that it writes."""
    open_files: int = 256
    programs: bool = False
    """Whether it may start programs of the system; they are locked up like itself."""
    strict: bool = False
    """Refuse to go on where a step does not hold."""

    def to_json(self) -> dict[str, Any]:
        """Return JSON that `from_json` understands."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SandboxPolicy:
        """Rebuild from JSON."""
        return cls(**{**data, "readable": tuple(data["readable"]), "writable": tuple(data["writable"])})


@dataclass(frozen=True, slots=True)
class IsolationStep:
    """One step: whether it holds, and if not, why."""

    name: StepName
    holds: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Isolation:
    """What holds in a process after `enter`."""

    steps: tuple[IsolationStep, ...]
    proxy_port: int = 0
    """Port on the process's own loopback that leads to the proxy; 0 where there is none."""

    @property
    def missing(self) -> tuple[IsolationStep, ...]:
        """The steps that do not hold."""
        return tuple(step for step in self.steps if not step.holds)


@dataclass(slots=True)
class _Progress:
    steps: list[IsolationStep] = field(default_factory=list)

    def attempt(self, name: StepName, function: Callable[[], None]) -> bool:
        try:
            function()
        except (OSError, ValueError) as error:
            self.steps.append(IsolationStep(name, False, str(error)))
            return False
        self.steps.append(IsolationStep(name, True))
        return True


def runtime_paths() -> tuple[str, ...]:
    """Return what any Python process has to read: interpreter, libraries, our own code, a few files of the system."""
    own = {
        sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *sys.path,
        *sysconfig.get_paths().values(), str(Path(__file__).resolve().parents[2]),
        str(Path(sys.executable).resolve().parent.parent),
    }  # fmt: skip
    kept = {os.path.abspath(path) for path in own if path and os.path.exists(path)}
    # A path of the root itself, or the working folder of an interactive session, would open everything.
    return tuple(sorted(path for path in kept if path != os.sep)) + _SYSTEM_PATHS


def enter(policy: SandboxPolicy) -> Isolation:
    """Lock up this process for good. Call it while the process has one thread.

    Raises:
        IsolationMissing: a step does not hold and the policy is strict.
    """
    if sys.platform != "linux":
        return _finish(policy, Isolation(tuple(IsolationStep(name, False, "this is not Linux") for name in STEPS)))
    progress = _Progress()
    progress.attempt("limits", lambda: _limit(policy))
    namespaces = progress.attempt("namespaces", lambda: _separate(policy))
    listener = socket.create_server(("127.0.0.1", 0)) if namespaces and policy.network == "proxy" else None
    port = int(listener.getsockname()[1]) if listener is not None else 0
    progress.attempt("privileges", _give_up_privileges)
    progress.attempt("files", lambda: _close_files(policy, port))
    progress.attempt("system calls", lambda: _close_calls(policy))
    if listener is not None:
        # Only now: what was given up is given up for threads that are started from here on.
        relay = threading.Thread(target=_accept, args=(listener, policy.proxy_socket), name="proxy-relay", daemon=True)
        relay.start()
    order = {name: position for position, name in enumerate(STEPS)}
    return _finish(policy, Isolation(tuple(sorted(progress.steps, key=lambda step: order[step.name])), port))


def _finish(policy: SandboxPolicy, isolation: Isolation) -> Isolation:
    if policy.strict and isolation.missing:
        raise IsolationMissing(
            "Untrusted files are not touched, because the isolation does not hold on this machine: "
            + "; ".join(f"{step.name} ({step.reason})" for step in isolation.missing)
            + ". `recaster doctor` explains each step; RECASTER_ISOLATION=best-effort goes on without.",
            steps=[step.name for step in isolation.missing],
        )
    return isolation


def _limit(policy: SandboxPolicy) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, policy.memory_bytes),
        (resource.RLIMIT_CPU, policy.cpu_seconds),
        (resource.RLIMIT_FSIZE, policy.file_bytes),
        (resource.RLIMIT_NOFILE, policy.open_files),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (most, most))


def _separate(policy: SandboxPolicy) -> None:
    uid, gid = os.getuid(), os.getgid()
    _kernel.unshare(_kernel.CLONE_NEWUSER | _kernel.CLONE_NEWNET | _kernel.CLONE_NEWIPC | _kernel.CLONE_NEWUTS)
    _kernel.map_own_ids(uid, gid)
    if policy.network == "proxy":
        _kernel.raise_loopback()


def _give_up_privileges() -> None:
    _kernel.forbid_new_privileges()
    _kernel.drop_capabilities()


def _close_files(policy: SandboxPolicy, port: int) -> None:
    readable = [Path(path) for path in (*runtime_paths(), *policy.readable)]
    writable = [Path(path) for path in (*policy.writable, *_DEVICES)]
    # Beside the network namespace, or in place of one that could not be had: only the port that leads to the proxy.
    way_out = port or policy.proxy_port
    _kernel.landlock(readable, writable, (way_out,) if policy.network == "proxy" and way_out else ())


def _close_calls(policy: SandboxPolicy) -> None:
    families = {"none": (), "proxy": (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)}[policy.network]
    _kernel.seccomp(sockets=[int(family) for family in families], children=policy.programs)


def _accept(listener: socket.socket, path: str) -> None:
    """Pass every connection to this process's own loopback on to the proxy's Unix socket."""
    while True:
        near, _ = listener.accept()
        threading.Thread(target=_relay, args=(near, path), daemon=True).start()


def _relay(near: socket.socket, path: str) -> None:
    with near, socket.socket(socket.AF_UNIX) as far, contextlib.suppress(OSError):
        far.connect(path)
        other = {near: far, far: near}
        while other:
            for source in select.select(list(other), [], [])[0]:
                data = source.recv(_RELAY_CHUNK)
                if not data:
                    _half_close(other, source)
                    continue
                (far if source is near else near).sendall(data)


def _half_close(other: dict[socket.socket, socket.socket], source: socket.socket) -> None:
    target = other.pop(source)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


# ---- proving it -----------------------------------------------------------------------------------------------------


def demonstrate(request: Mapping[str, Any], progress: object) -> dict[str, Any]:
    """Try, inside a locked-up child, to do what each step forbids; return the steps that gave way with what got through.

    `request` holds `secret` (a file that must not be read), `outside` (a folder that must not be written to) and `port`
    (a listener on the parent's loopback that must not be reached).
    """
    return {"gaveWay": {name: found for name, attack in _ATTACKS.items() if (found := _succeeds(attack, request))}}


def _succeeds(attack: Callable[[Mapping[str, Any]], str], request: Mapping[str, Any]) -> str:
    try:
        return attack(request)
    except (OSError, MemoryError):
        return ""


def _use_memory(request: Mapping[str, Any]) -> str:
    return f"{len(bytearray(int(request['tooMuchMemory'])))} bytes were handed out"


def _regain_privileges(request: Mapping[str, Any]) -> str:
    _kernel.unshare(_kernel.CLONE_NEWUTS)
    socket.sethostname("elsewhere")
    return "the host name could be changed"


def _reach_parent(request: Mapping[str, Any]) -> str:
    with socket.create_connection(("127.0.0.1", int(request["port"])), timeout=2):
        return "a listener on the machine's loopback was reached"


def _read_or_write_outside(request: Mapping[str, Any]) -> str:
    with contextlib.suppress(OSError):
        Path(request["secret"]).read_bytes()
        return "a secret file was read"
    (Path(request["outside"]) / "written").touch()
    return "a file outside the folder was written"


def _start_program(request: Mapping[str, Any]) -> str:
    os.posix_spawn("/bin/true", ["/bin/true"], {})
    return "a program could be started"


_ATTACKS: Final[dict[StepName, Callable[[Mapping[str, Any]], str]]] = {
    "limits": _use_memory,
    "privileges": _regain_privileges,
    "namespaces": _reach_parent,
    "files": _read_or_write_outside,
    "system calls": _start_program,
}
