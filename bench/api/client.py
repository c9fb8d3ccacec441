"""The load client, in a process of its own: sends prepared requests over kept-alive connections and times the answers.

It speaks just enough HTTP/1.1 for this server, so that it takes as little as it can of the cores it shares with it. The
plan comes as JSON on standard input, the measurements go as JSON to standard output:

    in:  {"host", "port", "connections", "seconds", "rate" (requests a second; null sends as fast as answers come),
          "requests": ["POST /… HTTP/1.1\\r\\n…", …]  (each is sent once, in this order; they start over with "repeat")}
    out: {"seconds", "statuses": {"202": n}, "latencies": [seconds, …], "cpu_seconds"}

A plan ends after twice its time, however far behind the server is. With a rate the latency counts from the moment at which the request was due, so that a slow answer also charges those
that had to wait behind it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

import uvloop


class _Connection(asyncio.Protocol):
    """One kept-alive connection with one request on its way at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._answer is None:
            return
        head = bytes(self._buffer[:end]).lower()
        position = head.find(b"content-length:")
        length = int(head[position + 15 :].split(b"\r\n", 1)[0]) if position >= 0 else 0
        if len(self._buffer) >= end + 4 + length:
            del self._buffer[: end + 4 + length]
            self._answer.set_result(int(head[9:12]))

    async def send(self, request: bytes) -> int:
        """Send one request and return the status of its answer."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer


async def run(plan: dict[str, Any]) -> dict[str, Any]:
    """Carry out a plan; see the module's docstring."""
    loop = asyncio.get_running_loop()
    prepared = [request.encode() for request in plan["requests"]]
    requests: Iterator[bytes] = itertools.cycle(prepared) if plan.get("repeat") else iter(prepared)
    statuses: Counter[int] = Counter()
    latencies: list[float] = []
    interval = 1 / plan["rate"] if plan.get("rate") else 0.0
    connections = [
        (await loop.create_connection(_Connection, plan["host"], plan["port"]))[1] for _ in range(plan["connections"])
    ]
    started = loop.time()
    number = itertools.count()

    async def work(connection: _Connection) -> None:
        while True:
            due = started + next(number) * interval if interval else loop.time()
            if due - started >= plan["seconds"]:
                return
            request = next(requests, None)
            if request is None or loop.time() - started >= 2 * plan["seconds"]:
                return
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            status = await connection.send(request)
            latencies.append(loop.time() - due)
            statuses[status] += 1

    await asyncio.gather(*(work(connection) for connection in connections))
    return {
        "seconds": loop.time() - started,
        "statuses": {str(status): count for status, count in statuses.items()},
        "latencies": latencies,
        "cpu_seconds": time.process_time(),
    }


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        json.dump(runner.run(run(json.load(sys.stdin))), sys.stdout)
