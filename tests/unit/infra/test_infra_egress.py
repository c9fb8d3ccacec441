from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from recaster.infra.addresses import parse_networks, refusal
from recaster.infra.egress import Egress, EgressError, EgressLimits, check_url

pytestmark = pytest.mark.unit

LOOPBACK = parse_networks("127.0.0.0/8, ::1/128")

REFUSED = [
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8",
    "192.88.99.1", "192.168.1.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:808:808::",
    "2001:0:53aa:64c::1", "2001:db8::1", "fc00::1", "fd12::1", "fe80::1", "fec0::1", "ff02::1", "::127.0.0.1", "3fff::1",
    "5f00::1",
]  # fmt: skip
REACHABLE = ["8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.1", "172.32.0.1", "2606:4700::1", "2a00:1450::1",
             "64:ff9b::808:808", "::ffff:8.8.8.8"]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_the_public_internet_is_refused(text: str) -> None:
    assert refusal(ip_address(text)) is not None


@pytest.mark.parametrize("text", REACHABLE)
def test_public_addresses_pass(text: str) -> None:
    assert refusal(ip_address(text)) is None


def test_the_operator_opens_networks_in_every_written_form() -> None:
    for text in ("127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "::1"):
        assert refusal(ip_address(text), LOOPBACK) is None
    assert refusal(ip_address("10.0.0.1"), LOOPBACK) is not None
    with pytest.raises(ValueError, match="host bits"):
        parse_networks("10.0.0.1/8")


@given(st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=4, network="192.168.0.0/16"))
def test_no_written_form_hides_a_private_address(inner: Any) -> None:
    for form in (f"::ffff:{inner}", f"64:ff9b::{inner}", f"::{inner}"):
        assert refusal(ip_address(form)) is not None


BAD_URLS = [
    "http://receiver.example/hook", "ftp://receiver.example", "https://", "https://user:pw@receiver.example/",
    "https://user@receiver.example/", "https://receiver.example:22/", "https://receiver.example/#x",
    "https://receiver.example/a b", "https://127.0.0.1/", "https://[::1]/", "https://[::ffff:10.0.0.1]/",
    "https://receiver.example:99999/", "//receiver.example/", "http://localhost/x", "https://10.0.0.1/\r\nX: y",
]  # fmt: skip


@pytest.mark.parametrize("url", BAD_URLS)
def test_bad_urls(url: str) -> None:
    with pytest.raises(EgressError):
        check_url(url)


def test_plain_http_is_for_an_opened_loopback_only() -> None:
    check_url("https://receiver.example:8443/hook?x=1")
    check_url("http://127.0.0.1:9000/hook", LOOPBACK)
    for url in ("http://receiver.example/hook", "http://10.0.0.1/hook"):
        with pytest.raises(EgressError):
            check_url(url, LOOPBACK)


Handler = Callable[[socket.socket], None]


