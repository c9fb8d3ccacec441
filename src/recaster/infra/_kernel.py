"""Thin calls into the Linux kernel that the standard library has no names for: namespaces, capabilities, Landlock,
seccomp. Each raises `OSError` where the kernel refuses; what is to be locked up is decided in `recaster.infra.sandbox`.

Numbers are those of the kernel's user interface headers (linux/sched.h, linux/prctl.h, linux/capability.h,
linux/landlock.h, linux/seccomp.h, linux/filter.h) and never change there.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import socket
import stat
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_LIBC = ctypes.CDLL(None, use_errno=True)

CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWNET: Final = 0x40000000

_PR_CAPBSET_DROP = 24
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63

_SYS_CAPSET = {"x86_64": 126, "aarch64": 91}
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_LANDLOCK_VERSION_FLAG = 1
_LANDLOCK_RULE_PATH_BENEATH, _LANDLOCK_RULE_NET_PORT = 1, 2
_FS_EXECUTE, _FS_WRITE_FILE, _FS_READ_FILE, _FS_READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_FS_TRUNCATE, _FS_IOCTL_DEV = 1 << 14, 1 << 15
_NET_BIND_TCP, _NET_CONNECT_TCP = 1 << 0, 1 << 1
_FS_ALL_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_FS_ALL = (1 << 16) - 1
_ON_FILES = _FS_EXECUTE | _FS_WRITE_FILE | _FS_READ_FILE | _FS_TRUNCATE | _FS_IOCTL_DEV

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """Move this process into new namespaces; it must have one thread only where `CLONE_NEWUSER` is among them."""
    _checked(_LIBC.unshare(flags), "unshare")


def map_own_ids(uid: int, gid: int) -> None:
    """Keep the process's own user and group inside a new user namespace; without it no file can be created."""
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", encoding="ascii")


def raise_loopback() -> None:
    """Switch on the loopback interface of a new network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack("16sH14s", fcntl.ioctl(control, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", flags | _IFF_UP, b""))


def forbid_new_privileges() -> None:
    """No program that this process starts gets more rights than it has."""
    _checked(_LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")


def drop_capabilities() -> None:
    """Give up every capability for good."""
    for capability in range(_LAST_CAPABILITY + 1):
        # The kernel answers EINVAL for numbers that it does not have, EPERM where the set is out of reach anyway.
        _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    number = _SYS_CAPSET.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"capset: no number is known for {platform.machine()}")
    _checked(_LIBC.syscall(number, header, bytes(24)), "capset")


def landlock_version() -> int:
    """Return the version of Landlock's interface, 0 where the kernel has none or it is switched off."""
    return max(0, int(_LIBC.syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_VERSION_FLAG)))


