"""A filtering forward proxy on loopback: the way out for programs that bring their own HTTP client, such as yt-dlp.

It decides by profile (who asks) where a connection may go: to names on a list, to anything public, or to endpoints that
the operator named in the settings. A name is resolved once, every address of the answer is checked
(`recaster.infra.addresses`), and the connection goes to an address that was checked. One refused address refuses the
name. Every connection is bounded in bytes and in time and must keep moving. Redirects need no care: the client comes
back with a new request, which is judged like the first.

The proxy listens on a loopback port and on a Unix socket; a client shows the token of its profile. It does not look into
TLS. Requests that this code sends itself go through `recaster.infra.egress`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import secrets
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import structlog

from recaster.infra.addresses import Address, Network, parse_address, refusal
from recaster.infra.egress import Resolver, resolve_with_system

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[str, int], Awaitable[Streams]]
"""Opens a connection to an address and a port. Only checked addresses, or endpoints named by the operator, reach it."""

Verdict = Literal[
    "malformed", "credentials", "method", "host", "port", "address", "resolve", "connect", "bytes", "seconds", "rate"
]
"""Why a connection was refused or cut."""

_HEAD_BYTES: Final = 16_384
_HEAD_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 5.0
_CHUNK: Final = 1 << 16
_STATUS: Final[dict[str, tuple[int, str]]] = {
    "malformed": (400, "Bad Request"),
    "credentials": (407, "Proxy Authentication Required"),
    "method": (405, "Method Not Allowed"),
    "resolve": (502, "Bad Gateway"),
    "connect": (504, "Gateway Timeout"),
}
_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EgressProfile:
    """Where one kind of client may go, and how much it may bring back."""

    name: str
    hosts: tuple[str, ...] | None = None
    """Domain names whose hosts may be reached, themselves and everything beneath them; None is the public internet."""
    endpoints: frozenset[tuple[str, int]] = frozenset()
    """Host and port of services that the operator named; their addresses are not checked, they may be on loopback."""
    ports: frozenset[int] = frozenset({443})
    response_bytes: int = 400_000_000
    """Per connection, from the far side."""
    seconds: float = 600.0
    """Life of a connection."""
    least_bytes_per_second: int = 200
    """Averaged over `rate_window`; a connection that moves less is cut."""
    rate_window: float = 20.0
    upstream: str = ""
    """Another HTTP proxy (`http://user:password@host:port`) through which the operator wants these connections to go.
    Names are resolved there, so only the list of hosts protects."""


class _Refused(Exception):
    def __init__(self, verdict: Verdict, reason: str) -> None:
        super().__init__(reason)
        self.verdict: Verdict = verdict
        self.reason = reason


class _Cut(_Refused):
    """A connection that had begun was cut. Nothing can be answered any more; closing it is the message."""


async def _open_connection(host: str, port: int) -> Streams:
    return await asyncio.open_connection(host, port)


class EgressProxy:
    """The proxy in a thread of its own. Use it as a context manager, or call `start` and `close`.

    with EgressProxy([profile]) as proxy:
        subprocess.run([..., "--proxy", proxy.url("sources")])
    """

    def __init__(
        self,
        profiles: list[EgressProfile],
        *,
        allowed: tuple[Network, ...] = (),
        resolver: Resolver = resolve_with_system,
        dial: Dial = _open_connection,
    ) -> None:
        """`allowed` are private networks that the operator opens for every profile."""
        self._profiles = {profile.name: profile for profile in profiles}
        self._tokens = {profile.name: secrets.token_urlsafe(24) for profile in profiles}
        self._allowed = allowed
        self._resolver = resolver
        self._dial = dial
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="egress-proxy", daemon=True)
        self._folder = ""
        self._port = 0
        self.refusals: Counter[str] = Counter()
        """How many connections were refused or cut, by verdict."""

    def __enter__(self) -> EgressProxy:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> EgressProxy:
        """Begin to listen.

        Raises:
            OSError: no port or socket could be opened.
        """
        self._folder = tempfile.mkdtemp(prefix="recaster-egress-")
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self.close()
            raise self._failure
        return self

    def close(self) -> None:
        """Cut every connection and end."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout=10)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def port(self) -> int:
        """The loopback port."""
        return self._port

    @property
    def socket_path(self) -> str:
        """Path of the Unix socket, for clients in a network of their own."""
        return str(Path(self._folder) / "proxy.sock")

    def url(self, profile: str) -> str:
        """Return what a client of `profile` uses as its proxy."""
        return f"http://{profile}:{self._tokens[profile]}@127.0.0.1:{self._port}"

    # ---- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        try:
            tcp = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_HEAD_BYTES)
            local = await asyncio.start_unix_server(self._accept, self.socket_path, limit=_HEAD_BYTES)
        except OSError as error:
            self._failure = error
            self._ready.set()
            return
        self._port = int(tcp.sockets[0].getsockname()[1])
        self._ready.set()
        await self._stop.wait()
        for server in (tcp, local):
            server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = profile = ""
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                method, target, headers = await _read_head(reader)
            chosen = self._authenticate(headers)
            profile = chosen.name
            far = await self._connect(chosen, method, target, headers, writer)
            await _join(reader, writer, *far, chosen)
        except _Refused as refused:
            self.refusals[refused.verdict] += 1
            _LOG.warning(
                "egress refused", profile=profile, target=target[:200], verdict=refused.verdict, reason=refused.reason
            )
            if not isinstance(refused, _Cut):
                await _answer(writer, refused)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, UnicodeError):
            # The client went away or never spoke: there is nobody to tell.
            pass
        finally:
            writer.close()

    def _authenticate(self, headers: Mapping[str, str]) -> EgressProfile:
        kind, _, value = headers.get("proxy-authorization", "").partition(" ")
        name = token = ""
        if kind.lower() == "basic":
            with contextlib.suppress(ValueError):
                name, _, token = base64.b64decode(value).decode("ascii").partition(":")
        if not hmac.compare_digest(token, self._tokens.get(name, "")) or not token:
            raise _Refused("credentials", "no profile of this name has this token")
        return self._profiles[name]

    async def _connect(
        self,
        profile: EgressProfile,
        method: str,
        target: str,
        headers: Mapping[str, str],
        writer: asyncio.StreamWriter,
    ) -> Streams:
        if method == "CONNECT":
            host, port = _split_authority(target)
            streams = await self._open(profile, host, port)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await writer.drain()
            return streams
        parts = urlsplit(target)
        host, port = (parts.hostname or ""), parts.port or 80
        if parts.scheme != "http" or (host, port) not in profile.endpoints:
            raise _Refused("method", "plain HTTP goes only to endpoints that the operator named")
        streams = await self._open(profile, host, port)
        streams[1].write(_origin_form(method, target, headers))
        return streams

    async def _open(self, profile: EgressProfile, host: str, port: int) -> Streams:
        if (host, port) in profile.endpoints:
            return await self._dialled([host], port)
        if profile.hosts is not None and not any(host == name or host.endswith(f".{name}") for name in profile.hosts):
            raise _Refused("host", f"{host} is not on the list of {profile.name}")
        if port not in profile.ports:
            raise _Refused("port", f"port {port} is not served")
        if profile.upstream:
            return await self._through(profile.upstream, host, port)
        addresses = await self._resolved(host, port)
        for address in addresses:
            why = refusal(address, self._allowed)
            if why is not None:
                raise _Refused("address", f"{host} leads to {address} ({why})")
        return await self._dialled([str(address) for address in addresses], port)

    async def _resolved(self, host: str, port: int) -> list[Address]:
        loop = asyncio.get_running_loop()
        try:
            host.encode("idna")
            async with asyncio.timeout(_CONNECT_SECONDS):
                found = await loop.run_in_executor(None, self._resolver, host, port)
            addresses = list(dict.fromkeys(parse_address(text) for text in found))
        except (OSError, TimeoutError, ValueError) as error:
            raise _Refused("resolve", f"{host} does not resolve: {error}") from error
        if not addresses:
            raise _Refused("resolve", f"{host} has no address")
        return addresses

    async def _dialled(self, hosts: list[str], port: int) -> Streams:
        failure = "no address"
        for host in hosts:
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    return await self._dial(host, port)
            except (OSError, TimeoutError) as error:
                failure = str(error) or type(error).__name__
        raise _Refused("connect", f"port {port}: {failure}")

    async def _through(self, upstream: str, host: str, port: int) -> Streams:
        parts = urlsplit(upstream)
        if parts.scheme != "http" or not parts.hostname:
            raise _Refused("connect", "the operator's proxy must be given as http://host:port")
        reader, writer = await self._dialled([parts.hostname], parts.port or 8080)
        lines = [f"CONNECT {host}:{port} HTTP/1.1", f"Host: {host}:{port}"]
        if parts.username:
            pair = base64.b64encode(f"{parts.username}:{parts.password or ''}".encode()).decode("ascii")
            lines.append(f"Proxy-Authorization: Basic {pair}")
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            writer.close()
            raise _Refused("connect", "the operator's proxy does not answer") from error
        if head.split(b" ", 2)[1:2] != [b"200"]:
            writer.close()
            raise _Refused("connect", "the operator's proxy refused the connection")
        return reader, writer


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    try:
        method, target, version = lines[0].split(" ")
    except ValueError as error:
        raise _Refused("malformed", "the request line is not of the form of HTTP") from error
    if not version.startswith("HTTP/1."):
        raise _Refused("malformed", f"{version[:20]} is not spoken here")
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return method, target, headers