class Receiver:
    """A raw TCP server on loopback that counts who connects."""

    def __init__(self, handle: Handler, tls: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self._tls = tls
        self._handle = handle
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            connection.recv(65536)
            self._handle(connection)
        except OSError:
            pass
        finally:
            connection.close()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def receiver() -> Iterator[Callable[[Handler], Receiver]]:
    opened: list[Receiver] = []

    def start(handle: Handler) -> Receiver:
        opened.append(Receiver(handle))
        return opened[-1]

    yield start
    for server in opened:
        server.close()


def answers(raw: bytes) -> Handler:
    return lambda connection: connection.sendall(raw)


def test_an_answer_is_read_up_to_the_limit(receiver: Any) -> None:
    server = receiver(answers(b"HTTP/1.1 200 OK\r\nX-A: b\r\nConnection: close\r\n\r\n" + b"x" * 5000))
    response = Egress(LOOPBACK).request(
        "POST", f"http://127.0.0.1:{server.port}/", content=b"{}", limits=EgressLimits(response_bytes=100)
    )
    assert (response.status, len(response.body), response.truncated) == (200, 100, True)
    assert (response.headers["x-a"], response.address) == ("b", "127.0.0.1")


def test_redirects_are_answers(receiver: Any) -> None:
    target = receiver(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
    location = f"Location: http://127.0.0.1:{target.port}/".encode()
    server = receiver(answers(b"HTTP/1.1 302 Found\r\n" + location + b"\r\nContent-Length: 0\r\n\r\n"))
    assert Egress(LOOPBACK).request("POST", f"http://127.0.0.1:{server.port}/").status == 302
    assert target.connections == 0


def test_nothing_private_is_ever_connected_to(receiver: Any) -> None:
    canary = receiver(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
    for found in (
        ["127.0.0.1"],
        ["93.184.216.34", "127.0.0.1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["2130706433"],
    ):
        with pytest.raises((EgressError, ValueError)):
            Egress(resolver=lambda host, port, found=found: found).request("GET", "https://receiver.example/")
    for host in ("localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1"):
        with pytest.raises(EgressError):
            Egress().request("GET", f"https://{host}:8443/")
    assert canary.connections == 0


def test_a_name_is_resolved_once_and_used_as_checked(receiver: Any) -> None:
    server = receiver(answers(b"HTTP/1.1 204 No Content\r\n\r\n"))
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    response = Egress(LOOPBACK, resolver=rebinding).request("GET", f"http://localhost:{server.port}/")
    assert (response.status, asked) == (204, ["localhost"])


def test_a_trickling_answer_ends_at_the_deadline(receiver: Any) -> None:
    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for _ in range(200):
            connection.sendall(b"X-Slow: y\r\n")
            time.sleep(0.05)

    server = receiver(trickle)
    with pytest.raises(EgressError) as caught:
        Egress(LOOPBACK).request("GET", f"http://127.0.0.1:{server.port}/", limits=EgressLimits(total_seconds=0.4))
    assert caught.value.reason == "timeout"


@pytest.mark.parametrize(
    ("raw", "reason"), [(b"hello\r\n\r\n", "protocol"), (b"", "protocol")], ids=["no HTTP", "closed"]
)
def test_broken_answers(receiver: Any, raw: bytes, reason: str) -> None:
    server = receiver(answers(raw))
    with pytest.raises(EgressError) as caught:
        Egress(LOOPBACK).request("GET", f"http://127.0.0.1:{server.port}/")
    assert caught.value.reason == reason


def test_names_that_do_not_resolve_and_resolvers_that_stay_silent() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError("unknown name")

    silent = threading.Event()

    def hang(host: str, port: int) -> list[str]:
        silent.wait(5)
        return []

    with pytest.raises(EgressError) as caught:
        Egress(resolver=unknown).request("GET", "https://receiver.example/")
    assert caught.value.reason == "resolve"
    with pytest.raises(EgressError) as caught:
        Egress(resolver=hang).request("GET", "https://receiver.example/", limits=EgressLimits(connect_seconds=0.1))
    assert caught.value.reason == "timeout"
    silent.set()


def certificate(folder: Path, name: str) -> Path:
    """Make a certificate for a host name that signs itself; certificate and key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + private)
    return path


@pytest.mark.parametrize(("host", "reason"), [("receiver.example", None), ("other.example", "tls")])
def test_tls_is_checked_against_the_name_not_the_address(tmp_path: Path, host: str, reason: str | None) -> None:
    pem = certificate(tmp_path, "receiver.example")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(pem)

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    server = Receiver(answer, tls=serving)
    egress = Egress(
        LOOPBACK, resolver=lambda name, port: ["127.0.0.1"], tls=ssl.create_default_context(cafile=str(pem))
    )
    try:
        if reason is None:
            response = egress.request("GET", f"https://{host}:{server.port}/")
            assert (response.status, response.address) == (204, "127.0.0.1")
        else:
            with pytest.raises(EgressError) as caught:
                egress.request("GET", f"https://{host}:{server.port}/")
            assert caught.value.reason == reason
    finally:
        server.close()
