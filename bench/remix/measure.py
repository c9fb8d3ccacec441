"""Measures and prints seconds per stage and per frame, peak memory, and the ratio to the reference transcode.

Every stage runs in a process of its own, as in the service, so that its CPU time (user and system, all threads) and its
peak memory are its own. The reference is decode plus x264 `veryfast` at CRF 18, without any conversion of pictures. The
parts of analysis and render are the main thread's own time inside each engine call; the encoder works in a thread of
its own and is what remains. Nothing is judged here but cost.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import multiprocessing
import os
import platform
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import av

from recaster.demo.run import BRAND, INFLUENCER, SOURCE_PERSON, persona_pictures, reference_pictures
from recaster.demo.source import make_source_clip
from recaster.infra.libraries import PIXEL_LIBRARIES
from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings
from recaster.media.progress import silent
from recaster.media.video import EncoderSettings, Shot, VideoFacts, probe
from recaster.remix import stages, steps
from recaster.remix.engines import Engines, engine_choice

BAR = 8.0
"""Whole remix over reference transcode, CPU time."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one stage took."""

    name: str
    cpu_seconds: float
    wall_seconds: float
    peak_megabytes: float
    parts: dict[str, float]
    """Seconds of the main thread inside engine calls, by part."""
    result: dict[str, Any]


class Timed:
    """Stands in for an engine and adds up the calling thread's CPU time spent inside its methods.

    What an engine calls of another one on its way, as the reader feeds the finder of faces, counts for that one alone.
    """

    _inner: ClassVar[list[float]] = [0.0]
    """Time that was spent in timed calls within the one that is running, for each that is running."""

    def __init__(self, engine: Any, parts: dict[str, float], names: dict[str, str]) -> None:
        self._engine, self._parts, self._names = engine, parts, names

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._engine, method)
        if method not in self._names:
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            before = time.thread_time()
            self._inner.append(0.0)
            answer = found(*arguments, **options)
            took = time.thread_time() - before
            name = self._names[method]
            self._parts[name] = self._parts.get(name, 0.0) + took - self._inner.pop()
            self._inner[-1] += took
            return Timed(answer, self._parts, {"swap": "swap"}) if method == "begin" else answer

        return call


class TimedEngines(Engines):
    """Engines whose calls are timed."""

    def bind(self, parts: dict[str, float]) -> TimedEngines:
        """Return the same engines, adding to `parts`."""
        object.__setattr__(self, "_bound", parts)
        return self

    def eraser(self) -> Any:
        """Return the timed eraser."""
        return Timed(super().eraser(), self._parts, {"prepare": "erase: learn the clip", "erase": "erase: per frame"})

    def drawer(self) -> Any:
        """Return the timed drawer."""
        return Timed(super().drawer(), self._parts, {"draw": "draw", "layout": "draw"})

    def swapper(self) -> Any:
        """Return the timed swapper."""
        return Timed(super().swapper(), self._parts, {"begin": "swap: learn the clip"})

    def reader(self) -> Any:
        """Return the timed reader."""
        return Timed(super().reader(), self._parts, {"read_clip": "read texts", "read_image": "read texts"})

    def face_finder(self, facts: VideoFacts, shots: tuple[Shot, ...]) -> Any:
        """Return the timed finder of faces."""
        return Timed(super().face_finder(facts, shots), self._parts, {"feed": "find faces", "found": "find faces"})

    @property
    def _parts(self) -> dict[str, float]:
        parts: dict[str, float] = self._bound  # type: ignore[attr-defined]
        return parts


