"""Measures the reading of burned-in text against known truth and prints one row per recipe.

    python bench/overlays/reading.py --items FOLDER --tool make_truth.py [--only GLOB] [--details]
        [--least-frames N] [--as-written] [--predictions FOLDER]

`FOLDER` holds items of the overlay truth generator, one folder per item with `burned.mp4` and `truth.json`; `--tool` is
the generator itself, whose `score_text` counts. Cost is CPU time of this process per frame, opening of models left out.

Clips shorter than a recipe's plan get tracks whose written end lies after the last frame; what is not on the screen
cannot be read, so ends are cut at the end of the clip before scoring, tracks that would begin after it are left out, and
typed text is cut to the letters that were typed by then.
`--as-written` scores against the untouched truth instead. Some of those tracks are then on the screen for one to three
frames, in the first faint step of their fade; `--least-frames 4` leaves such glimpses out of truth and prediction.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np

from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings
from recaster.media.overlays import RapidTextReader, ReaderSettings, TextModels
from recaster.media.overlays.networks import LineDetector
from recaster.media.overlays.prediction import prediction
from recaster.media.video import find_shots, probe, read_times

COLUMNS = ("items", "lines", "words", "strict F1", "temporal IoU", "box IoU", "extra/clip", "roles", "CPU ms/frame")


def load_tool(path: Path) -> ModuleType:
    """Import the truth generator from its file."""
    spec = importlib.util.spec_from_file_location("overlay_truth_tool", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def leave_out_glimpses(
    truth: dict[str, Any], document: dict[str, Any], least: int, tool: ModuleType
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Truth and prediction without what is on the screen for fewer than `least` frames."""
    brief = [one for one in truth["tracks"] if one["end_frame"] - one["start_frame"] < least]
    glimpses = [(line, one) for one in brief for line in one["lines"]]

    def is_glimpse(entry: dict[str, Any]) -> bool:
        return any(
            tool.ned(line["text"], entry["text"]) > 0.5
            and min(one["end_s"], entry["end_s"]) > max(one["start_s"], entry["start_s"])
            for line, one in glimpses
        )

    kept = [entry for entry in document["tracks"] if not is_glimpse(entry)]
    return {**truth, "tracks": [one for one in truth["tracks"] if one not in brief]}, {"tracks": kept}


def cut(truth: dict[str, Any]) -> dict[str, Any]:
    """The truth without what lies after the clip's last frame, and without letters that were never typed."""
    truth = copy.deepcopy(truth)
    frames, rate = truth["video"]["frames"], truth["video"]["fps"]
    truth["tracks"] = [track for track in truth["tracks"] if track["start_frame"] < frames]
    for track in truth["tracks"]:
        track["end_frame"] = min(track["end_frame"], frames)
        track["end_s"] = round(track["end_frame"] / rate, 4)
        if track.get("reveal_frames_per_char"):
            shown = (track["end_frame"] - 1 - track["start_frame"]) // track["reveal_frames_per_char"] + 1
            track["lines"] = [line for line in track["lines"] if (shown := cut_typed(line, shown)) > -1]
    return truth


def cut_typed(line: dict[str, Any], shown: int) -> int:
    """Cut a typed line to its first `shown` letters, its place too, and tell how many are left for the next; −1 for none."""
    text = line["text"]
    if shown < 1:
        return -1
    if shown < len(text):
        words = line["words"]
        (left, top), (right, bottom) = line["polygon"][0], line["polygon"][2]
        line["text"] = text[:shown].rstrip()
        number = len(line["text"].split()) - 1
        begin, end = words[number]["polygon"][0][0], words[number]["polygon"][2][0]
        part = len(line["text"].split()[-1]) / len(words[number]["text"])
        right = begin + part * (end - begin)
        line["polygon"] = [[left, top], [right, top], [right, bottom], [left, bottom]]
    return max(0, shown - len(text))


ROLES = {"sticker": "text", "cta": "call_to_action", "word": "caption", "typed": "hook", "blink": "text"}


def role_share(tool: ModuleType, truth: dict[str, Any], tracks: list[dict[str, Any]]) -> tuple[int, int]:
    """How many of the truth's lines that were found have the role that the generator gave them, and how many were found."""
    right = found = 0
    for track in truth["tracks"]:
        for line in track["lines"]:
            near = [
                one
                for one in tracks
                if tool.ned(line["text"], one["text"]) > 0.7
                and min(track["end_s"], one["end_s"]) > max(track["start_s"], one["start_s"])
            ]
            if near:
                found += 1
                right += any(one["role"] == ROLES.get(track["role"], track["role"]) for one in near)
    return right, found


def measure(item: Path, tool: ModuleType, reader: RapidTextReader, options: argparse.Namespace) -> dict[str, Any]:
    """Read one item and score it."""
    clip = item / "burned.mp4"
    facts = probe(clip)
    shots = find_shots(clip, facts)
    begin = time.process_time()
    tracks = reader.read_clip(clip, facts, shots)
    cost = (time.process_time() - begin) * 1000 / facts.frame_count
    document = prediction(tracks, read_times(clip))
    if options.predictions:
        options.predictions.mkdir(parents=True, exist_ok=True)
        (options.predictions / f"{item.name}.json").write_text(json.dumps(document, ensure_ascii=False, indent=1))
    truth = json.loads((item / "truth.json").read_text())
    truth = truth if options.as_written else cut(truth)
    if options.least_frames:
        truth, document = leave_out_glimpses(truth, document, options.least_frames, tool)
    score = tool.score_text(truth, document)
    score["cost"] = cost
    score["right_roles"], score["found_roles"] = role_share(tool, truth, document["tracks"])
    if options.details:
        show(item.name, truth, document, score, tool)
    return score


