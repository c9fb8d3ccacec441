"""Counts the words of erased overlays that can still be read at their old place, clip by clip.

    python bench/overlays/residual.py --truth FOLDER [--tracks true|read] [--recipes hook,list] [--seeds 1,2] [--every 10]

A word counts as left where the product's reader, run on an erased frame, finds it in a line whose middle lies within the
place of a line that had it. Words of fewer than three letters are not asked, as they are found in noise.
"""

from __future__ import annotations

import cv2
import numpy as np
from erasing import read_tracks
from truth_items import Item, chosen_items, command_line

from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings
from recaster.media.overlays import FillNetwork, OverlayTrack, RapidTextReader, TemporalEraser, TextModels
from recaster.media.video import read_frames


def words_of(text: str) -> set[str]:
    """The words of a text, without signs, in small letters."""
    spelled = "".join(c if c.isalnum() else " " for c in text.casefold())
    return {word for word in spelled.split() if len(word) >= 3}


def count(item: Item, tracks: tuple[OverlayTrack, ...], reader: RapidTextReader, every: int) -> tuple[int, int]:
    """Words left and words that were there, over every so many frames of a clip."""
    eraser = TemporalEraser(fill=FillNetwork(ModelStore(Settings().folder("models")).path("overlay_fill")).fill)
    eraser.prepare(item.burned, item.facts(), item.shots(), tracks)
    true = item.tracks()
    left, there = 0, 0
    for frame in read_frames(item.burned):
        restored = eraser.erase(frame)
        if frame.index % every != every // 2:
            continue
        found = [(np.mean(line.polygon, axis=0), words_of(line.text)) for line in reader.read_image(restored)]
        for track in true:
            if not track.first_frame <= frame.index <= track.last_frame:
                continue
            for line in track.lines:
                wanted = words_of(line.text)
                there += len(wanted)
                place = np.array(track.polygon_at(line, frame.index), np.float32)
                reach = 0.5 * track.style.size
                for middle, words in found:
                    if cv2.pointPolygonTest(place, (float(middle[0]), float(middle[1])), True) >= -reach:
                        left += len(wanted & words)
    return left, there


def main() -> None:
    """Run the command."""
    cv2.setNumThreads(1)
    arguments = command_line(__doc__, tracks="read")
    arguments.add_argument("--every", type=int, default=10)
    given = arguments.parse_args()
    models = ModelStore(Settings().folder("models")).paths()
    reader = RapidTextReader(TextModels(models["text_detector"], models["text_recogniser"]))
    print("| clip | words left | words there |\n| --- | --- | --- |")
    for item in chosen_items(given):
        tracks = item.tracks() if given.tracks == "true" else read_tracks(item)
        left, there = count(item, tracks, reader, given.every)
        print(f"| {item.name} | {left} | {there} |", flush=True)


if __name__ == "__main__":
    main()
