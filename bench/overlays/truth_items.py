"""Clips with known overlays for the benches of this folder: their frames, their true masks, their true tracks.

An item is a folder with `burned.mp4` (text burned in), `clean.mp4` (the plate), `ceiling.mp4` (the plate encoded as
`burned.mp4` was), `mask.mkv` (255 where an overlay was painted) and `truth.json`. It measures nothing.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import av
import cv2
import emoji
import numpy as np
from numpy.typing import NDArray

from recaster.media.overlays import (
    Animation,
    OverlayEmoji,
    OverlayLine,
    OverlayRole,
    OverlayTrack,
    Shadow,
    SkiaTextDrawer,
    Slab,
    Stroke,
    TextStyle,
)
from recaster.media.overlays.model import Polygon
from recaster.media.video import find_shots, probe
from recaster.media.video.model import Mask, Shot, VideoFacts

RECIPES = ("hook", "list", "captions", "mixed", "hard", "moving", "flash", "stress")
ROLES = {
    "hook": OverlayRole.HOOK,
    "list_item": OverlayRole.LIST_ITEM,
    "caption": OverlayRole.CAPTION,
    "handle": OverlayRole.HANDLE,
    "cta": OverlayRole.CALL_TO_ACTION,
}
FONTS = {
    "classic": ("tiktok-sans", 700),
    "classic-black": ("tiktok-sans", 900),
    "bold-geo": ("montserrat", 800),
    "typewriter": ("courier-prime", 700),
    "condensed": ("bebas-neue", 400),
    "serif": ("high-contrast-serif", 700),
}


@dataclass(frozen=True, slots=True)
class Item:
    """One clip."""

    folder: Path
    truth: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name

    @property
    def recipe(self) -> str:
        """Which kind of overlays the clip has."""
        return str(self.truth["recipe"])

    @property
    def burned(self) -> Path:
        """The clip under test."""
        return self.folder / "burned.mp4"

    @property
    def clean(self) -> Path:
        """The clip without overlays, nearly lossless."""
        return self.folder / "clean.mp4"

    @property
    def ceiling(self) -> Path:
        """The clean clip, encoded as the burned one was: nobody can come closer."""
        return self.folder / "ceiling.mp4"

    def facts(self) -> VideoFacts:
        """Facts of the burned clip."""
        return probe(self.burned)

    def shots(self) -> tuple[Shot, ...]:
        """Shots of the burned clip."""
        return find_shots(self.burned, self.facts())

    def masks(self) -> Iterator[Mask]:
        """The true masks, frame by frame."""
        with av.open(str(self.folder / "mask.mkv")) as container:
            for frame in container.decode(video=0):
                yield np.asarray(frame.to_ndarray(format="gray"), np.uint8)

    def tracks(self) -> tuple[OverlayTrack, ...]:
        """The true overlays as the reader would describe them at its best."""
        count = self.truth["video"]["frames"]  # on a short clip some overlays reach beyond its end
        found = [self._track(entry) for entry in self.truth["tracks"] if entry["start_frame"] < count]
        wanted: dict[int, list[int]] = {}
        for number, track in enumerate(found):
            wanted.setdefault(track.reference_frame, []).append(number)
        for index, mask in enumerate(self.masks()):
            for number in wanted.get(index, []):
                found[number] = _with_true_box(found[number], mask)
        found.sort(key=lambda track: (track.first_frame, track.box[1]))
        return tuple(found)

    def _track(self, entry: dict[str, Any]) -> OverlayTrack:
        style = _style(entry["style"])
        first, last = entry["start_frame"], min(entry["end_frame"], self.truth["video"]["frames"]) - 1
        spelled = entry["animation"]
        kinds = {"none": "none", "fade": "fade", "pop": "pop"}
        enter = Animation(kinds[spelled["in"]], spelled["in_frames"])  # type: ignore[arg-type]
        if entry.get("reveal_frames_per_char"):
            enter = Animation("typed", entry["reveal_frames_per_char"] * sum(map(len, entry["text"].split("\n"))))
        lines = _lines(entry)
        points = np.array([p for line in lines for p in (line.polygon, *(e.polygon for e in line.emoji))]).reshape(
            -1, 2
        )
        pad_x = style.slab.padding_x if style.slab else 0.0
        pad_y = style.slab.padding_y if style.slab else 0.0
        reach_x = max(pad_x, style.stroke.width if style.stroke else 0.0)
        reach_y = max(pad_y, style.stroke.width if style.stroke else 0.0)
        left, top = points.min(axis=0)
        right, bottom = points.max(axis=0)
        return OverlayTrack(
            id=entry["id"],
            lines=lines,
            first_frame=first,
            last_frame=last,
            reference_frame=min(last, first + enter.frames),
            box=(left - reach_x, top - reach_y, right + reach_x, bottom + reach_y),
            offsets=self._offsets(entry["motion"], first, last),
            style=style,
            entry=enter,
            exit=Animation(kinds[spelled["out"]], spelled["out_frames"] if spelled["out"] != "none" else 0),  # type: ignore[arg-type]
            role=ROLES.get(entry["role"], OverlayRole.TEXT),
            confidence=1.0,
        )

    def _offsets(self, motion: dict[str, Any], first: int, last: int) -> tuple[tuple[float, float], ...]:
        if motion["kind"] == "static":
            return ()
        rate = self.truth["video"]["fps"]
        turns = [2 * math.pi * (f / rate / motion["period_s"] + motion["phase"]) for f in range(first, last + 1)]
        return tuple(
            (float(round(motion["ax"] * math.sin(w))), float(round(motion["ay"] * math.sin(2 * w)))) for w in turns
        )


def items(folder: Path, recipes: tuple[str, ...] = RECIPES, seeds: tuple[int, ...] = (1, 2, 3, 4, 5)) -> list[Item]:
    """All complete items of a folder, by recipe, then by seed."""
    found = []
    for recipe in recipes:
        for seed in seeds:
            truth = folder / f"{recipe}-open-{seed}" / "truth.json"
            if truth.is_file():
                found.append(Item(truth.parent, json.loads(truth.read_text())))
    return found


def command_line(description: str | None, *, tracks: Literal["true", "read"] | None = None) -> argparse.ArgumentParser:
    """The arguments that all benches of this folder take; with `tracks` as the default, also whose lines are used."""
    arguments = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--truth", type=Path, required=True)
    arguments.add_argument("--recipes", default=",".join(RECIPES))
    arguments.add_argument("--seeds", default="1,2,3,4,5")
    if tracks is not None:
        arguments.add_argument("--tracks", choices=("true", "read"), default=tracks)
    return arguments


def chosen_items(given: argparse.Namespace) -> list[Item]:
    """The items that `command_line`'s arguments name."""
    return items(given.truth, tuple(given.recipes.split(",")), tuple(int(seed) for seed in given.seeds.split(",")))