def show(name: str, truth: dict[str, Any], document: dict[str, Any], score: dict[str, Any], tool: ModuleType) -> None:
    """Print what was missed, what is wrong in time or words, and what is too much."""
    print(
        f"== {name}: words {score['word_accuracy']:.3f} F1 {score['f1_strict']:.3f} tIoU {score['temporal_iou_all']} "
        f"extra {score['extra_lines']} cost {score['cost']:.1f}"
    )
    rest = list(document["tracks"])
    for track in truth["tracks"]:
        for line in track["lines"]:
            near = [
                one
                for one in rest
                if tool.biou(line["polygon"], one["polygon"]) > 0.05 or track["motion"]["kind"] != "static"
            ]
            near = [one for one in near if min(track["end_s"], one["end_s"]) > max(track["start_s"], one["start_s"])]
            best = max(near, key=lambda one: tool.ned(line["text"], one["text"]), default=None)
            if best is None:
                print(f"   missed {track['start_s']:.2f}-{track['end_s']:.2f} {line['text']!r}")
                continue
            rest.remove(best)
            shared = min(track["end_s"], best["end_s"]) - max(track["start_s"], best["start_s"])
            whole = max(track["end_s"], best["end_s"]) - min(track["start_s"], best["start_s"])
            box = tool.biou(line["polygon"], best["polygon"])
            same = tool.norm(line["text"]) == tool.norm(best["text"])
            if not same or shared / whole < 0.97 or (box < 0.6 and track["motion"]["kind"] == "static"):
                rate = truth["video"]["fps"]
                print(
                    f"   {line['text']!r} read {best['text']!r} start {round((best['start_s'] - track['start_s']) * rate):+d} "
                    f"end {round((best['end_s'] - track['end_s']) * rate):+d} tIoU {shared / whole:.3f} box {box:.2f} "
                    f"{track['animation']['in']}{track['animation']['in_frames']}/{track['animation']['out']}{track['animation']['out_frames']}"
                )
    for one in rest:
        print(
            f"   extra {one['start_s']:.2f}-{one['end_s']:.2f} {one['text']!r} {[round(v) for v in tool.bbox(one['polygon'])]}"
        )


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=Path, required=True)
    parser.add_argument("--tool", type=Path, required=True)
    parser.add_argument("--only", default="*")
    parser.add_argument("--details", action="store_true")
    parser.add_argument("--as-written", action="store_true")
    parser.add_argument("--least-frames", type=int, default=0)
    parser.add_argument("--predictions", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    tool = load_tool(options.tool)
    store = ModelStore(Settings().folder("models"))
    models = TextModels(store.path("text_detector"), store.path("text_recogniser"))
    reader = RapidTextReader(models, ReaderSettings(threads=1))
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for item in sorted(path.parent for path in options.items.glob(f"{options.only}/truth.json")):
        truth = json.loads((item / "truth.json").read_text())
        rows[truth["recipe"]].append(measure(item, tool, reader, options))
        sys.stdout.flush()
    print(
        f"One look of the detector at 384x672 costs {detector_cost(models):.0f} ms CPU on this machine at this moment.\n"
    )
    print("| recipe | " + " | ".join(COLUMNS) + " |")
    print("| --- |" + " ---: |" * len(COLUMNS))
    for recipe, scores in rows.items():
        print(f"| {recipe} | {row(scores)} |")
    print(f"| all | {row([score for scores in rows.values() for score in scores])} |")


def detector_cost(models: TextModels) -> float:
    """CPU milliseconds of one look at 384x672: other work on the same cores makes it up to three times as dear."""
    detector = LineDetector(models.detector, threads=1)
    picture = np.random.default_rng(1).integers(0, 255, (672, 384, 3), np.uint8)
    begin = time.process_time()
    for _ in range(3):
        detector.detect(picture, 1.0)
    return (time.process_time() - begin) * 1000 / 3


def row(scores: list[dict[str, Any]]) -> str:
    """One row of the table: words over all words, the others as means over clips."""

    def mean(key: str) -> float:
        values = [score[key] for score in scores if score[key] is not None]
        return sum(values) / len(values) if values else float("nan")

    words = sum(score["word_accuracy"] * score["words"] for score in scores) / max(1, sum(s["words"] for s in scores))
    roles = sum(score["right_roles"] for score in scores) / max(1, sum(score["found_roles"] for score in scores))
    return (
        f"{len(scores)} | {sum(score['lines'] for score in scores)} | {words:.3f} | {mean('f1_strict'):.3f} | "
        f"{mean('temporal_iou_all'):.3f} | {mean('box_iou_matched'):.2f} | {mean('extra_lines'):.2f} | {roles:.2f} | "
        f"{mean('cost'):.1f}"
    )


if __name__ == "__main__":
    main()
