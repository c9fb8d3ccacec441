"""The proxy against a resolver under the test's control, with canaries on loopback that must stay silent."""

from __future__ import annotations

import asyncio
import base64
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from recaster.infra.egress_proxy import EgressProfile, EgressProxy

pytestmark = pytest.mark.unit

PUBLIC = "93.184.216.34"
LIST = ("tiktok.example", "cdn.example")


class Far:
    """A server on loopback that counts its visitors."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.visits = 0
        self._serve = serve
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.visits += 1
            threading.Thread(target=self._guarded, args=(near,), daemon=True).start()

    def _guarded(self, near: socket.socket) -> None:
        with near, suppress(OSError):
            self._serve(near)

    def close(self) -> None:
        self._listener.close()


def echo(near: socket.socket) -> None:
    while data := near.recv(4096):
        near.sendall(data)


@pytest.fixture
def canary() -> Iterator[Far]:
    far = Far(echo)
    yield far
    assert far.visits == 0, "something reached a listener on loopback"
    far.close()


@contextmanager
def lab(
    answers: dict[str, list[list[str]]], far: Far, canary: Far, **profile: object
) -> Iterator[tuple[EgressProxy, list[str]]]:
    """A proxy whose names resolve to `answers` (one list per question, the last repeats).

    Connections to the public address end at `far`; every other address that is dialled leads to the canary.
    """
    asked: dict[str, int] = {}
    dialled: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        found = answers.get(host)
        if found is None:
            return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, flags=socket.AI_NUMERICHOST)]
        number = asked.get(host, 0)
        asked[host] = number + 1
        return found[min(number, len(found) - 1)]

    async def dial(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        dialled.append(host)
        return await asyncio.open_connection("127.0.0.1", far.port if host == PUBLIC else canary.port)

    values = {"name": "sources", "hosts": LIST, **profile}
    with EgressProxy([EgressProfile(**values)], resolver=resolve, dial=dial) as proxy:  # type: ignore[arg-type]
        yield proxy, dialled


def connect(
    proxy: EgressProxy, target: str, *, token: str | None = None, head: str = ""
) -> tuple[bytes, socket.socket]:
    pair = proxy.url("sources").removeprefix("http://").partition("@")[0] if token is None else token
    credentials = base64.b64encode(pair.encode()).decode()
    near = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
    line = head or f"CONNECT {target} HTTP/1.1"
    near.sendall(f"{line}\r\nHost: x\r\nProxy-Authorization: Basic {credentials}\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = near.recv(4096)
        if not piece:
            break
        answer += piece
    return answer, near


def verdict(answer: bytes) -> str:
    for line in answer.decode().split("\r\n"):
        if line.lower().startswith("x-egress-verdict:"):
            return line.partition(":")[2].strip()
    return "allowed" if answer.startswith(b"HTTP/1.1 200") else answer.decode()


def test_a_listed_host_is_reached_by_loopback_and_by_the_socket(canary: Far) -> None:
    far = Far(echo)
    with lab({"www.tiktok.example": [[PUBLIC]]}, far, canary) as (proxy, dialled):
        answer, near = connect(proxy, "www.tiktok.example:443")
        assert verdict(answer) == "allowed"
        near.sendall(b"hello")
        assert near.recv(100) == b"hello"
        near.close()
        with socket.socket(socket.AF_UNIX) as local:
            local.connect(proxy.socket_path)
            local.sendall(b"CONNECT www.tiktok.example:443 HTTP/1.1\r\n\r\n")
            assert b" 407 " in local.recv(4096)
    assert (dialled, far.visits) == ([PUBLIC], 1)


@pytest.mark.parametrize(
    ("addresses", "why"),
    [
        (["127.0.0.1"], "loopback"),
        (["10.1.2.3"], "private"),
        (["100.64.0.1"], "carrier-grade NAT"),
        (["169.254.169.254"], "the metadata service of clouds"),
        (["224.0.0.1"], "multicast"),
        (["0.0.0.0"], "this host"),
        (["::1"], "loopback"),
        (["::ffff:127.0.0.1"], "IPv4-mapped"),
        (["64:ff9b::7f00:1"], "NAT64"),
        (["64:ff9b:1::7f00:1"], "local NAT64"),
        (["2002:7f00:1::"], "6to4"),
        (["2001:0:7f00:1::"], "Teredo"),
        (["fec0::1"], "site-local"),
        (["fe80::1%1"], "link-local"),
        (["fc00::1"], "unique local"),
        (["ff02::1"], "multicast"),
        ([PUBLIC, "127.0.0.1"], "one of two is loopback"),
        (["127.0.0.1", PUBLIC], "one of two is loopback"),
        ([PUBLIC, "::ffff:10.0.0.1"], "one of two is private"),
    ],
)
def test_a_refused_address_refuses_the_name(addresses: list[str], why: str, canary: Far) -> None:
    far = Far(echo)
    with lab({"www.tiktok.example": [addresses]}, far, canary) as (proxy, dialled):
        assert verdict(connect(proxy, "www.tiktok.example:443")[0]) == "address", why
        assert proxy.refusals["address"] == 1
    assert dialled == []


def test_a_name_that_changes_its_mind_gains_nothing(canary: Far) -> None:
    far = Far(echo)
    with lab({"cdn.example": [[PUBLIC], ["127.0.0.1"]]}, far, canary) as (proxy, dialled):
        assert verdict(connect(proxy, "cdn.example:443")[0]) == "allowed"
        assert verdict(connect(proxy, "cdn.example:443")[0]) == "address"
    assert dialled == [PUBLIC]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "[::ffff:7f00:1]", "0"]
)
def test_loopback_in_other_spellings(host: str, canary: Far) -> None:
    far = Far(echo)
    with lab({}, far, canary, hosts=None) as (proxy, dialled):
        assert verdict(connect(proxy, f"{host}:443")[0]) in {"address", "resolve"}
    assert dialled == []


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("evil.example:443", "host"),
        ("tiktok.example.evil.example:443", "host"),
        ("eviltiktok.example:443", "host"),
        ("www.tiktok.example:22", "port"),
        ("www.tiktok.example:80", "port"),
        ("user@www.tiktok.example:443", "malformed"),
        ("www.tiktok.example", "malformed"),
        ("www.tiktok.example:99999", "malformed"),
    ],
)
def test_only_listed_names_and_ports(target: str, expected: str, canary: Far) -> None:
    far = Far(echo)
    with lab({"www.tiktok.example": [[PUBLIC]], "evil.example": [[PUBLIC]]}, far, canary) as (proxy, dialled):
        assert verdict(connect(proxy, target)[0]) == expected
    assert dialled == []


def test_plain_requests_go_to_named_endpoints_only(canary: Far) -> None:
    seen: list[bytes] = []

    def answer(near: socket.socket) -> None:
        seen.append(near.recv(4096))
        near.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    far = Far(answer)
    with lab({"www.tiktok.example": [[PUBLIC]]}, far, canary, endpoints=frozenset({(PUBLIC, 8080)})) as (proxy, _):
        head = "GET http://www.tiktok.example/ HTTP/1.1"
        assert verdict(connect(proxy, "", head=head)[0]) == "method"
        head = f"GET http://{PUBLIC}:8080/v1/models?x=1 HTTP/1.1"
        assert connect(proxy, "", head=head)[0].startswith(b"HTTP/1.1 200 OK")
    assert seen[0].startswith(b"GET /v1/models?x=1 HTTP/1.1\r\n")
    assert b"proxy-authorization" not in seen[0].lower()


@pytest.mark.parametrize("token", ["sources:wrong", "sources:", "nobody:x", ":"])
def test_a_wrong_token(token: str, canary: Far) -> None:
    far = Far(echo)
    with lab({"www.tiktok.example": [[PUBLIC]]}, far, canary) as (proxy, dialled):
        assert verdict(connect(proxy, "www.tiktok.example:443", token=token)[0]) == "credentials"
    assert dialled == []


def drained(near: socket.socket) -> int:
    total = 0
    try:
        while data := near.recv(65536):
            total += len(data)
    except ConnectionError:
        pass
    return total


def test_bytes_are_capped(canary: Far) -> None:
    far = Far(lambda near: [near.sendall(b"x" * 65536) for _ in range(200)] and None)
    with lab({"cdn.example": [[PUBLIC]]}, far, canary, response_bytes=300_000) as (proxy, _):
        _, near = connect(proxy, "cdn.example:443")
        assert drained(near) <= 300_000
        assert proxy.refusals["bytes"] == 1


@pytest.mark.parametrize(
    ("bounds", "expected"), [({"rate_window": 0.3}, "rate"), ({"seconds": 0.4, "least_bytes_per_second": 0}, "seconds")]
)
def test_a_trickle_ends(bounds: dict[str, float], expected: str, canary: Far) -> None:
    def trickle(near: socket.socket) -> None:
        for _ in range(100):
            near.sendall(b"x")
            time.sleep(0.1)

    far = Far(trickle)
    with lab({"cdn.example": [[PUBLIC]]}, far, canary, **bounds) as (proxy, _):
        _, near = connect(proxy, "cdn.example:443")
        assert drained(near) < 100
        assert proxy.refusals[expected] == 1


def test_the_operators_own_proxy_gets_the_name_and_the_list_still_holds(canary: Far) -> None:
    seen: list[bytes] = []

    def upstream(near: socket.socket) -> None:
        seen.append(near.recv(4096))
        near.sendall(b"HTTP/1.1 200 ok\r\n\r\n")
        echo(near)

    far = Far(upstream)
    with lab({}, far, canary, upstream=f"http://me:pass@{PUBLIC}:3128") as (proxy, _):
        answer, near = connect(proxy, "www.tiktok.example:443")
        assert verdict(answer) == "allowed"
        near.sendall(b"hi")
        assert near.recv(10) == b"hi"
        assert verdict(connect(proxy, "evil.example:443")[0]) == "host"
    assert seen[0].startswith(b"CONNECT www.tiktok.example:443 HTTP/1.1")
    assert base64.b64encode(b"me:pass") in seen[0]