def measured(name: str, work: Callable[..., dict[str, Any]], request: dict[str, Any]) -> Cost:
    """Run `work(request, parts)` in a fresh process and return its cost."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measure, name, work, request).result()


def _measure(name: str, work: Callable[..., dict[str, Any]], request: dict[str, Any]) -> Cost:
    parts: dict[str, float] = {}
    cpu, wall = time.process_time(), time.monotonic()
    result = work(request, parts)
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    return Cost(name, cpu, wall, _peak_megabytes(), parts, result)


def _peak_megabytes() -> float:
    # Not getrusage: on Linux its maximum survives the start of a new program and would be the parent's.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def transcode(request: dict[str, Any], parts: dict[str, float]) -> dict[str, Any]:
    """Decode and encode every frame, untouched."""
    settings = EncoderSettings()
    with av.open(request["clip"]) as source, av.open(request["target"], "w", format="mp4") as output:
        video = source.streams.video[0]
        video.thread_type = "AUTO"
        stream = output.add_stream("libx264", rate=video.average_rate, options={"preset": "veryfast", "crf": "18"})
        stream.width, stream.height, stream.pix_fmt = video.width, video.height, "yuv420p"
        stream.codec_context.thread_count = settings.threads
        stream.codec_context.time_base = video.time_base
        for frame in source.decode(video):
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return {}


def analyse(request: dict[str, Any], parts: dict[str, float]) -> dict[str, Any]:
    """Run the stage of the same name."""
    engines = TimedEngines.from_choice(request["engines"]).bind(parts)
    analysis = steps.analyse(Path(request["clip"]), request["sha256"], engines)
    analysis.save(Path(request["folder"]))
    return {"overlays": len(analysis.overlays)}


def adapt(request: dict[str, Any], parts: dict[str, float]) -> dict[str, Any]:
    """Run the stage of the same name."""
    return stages.adapt(request, silent)


def prepare_persona(request: dict[str, Any], parts: dict[str, float]) -> dict[str, Any]:
    """Run the stage of the same name; it is done once per influencer and not counted in the ratio."""
    return stages.prepare_persona(request, silent)


def render(request: dict[str, Any], parts: dict[str, float]) -> dict[str, Any]:
    """Run the stage of the same name: render, verify, thumbnail."""
    engines = TimedEngines.from_choice(request["engines"]).bind(parts)
    clip, target = Path(request["clip"]), Path(request["target"])
    analysis = steps.SourceAnalysis.load(Path(request["analysis"]))
    plan = steps.RemixPlan.load(Path(request["plan"]))
    persona = steps.Persona.load(Path(request["persona"]))
    before = time.process_time()
    rendered = steps.render(clip, analysis, plan, persona, target, engines)
    middle = time.process_time()
    reading = parts.get("read texts", 0.0)
    inspection = steps.verify(clip, target, analysis, plan, persona, rendered, engines)
    steps.write_thumbnail(target, Path(request["thumbnail"]))
    parts.pop("read texts", None)
    parts["decode, encode, copying"] = middle - before - sum(parts.values()) + reading
    parts["verify, thumbnail"] = time.process_time() - middle
    return {"passed": inspection.passed, "swapped": rendered.swapped_frames}


def run(clip: Path, references: list[Path], brand: dict[str, Any], folder: Path) -> list[Cost]:
    """Measure every stage of one remix of `clip`."""
    settings = Settings()
    engines = engine_choice(settings, ModelStore(settings.folder("models")))
    digest = hashlib.sha256(clip.read_bytes()).hexdigest()
    files: dict[str, Any] = {
        "engines": engines,
        "clip": str(clip),
        "sha256": digest,
        "folder": str(folder / "analysis"),
        "analysis": str(folder / "analysis"),
        "brand": brand,
        "plan": str(folder / "plan.json"),
        "persona_sha256": "0" * 64,
        "persona": str(folder / "persona.npz"),
        "thumbnail": str(folder / "thumbnail.jpg"),
    }
    pictures = [{"id": path.name, "path": str(path)} for path in references]
    return [
        measured("reference transcode", transcode, {**files, "target": str(folder / "reference.mp4")}),
        measured(
            "persona (once)", prepare_persona, {**files, "pictures": pictures, "target": str(folder / "persona.npz")}
        ),
        measured("analyse", analyse, files),
        measured("adapt", adapt, files),
        measured("render and verify", render, {**files, "target": str(folder / "remix.mp4")}),
    ]


def report(clip_name: str, facts: Any, costs: list[Cost]) -> str:
    """Return the table as Markdown."""
    frames = facts.frame_count
    lines = [
        f"## {clip_name}: {facts.width}x{facts.height}, {frames} frames, {float(facts.duration):.1f} s",
        "",
        "| stage | CPU s | CPU ms a frame | wall s | peak MB |",
        "| --- | --- | --- | --- | --- |",
    ]
    for cost in costs:
        per_frame = 1000 * cost.cpu_seconds / frames
        lines.append(
            f"| {cost.name} | {cost.cpu_seconds:.1f} | {per_frame:.1f} | {cost.wall_seconds:.1f} "
            f"| {cost.peak_megabytes:.0f} |"
        )
        lines += [f"| – {part} | {value:.1f} | {1000 * value / frames:.1f} | | |" for part, value in cost.parts.items()]
    whole = sum(cost.cpu_seconds for cost in costs[2:])
    ratio = whole / costs[0].cpu_seconds
    lines.append(f"| **whole remix** | {whole:.1f} | {1000 * whole / frames:.1f} | | |")
    verdict = "met" if ratio <= BAR else "missed"
    lines += ["", f"Ratio to the reference transcode: **{ratio:.1f} ×** (bar {BAR:.0f} ×: {verdict}).", ""]
    return "\n".join(lines)


def main() -> None:
    """Measure the demo's clip, or the clips that are named, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.remix", description=__doc__)
    parser.add_argument("clips", nargs="*", type=Path, help="clips to remix; the demo's own clip when none is named")
    parser.add_argument("--seconds", type=int, default=8, help="length of the demo's clip")
    parser.add_argument("-o", "--output", type=Path, help="also write the tables here")
    parser.add_argument("--keep", type=Path, help="keep the results in this folder")
    arguments = parser.parse_args()
    # As the service starts its stages; child processes of the measurement inherit it.
    os.environ.update(PIXEL_LIBRARIES)
    settings = Settings()
    store = ModelStore(settings.folder("models"))
    files = store.paths()
    with tempfile.TemporaryDirectory(prefix="recaster-bench-") as scratch:
        folder = arguments.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        clips = list(arguments.clips)
        if not clips:
            clips = [folder / "demo-source.mp4"]
            make_source_clip(persona_pictures(SOURCE_PERSON), files, clips[0], seconds=arguments.seconds)
        references = reference_pictures(persona_pictures(INFLUENCER), files, folder / "influencer")
        tables = []
        for clip in clips:
            place = folder / clip.stem
            place.mkdir(exist_ok=True)
            costs = run(clip, references, BRAND, place)
            tables.append(report(clip.stem, probe(clip), costs))
            print(tables[-1], flush=True)
            (place / "cost.json").write_text(json.dumps([cost.result for cost in costs]))
    if arguments.output:
        head = (
            "# What a remix costs\n\n"
            f"`python -m bench.remix`, {datetime.date.today().isoformat()}, {os.cpu_count()} x {platform.machine()} "
            "cores (shared, no GPU). CPU seconds are user plus system time of all threads of the stage's own process, "
            "loading of libraries and models included.\n\n"
        )
        arguments.output.write_text(head + "\n".join(tables), encoding="utf-8")
