"""The one way out: HTTP requests to addresses that strangers name, such as webhook receivers.

The name is resolved once, every address of the answer is checked (`recaster.infra.addresses`), and the connection goes to
an address that was checked, so that a name which resolves differently a moment later gains nothing. Redirects are not
followed, no proxy and no credentials of the environment are used, answers are cut at a byte limit, and the whole exchange
ends at a deadline however slowly it trickles. It is not for services that the operator names in the settings, such as the
language model or the object store.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import httpcore2

from recaster.errors import RecasterError
from recaster.infra.addresses import Address, Network, is_allowed, parse_address, refusal

SECURE_PORTS: Final = frozenset({443, 8443})
"""Ports at public addresses. In networks that the operator opened any port may be used."""

EgressReason = Literal["url", "resolve", "refused", "connect", "tls", "timeout", "protocol"]
"""At which point an exchange ended without an answer."""

Resolver = Callable[[str, int], Sequence[str]]
"""Turns a host name and a port into the texts of its addresses; raises `OSError` when there are none."""


class EgressError(RecasterError):
    """A request got no answer. `reason` says where it ended; whether a retry helps depends on it."""

    def __init__(self, message: str, *, reason: EgressReason) -> None:
        super().__init__(message, reason=reason)
        self.reason: EgressReason = reason


@dataclass(frozen=True, slots=True)
class EgressLimits:
    """Bounds of one exchange."""

    connect_seconds: float = 5.0
    total_seconds: float = 15.0
    """From the first look-up to the last byte that is kept."""
    response_bytes: int = 65_536
    """Bytes of the answer's body that are read; the rest stays unread and the connection is closed."""


@dataclass(frozen=True, slots=True)
class EgressResponse:
    """An answer. `body` holds at most the limit's bytes, as they came (no decompression)."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; of a repeated header the last."""
    body: bytes
    truncated: bool
    address: str
    """The address that answered."""