def landlock(readable: Iterable[Path], writable: Iterable[Path], connect_ports: Iterable[int]) -> None:
    """Allow this process to read only beneath `readable`, to write only beneath `writable`.

    `connect_ports`: TCP ports that may be connected to, where the kernel knows the rule (version 4).
    Paths that do not exist are left out.
    """
    version = landlock_version()
    if version == 0:
        raise OSError(errno.ENOSYS, "Landlock is not in this kernel, or is switched off")
    handled = _FS_ALL_BY_ABI.get(version, _FS_ALL)
    network = _NET_BIND_TCP | _NET_CONNECT_TCP if version >= 4 else 0
    attributes = struct.pack("=QQ", handled, network)[: 16 if version >= 4 else 8]
    ruleset = _checked(
        _LIBC.syscall(_LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0), "landlock_create_ruleset"
    )
    try:
        for paths, access in ((readable, _FS_READ_FILE | _FS_READ_DIR | _FS_EXECUTE), (writable, handled)):
            for path in paths:
                _allow_beneath(ruleset, path, access & handled)
        for port in connect_ports if network else ():
            rule = struct.pack("=QQ", _NET_CONNECT_TCP, port)
            _checked(
                _LIBC.syscall(_LANDLOCK_ADD_RULE, ruleset, _LANDLOCK_RULE_NET_PORT, rule, 0), "landlock_add_rule(port)"
            )
        _checked(_LIBC.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    finally:
        os.close(ruleset)


def _allow_beneath(ruleset: int, path: Path, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            access &= _ON_FILES
        rule = struct.pack("=Qi", access, descriptor)
        _checked(
            _LIBC.syscall(_LANDLOCK_ADD_RULE, ruleset, _LANDLOCK_RULE_PATH_BENEATH, rule, 0),
            f"landlock_add_rule({path})",
        )
    finally:
        os.close(descriptor)


_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# What a decoder never calls, by name: (number on x86-64, number on arm64); None where the architecture has no such call.
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "move_mount": (429, 429),
    "open_tree": (428, 428), "fsopen": (430, 430), "fsmount": (432, 432), "unshare": (272, 97), "setns": (308, 268),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "keyctl": (250, 219),
    "add_key": (248, 217), "request_key": (249, 218), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "adjtimex": (159, 171), "io_uring_setup": (425, 425), "quotactl": (179, 60),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "personality": (135, 92),
    "sethostname": (170, 161), "pidfd_getfd": (438, 438),
}  # fmt: skip
_SYS_SOCKET, _SYS_CLONE, _SYS_CLONE3 = (41, 198), (56, 220), 435
_CLONE_THREAD = 0x00010000
_LD_ABS, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_X32_BIT = 0x40000000


def seccomp(*, sockets: Iterable[int], children: bool) -> None:
    """Have the kernel refuse (EPERM) calls that decoding never needs, for this process and all its threads to come.

    `sockets`: address families that may be opened. `children`: whether programs may be started.
    """
    machine = platform.machine()
    if machine not in _AUDIT_ARCH:
        raise OSError(errno.ENOSYS, f"no list of calls is known for {machine}")
    column = 0 if machine == "x86_64" else 1
    spared = {"execve", "execveat", "fork", "vfork"} if children else set()
    refused = [numbers[column] for name, numbers in _REFUSED.items() if name not in spared]
    program = [
        _instruction(_LD_ABS, 4),  # seccomp_data.arch
        _instruction(_JEQ, _AUDIT_ARCH[machine], yes=1),
        _instruction(_RET, _KILL),
        _instruction(_LD_ABS, 0),  # seccomp_data.nr
    ]
    if machine == "x86_64":
        program += [_instruction(_JGE, _X32_BIT, no=1), _instruction(_RET, _ERRNO | errno.ENOSYS)]
    for number in refused:
        if number is not None:
            program += [_instruction(_JEQ, number, no=1), _instruction(_RET, _ERRNO | errno.EPERM)]
    if not children:
        # Threads stay possible. What clone3 asks for lies behind a pointer, so it is said not to exist; libc then uses clone.
        program += [_instruction(_JEQ, _SYS_CLONE3, no=1), _instruction(_RET, _ERRNO | errno.ENOSYS)]
        program += [_instruction(_JEQ, _SYS_CLONE[column], no=4), _instruction(_LD_ABS, 16)]
        program += [_instruction(_JSET, _CLONE_THREAD, no=1), _instruction(_RET, _ALLOW)]
        program += [_instruction(_RET, _ERRNO | errno.EPERM)]
    program += [_instruction(_JEQ, _SYS_SOCKET[column], yes=1), _instruction(_RET, _ALLOW)]
    program += [_instruction(_LD_ABS, 16)]  # low half of seccomp_data.args[0]
    for family in sockets:
        program += [_instruction(_JEQ, family, no=1), _instruction(_RET, _ALLOW)]
    program += [_instruction(_RET, _ERRNO | errno.EPERM)]
    code = b"".join(program)
    buffer = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("=HxxxxxxQ", len(program), ctypes.addressof(buffer))
    _checked(_LIBC.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, head, 0, 0), "prctl(PR_SET_SECCOMP)")


def _instruction(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)
