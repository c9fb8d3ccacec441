"""Opens bombs and damaged files the way an upload is opened, and says what became of each.

python -m bench.sources.hostile [--mutations 1000]
"""

from __future__ import annotations

import argparse
import hashlib
import socket
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.sources.hostile_media import bombs, healthy, mutated
from recaster.errors import RecasterError
from recaster.infra.child import ChildReport
from recaster.infra.settings import Settings
from recaster.service.media.decoding import FileExaminer
from recaster.service.media.inspection import UploadedFile


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    code: str
    """Code of the error, `accepted`, or the name of an exception that is none of ours."""
    field: str
    seconds: float
    cpu_seconds: float
    peak_megabytes: float


class Canary:
    """A listener on loopback that counts who comes."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.visits = 0
        threading.Thread(target=self._count, daemon=True).start()

    @property
    def address(self) -> str:
        """What a hostile file names."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/segment.ts"

    def _count(self) -> None:
        while True:
            near, _ = self._listener.accept()
            self.visits += 1
            near.close()


def examine(content: bytes, folder: Path) -> Outcome:
    """Open one file as an upload is opened."""
    path = folder / "upload.part"
    path.write_bytes(content)
    reports: list[ChildReport] = []
    examiner = FileExaminer(Settings(home=folder / "home"), reports.append)
    file = UploadedFile(path, len(content), hashlib.sha256(content).hexdigest())
    started = time.monotonic()
    code, field = "accepted", ""
    try:
        examiner(file)
    except RecasterError as error:
        code, field = error.code, str(error.details.get("field", ""))
    seconds = time.monotonic() - started
    return Outcome(code, field, seconds, reports[0].cpu_seconds, reports[0].peak_bytes / 1e6)


def main() -> None:
    """Print both tables."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--mutations", type=int, default=1000)
    chosen = arguments.parse_args()
    canary = Canary()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print("| bomb | bytes | answer | field | CPU s | peak MB |\n| --- | --- | --- | --- | --- | --- |")
        for label, content in bombs(canary.address).items():
            seen = examine(content, folder)
            print(
                f"| {label} | {len(content):,} | {seen.code} | {seen.field} | {seen.cpu_seconds:.2f} | "
                f"{seen.peak_megabytes:.0f} |",
                flush=True,
            )
        counted: Counter[tuple[str, str]] = Counter()
        worst_cpu = worst_memory = 0.0
        for _, kind, content in mutated(healthy(folder), chosen.mutations):
            seen = examine(content, folder)
            counted[kind, seen.code] += 1
            worst_cpu, worst_memory = max(worst_cpu, seen.cpu_seconds), max(worst_memory, seen.peak_megabytes)
        print("\n| damaged | answer | files |\n| --- | --- | --- |")
        for (kind, code), number in sorted(counted.items()):
            print(f"| {kind} | {code} | {number} |")
        print(f"\nseeds 0 to {chosen.mutations - 1}; most CPU {worst_cpu:.2f} s, most memory {worst_memory:.0f} MB")
    print(f"canary visited {canary.visits} times")


if __name__ == "__main__":
    main()