def resolve_with_system(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver for all addresses of a name."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Egress:
    """Sends requests. Safe to share between threads; every request has its own connection."""

    def __init__(
        self,
        allowed: Iterable[Network] = (),
        *,
        resolver: Resolver = resolve_with_system,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`allowed` are private networks that the operator opens."""
        self._allowed = tuple(allowed)
        self._resolver = resolver
        self._tls = tls or ssl.create_default_context()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
        limits: EgressLimits | None = None,
    ) -> EgressResponse:
        """Send one request and return the answer, whatever its status.

        Raises:
            EgressError: the URL or an address is refused, or there was no complete head of an answer in time.
        """
        bounds = limits or EgressLimits()
        check_url(url, self._allowed)
        line = _Line(self._allowed, self._resolver, bounds)
        timeouts = {"connect": bounds.connect_seconds, "read": bounds.total_seconds, "write": bounds.total_seconds}
        pool = httpcore2.ConnectionPool(
            ssl_context=self._tls, max_connections=1, max_keepalive_connections=0, network_backend=line
        )
        try:
            with (
                pool,
                pool.stream(
                    method,
                    url,
                    headers=[(name.encode(), value.encode()) for name, value in (headers or {}).items()],
                    content=content,
                    extensions={"timeout": timeouts},
                ) as response,
            ):
                body, truncated = _read(response.iter_stream(), bounds.response_bytes)
                return EgressResponse(
                    status=response.status,
                    headers={
                        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
                    },
                    body=body,
                    truncated=truncated,
                    address=line.address,
                )
        except httpcore2.TimeoutException as error:
            raise EgressError(f"No answer came within {bounds.total_seconds} s.", reason="timeout") from error
        except httpcore2.NetworkError as error:
            reason: EgressReason = (
                "tls" if isinstance(error.__cause__ or error.__context__, ssl.SSLError) else "connect"
            )
            raise EgressError(f"The connection failed: {error or type(error).__name__}.", reason=reason) from error
        except (httpcore2.ProtocolError, httpcore2.UnsupportedProtocol) as error:
            raise EgressError(f"The answer is not HTTP: {error}.", reason="protocol") from error


def check_url(url: str, allowed: Iterable[Network] = ()) -> None:
    """Refuse a URL that no request may go to, as far as that can be said without resolving its name.

    `https` everywhere on the secure ports; `http` and other ports only where the operator opened the loopback or private
    network, which the address decides at connect time: here a host written as a name passes when anything is open.

    Raises:
        EgressError: with reason `url`, or `refused` for an address that is written in the URL.
    """
    networks = tuple(allowed)
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
        host.encode("idna")
    except ValueError as error:
        raise EgressError("The URL cannot be read. Use https://host/path.", reason="url") from error
    if not host or not url.isascii() or any(character.isspace() for character in url):
        raise EgressError("The URL has no host, or holds spaces or letters that must be encoded.", reason="url")
    if parts.username is not None or parts.password is not None:
        raise EgressError("The URL holds a user name or password. Leave them out.", reason="url")
    if parts.fragment:
        raise EgressError("The URL holds a fragment (#…), which is never sent. Leave it out.", reason="url")
    local = host in {"localhost", "127.0.0.1", "::1"}
    if parts.scheme not in ("https", "http") or (parts.scheme == "http" and not (local and networks)):
        raise EgressError(
            "The URL must begin with https://. Plain http is only for the loopback address, where the operator opened it "
            "for development.",
            reason="url",
        )
    if port is not None and port not in SECURE_PORTS and not networks:
        raise EgressError(f"The port {port} is not served; use 443 or 8443.", reason="url")
    try:
        literal = parse_address(host)
    except ValueError:
        return
    _require_contactable(literal, networks)


def _require_contactable(address: Address, allowed: Sequence[Network]) -> None:
    why = refusal(address, allowed)
    if why is not None:
        raise EgressError(
            f"The address {address} must not be contacted ({why}). Use a receiver on the public internet; the operator of "
            "this server can open private networks with RECASTER_EGRESS_ALLOW.",
            reason="refused",
        )


def _read(chunks: Iterable[bytes], limit: int) -> tuple[bytes, bool]:
    kept = bytearray()
    for chunk in chunks:
        kept += chunk
        if len(kept) > limit:
            return bytes(kept[:limit]), True
    return bytes(kept), False


class _Line(httpcore2.NetworkBackend):
    """Connects one request to a checked address and holds it to its deadline."""

    def __init__(self, allowed: Sequence[Network], resolver: Resolver, limits: EgressLimits) -> None:
        self._allowed = allowed
        self._resolver = resolver
        self._limits = limits
        self._deadline = time.monotonic() + limits.total_seconds
        self.address = ""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        addresses = self._resolve(host, port)
        for address in addresses:
            _require_contactable(address, self._allowed)
            if port not in SECURE_PORTS and not is_allowed(address, self._allowed):
                raise EgressError(f"The port {port} is not served; use 443 or 8443.", reason="refused")
        failure: httpcore2.NetworkError | httpcore2.TimeoutException | None = None
        for address in addresses:
            try:
                stream = httpcore2.SyncBackend().connect_tcp(
                    str(address),
                    port,
                    _left(self._deadline, self._limits.connect_seconds),
                    local_address,
                    socket_options,
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
                continue
            self.address = str(address)
            return _BoundedStream(stream, self._deadline)
        assert failure is not None
        raise failure

    def _resolve(self, host: str, port: int) -> list[Address]:
        # The system's resolver knows no time limit; a name server that stays silent must not hold the sender.
        outcome: list[Sequence[str] | OSError | UnicodeError] = []

        def ask() -> None:
            try:
                outcome.append(self._resolver(host, port))
            except (OSError, UnicodeError) as error:
                outcome.append(error)

        asking = threading.Thread(target=ask, name="recaster-resolve", daemon=True)
        asking.start()
        asking.join(_left(self._deadline, self._limits.connect_seconds))
        if not outcome:
            raise httpcore2.ConnectTimeout(f"The name {host} was not resolved in time.")
        found = outcome[0]
        if isinstance(found, OSError | UnicodeError):
            raise EgressError(f"The name {host} does not resolve: {found}.", reason="resolve")
        addresses = list(dict.fromkeys(parse_address(text) for text in found))
        if not addresses:
            raise EgressError(f"The name {host} has no address.", reason="resolve")
        return addresses


class _BoundedStream(httpcore2.NetworkStream):
    """A connection on which nothing waits beyond the deadline of its request."""

    def __init__(self, inner: httpcore2.NetworkStream, deadline: float) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(self._deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(self._deadline, timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        secured = self._inner.start_tls(ssl_context, server_hostname, _left(self._deadline, timeout))
        return _BoundedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(deadline: float, timeout: float | None) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout("The time for this exchange is used up.")
    return left if timeout is None else min(left, timeout)