def _split_authority(target: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{target}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _Refused("malformed", "the target is not of the form host:port") from error
    if not host or port is None or "@" in target or parts.path:
        raise _Refused("malformed", "the target is not of the form host:port")
    return host.rstrip("."), port


def _origin_form(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """Write the head of a plain request as the far side expects it; the body follows through the open connection."""
    parts = urlsplit(target)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    kept = {
        name: value
        for name, value in headers.items()
        if name not in {"proxy-authorization", "proxy-connection", "connection"}
    }
    # One request per connection: a second one could name another host behind our back.
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in kept.items()), "connection: close"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _answer(writer: asyncio.StreamWriter, refused: _Refused) -> None:
    status, reason = _STATUS.get(refused.verdict, (403, "Forbidden"))
    head = f"HTTP/1.1 {status} {reason}\r\nX-Egress-Verdict: {refused.verdict}\r\nContent-Length: 0\r\n"
    if status == 407:
        head += 'Proxy-Authenticate: Basic realm="egress"\r\n'
    with contextlib.suppress(OSError):
        writer.write((head + "Connection: close\r\n\r\n").encode("latin-1"))
        await writer.drain()


class _Meter:
    """Counts what a connection moves."""

    def __init__(self) -> None:
        self.moved = 0
        self.received = 0


async def _join(
    near_reader: asyncio.StreamReader,
    near_writer: asyncio.StreamWriter,
    far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
    profile: EgressProfile,
) -> None:
    """Pass bytes both ways until one side ends, within the profile's bounds.

    Raises:
        _Refused: a bound was met; the connection is cut, and what was passed on stays with the client.
    """
    meter = _Meter()
    work: list[Coroutine[Any, Any, None]] = [
        _pump(near_reader, far_writer, meter, None),
        _pump(far_reader, near_writer, meter, profile.response_bytes),
        _watch_rate(meter, profile),
    ]
    tasks = [asyncio.ensure_future(coroutine) for coroutine in work]
    try:
        async with asyncio.timeout(profile.seconds):
            # What the client sends may end early; the connection lives until the far side has said everything.
            done, _ = await asyncio.wait(tasks[1:], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    except TimeoutError as error:
        raise _Cut("seconds", f"a connection lives {profile.seconds} s") from error
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        far_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, meter: _Meter, limit: int | None) -> None:
    while data := await reader.read(_CHUNK):
        meter.moved += len(data)
        if limit is not None:
            meter.received += len(data)
            if meter.received > limit:
                raise _Cut("bytes", f"a connection brings at most {limit} bytes")
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        with contextlib.suppress(OSError):
            writer.write_eof()


async def _watch_rate(meter: _Meter, profile: EgressProfile) -> None:
    before = 0
    while True:
        await asyncio.sleep(profile.rate_window)
        if meter.moved - before < profile.least_bytes_per_second * profile.rate_window:
            raise _Cut("rate", f"less than {profile.least_bytes_per_second} bytes a second moved")
        before = meter.moved