def _with_true_box(track: OverlayTrack, mask: Mask) -> OverlayTrack:
    """The track with its box, and its slab's padding, as they are painted: the parts of the mask that touch its lines."""
    seed = np.zeros_like(mask)
    dx, dy = track.offset_at(track.reference_frame)
    for line in track.lines:
        for polygon in (line.polygon, *(one.polygon for one in line.emoji)):
            cv2.fillConvexPoly(seed, np.round(np.array(polygon) + np.array([dx, dy])).astype(np.int32), 255)
    _, labels = cv2.connectedComponents(cv2.bitwise_or(mask, seed))
    own = np.isin(labels, np.setdiff1d(np.unique(labels[seed > 0]), [0])) & (mask > 0)
    if not own.any() or track.style.active_slab is not None:  # the box of the word being said is not the block's
        return track
    ys, xs = np.nonzero(own)
    box = (float(xs.min() - dx), float(ys.min() - dy), float(xs.max() + 1 - dx), float(ys.max() + 1 - dy))
    style = track.style
    if style.slab is not None and style.rotation == 0:
        size = mask.shape[::-1]
        drawn = SkiaTextDrawer().layout(track.text, replace(style, slab=None), (0, 0, *size), size, max_lines=9)
        rows = len(track.lines) - 1
        wide = max(line.width for line in drawn.lines) / drawn.scale
        high = (drawn.line_top + drawn.line_bottom) / drawn.scale + rows * style.line_spacing * style.size
        padding_x, padding_y = (box[2] - box[0] - wide) / 2, (box[3] - box[1] - high) / 2
        style = replace(style, slab=replace(style.slab, padding_x=max(1.0, padding_x), padding_y=max(1.0, padding_y)))
    return replace(track, box=box, style=style)


def _style(entry: dict[str, Any]) -> TextStyle:
    size = float(entry["size_px"])
    font, weight = FONTS.get(entry["font"], ("tiktok-sans", 700))
    kind = entry["kind"]
    slab = None
    if kind == "box":
        red, green, blue, alpha = entry["box_fill"]
        pad = entry.get("pad", round(size * 0.32))
        # The generator's slab is a line (1.28 em) high plus 0.45 pad at each side; letters take 1 em of it.
        slab = Slab((red, green, blue), alpha / 255, float(entry["radius"]), pad + 1.0, 0.45 * pad + 0.16 * size, True)
    return TextStyle(
        font=font,
        weight=weight,
        size=size,
        fill=tuple(entry["fill"][:3]),
        opacity=float(entry["alpha"]),
        stroke=Stroke(tuple(entry["stroke_fill"][:3]), float(entry["stroke_px"])) if entry.get("stroke_px") else None,
        shadow=Shadow((0, 0, 0), 150 / 255, float(int(size) // 16), float(int(size) // 14), 0.0)
        if kind == "shadow"
        else None,
        slab=slab,
        align=entry["align"],
        line_spacing=1.28,
        rotation=float(-entry["rotation_deg"]),
        active_fill=tuple(entry["hi_fill"][:3]) if entry.get("hi_fill") else None,
        active_slab=tuple(entry["hi_box"][:3]) if entry.get("hi_box") else None,
    )


def _lines(entry: dict[str, Any]) -> tuple[OverlayLine, ...]:
    """The lines with their emoji, which the truth lists beside them. A line of emoji only stands in its emoji's place."""
    worded = iter(entry["lines"])
    turn = math.radians(-entry["style"]["rotation_deg"])
    taken = 0
    found = []
    for text in entry["text"].split("\n"):
        count = len(emoji.emoji_list(text))
        own = tuple(
            OverlayEmoji(one["char"], _around(np.array(one["polygon"]), turn), 1.0)
            for one in entry["emoji"][taken : taken + count]
        )
        taken += count
        if emoji.replace_emoji(text, "").strip():
            place = np.array(next(worded)["polygon"])
        elif own:
            place = np.array([one.polygon for one in own]).reshape(-1, 2)
        else:
            continue
        found.append(OverlayLine(text, _around(place, turn), 1.0, own))
    return tuple(found)


def _around(points: NDArray[np.float64], turn: float) -> Polygon:
    """The smallest rectangle, turned by `turn` radians, around points."""
    c, s = math.cos(turn), math.sin(turn)
    axes = np.array([[c, s], [-s, c]])
    u = points @ axes.T
    low, high = u.min(axis=0), u.max(axis=0)
    corners = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]]) @ axes
    a, b, d, e = ((float(x), float(y)) for x, y in corners)
    return (a, b, d, e)
