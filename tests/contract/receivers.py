"""A webhook receiver on loopback: keeps what it got and answers as it is told."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[["Got"], tuple[int, dict[str, str], bytes]]


@dataclass(frozen=True)
class Got:
    """One request that arrived."""

    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    def partner_signatures(self) -> tuple[str, list[str]]:
        """Time and signatures of the partner scheme."""
        parts = [part.split("=", 1) for part in self.headers["x-layers-signature"].split(",")]
        assert parts[0][0] == "t"
        assert {name for name, _ in parts[1:]} == {"v1"}
        return parts[0][1], [value for _, value in parts[1:]]

    def partner_signed_by(self, secret: str) -> bool:
        moment, signatures = self.partner_signatures()
        expected = hmac.new(secret.encode(), f"{moment}.".encode() + self.body, hashlib.sha256).hexdigest()
        return expected in signatures


class Receiver:
    """Serves until `close`. `answer` may be exchanged at any time."""

    def __init__(self, answer: Answer | int = 200) -> None:
        self.got: list[Got] = []
        self.answer = answer
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                one = Got({name.lower(): value for name, value in self.headers.items()}, body)
                receiver.got.append(one)
                given = receiver.answer
                status, headers, content = given(one) if callable(given) else (given, {}, b"thanks")
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
