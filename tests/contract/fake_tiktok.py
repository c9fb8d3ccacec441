"""A TikTok on loopback: pages with their data, media behind links that expire, and everything that goes wrong there.

The clients under test believe that they talk to `www.tiktok.com`: the egress proxy's resolver gives its hosts a public
address, its dialling leads that address here, and a certificate authority made for the test signs the hosts.
"""

from __future__ import annotations

import asyncio
import base64
import datetime
import hashlib
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PUBLIC = "93.184.216.34"
MEDIA_HOST = "v16-webapp-prime.tiktok.com"
HOSTS = ("www.tiktok.com", "tiktok.com", MEDIA_HOST, "api16-normal-c-useast1a.tiktokv.com", "p16.tiktokcdn.com")
TOP = "<html><head><title>TikTok</title></head><body>"


def item(video_id: str, **changes: Any) -> dict[str, Any]:
    """The data of an ordinary video post, as the page carries it."""
    base: dict[str, Any] = {
        "id": video_id,
        "desc": "5 study habits that work #studytips #students",
        "createTime": 1_790_000_000,
        "author": {"id": "1", "uniqueId": "maya.studies", "nickname": "Maya", "secUid": "MS4wLjABAAAA" + "a" * 64},
        "stats": {"playCount": 120_000, "diggCount": 9_000, "shareCount": 300, "commentCount": 210, "collectCount": 5},
        "music": {"title": "original sound", "authorName": "Maya", "duration": 8, "playUrl": media("music.m4a")},
        "video": {
            "duration": 8,
            "width": 720,
            "height": 1280,
            "cover": "https://p16.tiktokcdn.com/cover.jpg",
            "playAddr": media(f"{video_id}/play.mp4"),
            "downloadAddr": media(f"{video_id}/download.mp4"),
            "bitrateInfo": [],
        },
    }
    return {**base, **changes}


def media(path: str) -> str:
    return f"https://{MEDIA_HOST}/{path}"


def variant(path: str, key: str) -> dict[str, Any]:
    """One entry of `bitrateInfo`; `key` such as `v12044gd0000_bytevc1_720p_900000` names codec and size."""
    return {"PlayAddr": {"UrlList": [media(path)], "UrlKey": key, "DataSize": "1000"}}


def page(data: dict[str, Any]) -> bytes:
    script = json.dumps({"__DEFAULT_SCOPE__": data})
    return (
        f'{TOP}<script id="__UNIVERSAL_DATA_FOR_REHYDRATION__" type="application/json">{script}</script></body></html>'
    ).encode()


def video_page(post: dict[str, Any], status: int = 0) -> bytes:
    return page({"webapp.video-detail": {"statusCode": status, "itemInfo": {"itemStruct": post}}})


def status_page(status: int) -> bytes:
    return page({"webapp.video-detail": {"statusCode": status, "statusMsg": "x"}})


def challenge_page(answer: int, *, solvable: bool = True) -> bytes:
    base = b"proof of work"
    digest = hashlib.sha256(base)
    digest.update(str(answer).encode())
    expected = digest.digest() if solvable else b"\0" * 32
    puzzle = {"v": {"a": base64.b64encode(base).decode(), "c": base64.b64encode(expected).decode()}, "s": "x"}
    packed = base64.b64encode(json.dumps(puzzle).encode()).decode().rstrip("=")
    return (
        f'{TOP}Please wait...<p id="cs" class="{packed}"></p><p id="wci" class="_wafchallengeid"></p></body>'.encode()
    )


@dataclass
class Reply:
    """What one path answers."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "text/html; charset=utf-8"
    pause: float = 0.0
    """Seconds before the body."""
    trickle: float = 0.0
    """Seconds between single bytes of the body."""


Route = Reply | Callable[["Seen"], Reply]


@dataclass(frozen=True)
class Seen:
    """One request as it came."""

    host: str
    path: str
    headers: dict[str, str]
    count: int
    """How many requests for this path came before."""


class FakeTiktok:
    """Answers by path (without query); a path that is not set is a 404."""

    def __init__(self, folder: Path) -> None:
        self.routes: dict[str, Route] = {}
        self.seen: list[Seen] = []
        self.elsewhere: dict[tuple[str, int], int] = {}
        """Port on loopback of other hosts that a test adds."""
        self.ca_file, certificate = _certificates(folder)
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                fake._answer(self)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fake._answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # With the handshake in `accept`, one client that hangs there would hold all others.
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def video(self, video_id: str, content: bytes, **changes: Any) -> None:
        """Set an ordinary video whose every link works."""
        post = item(video_id, **changes)
        self.routes[f"/@/video/{video_id}"] = self.routes[f"/@_/video/{video_id}"] = Reply(video_page(post))
        for name in ("play", "download"):
            self.routes[f"/{video_id}/{name}.mp4"] = Reply(content, kind="video/mp4")

    def page_of(self, video_id: str, route: Route) -> None:
        self.routes[f"/@/video/{video_id}"] = self.routes[f"/@_/video/{video_id}"] = route

    def requests(self, ending: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path.endswith(ending)]

    def resolve(self, host: str, port: int) -> list[str]:
        if host not in HOSTS:
            raise OSError(f"{host} does not exist in this test")
        return [PUBLIC]

    async def dial(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        target = self.port if (host, port) == (PUBLIC, 443) else self.elsewhere.get((host, port))
        if target is None:
            raise OSError("nothing else exists in this test")
        return await asyncio.open_connection("127.0.0.1", target)

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.partition("?")[0]
        headers = {name.lower(): value for name, value in handler.headers.items()}
        seen = Seen(headers.get("host", ""), path, headers, sum(old.path == path for old in self.seen))
        self.seen.append(seen)
        route = self.routes.get(path, Reply(b"not found", status=404))
        reply = route(seen) if callable(route) else route
        handler.send_response(reply.status)
        for name, value in {"Content-Type": reply.kind, **reply.headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(reply.body)))
        handler.end_headers()
        time.sleep(reply.pause)
        try:
            if reply.trickle:
                for position in range(len(reply.body)):
                    handler.wfile.write(reply.body[position : position + 1])
                    time.sleep(reply.trickle)
            else:
                handler.wfile.write(reply.body)
        except OSError:
            handler.close_connection = True


def _certificates(folder: Path) -> tuple[Path, Path]:
    now = datetime.datetime.now(datetime.UTC)

    def build(name: str, issuer: str, key: Any, signer: Any, *extensions: Any) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(signer, hashes.SHA256())

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    ca = build("Test CA", "Test CA", ca_key, ca_key, (x509.BasicConstraints(True, None), True), (usage, True))
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS])
    leaf = build("fake", "Test CA", key, ca_key, (names, False), (x509.BasicConstraints(False, None), True))
    ca_file, chain = folder / "ca.pem", folder / "site.pem"
    ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    chain.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + leaf.public_bytes(serialization.Encoding.PEM)
    )
    return ca_file, chain
