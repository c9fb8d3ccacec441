"""Twenty looks that the truth generator does not make: burned into a moving picture, read, drawn again, side by side.

    python bench/overlays/looks.py --picture PICTURE --output looks.jpg

The picture (of a synthetic person) is panned for 24 frames; four looks at a time are burned in with the product's drawer, or
with Pillow in a font that does not ship (`--font FILE`, any number), and encoded at CRF 23. The reader then describes them
and its words are drawn over the bare frame. Printed is one line per look with the similarity of the two crops.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from erasing import read_tracks_of
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from recaster.media.overlays import (
    DoesNotFit,
    NewText,
    OverlayTrack,
    Shadow,
    SkiaTextDrawer,
    Slab,
    Stroke,
    TextStyle,
    lay_out_in_place,
)
from recaster.media.quality import ssim
from recaster.media.video import find_shots, probe
from recaster.media.video.model import Image

WIDTH, HEIGHT, FRAMES = 720, 1280, 24
PLAIN = TextStyle("tiktok-sans", 700, 44.0, (255, 255, 255), 1.0, None, None, None, "center", 1.25, 0.0)
SOFT = Shadow((0, 0, 0), 0.6, 0.0, 3.0, 6.0)


def _slab(color: tuple[int, int, int], opacity: float = 1.0, radius: float = 12.0, per_line: bool = True) -> Slab:
    return Slab(color, opacity, radius, 16.0, 8.0, per_line)


LOOKS: tuple[tuple[str, TextStyle], ...] = (
    ("plain and white", PLAIN),
    ("a soft shadow under it", replace(PLAIN, shadow=SOFT)),
    ("hard shadow, heavy", replace(PLAIN, weight=900, shadow=Shadow((0, 0, 0), 0.8, 4.0, 4.0, 0.0))),
    ("outlined in black", replace(PLAIN, weight=900, stroke=Stroke((0, 0, 0), 5.0))),
    ("white rim on pink", replace(PLAIN, weight=900, fill=(236, 64, 122), stroke=Stroke((255, 255, 255), 5.0))),
    (
        "yellow and thin rim",
        replace(PLAIN, font="montserrat", weight=800, fill=(255, 222, 40), stroke=Stroke((20, 20, 20), 2.0)),
    ),
    ("black on white\nevery line its own", replace(PLAIN, fill=(0, 0, 0), slab=_slab((255, 255, 255)))),
    ("one box behind\nboth of the lines", replace(PLAIN, slab=_slab((18, 18, 18), 1.0, 20.0, per_line=False))),
    ("blue slab, round", replace(PLAIN, slab=_slab((0, 92, 230), 1.0, 30.0))),
    ("square red slab", replace(PLAIN, font="anton", weight=400, slab=_slab((214, 24, 44), 1.0, 0.0))),
    ("see-through slab", replace(PLAIN, slab=_slab((0, 0, 0), 0.5))),
    ("green on cream", replace(PLAIN, font="book-serif", fill=(20, 92, 60), slab=_slab((250, 240, 220)))),
    ("typed on a machine", replace(PLAIN, font="courier-prime", size=40.0)),
    (
        "typed, on paper",
        replace(PLAIN, font="courier-prime", size=38.0, fill=(30, 30, 30), slab=_slab((245, 245, 245), 1.0, 4.0)),
    ),
    ("written by hand", replace(PLAIN, font="caveat", size=62.0, stroke=Stroke((0, 0, 0), 3.0))),
    (
        "a glow of neon",
        replace(
            PLAIN, font="pacifico", weight=400, fill=(255, 240, 250), shadow=Shadow((255, 40, 160), 0.9, 0.0, 0.0, 14.0)
        ),
    ),
    ("serif with shadow", replace(PLAIN, font="book-serif", size=46.0, shadow=Shadow((0, 0, 0), 0.7, 2.0, 3.0, 2.0))),
    ("condensed and loud", replace(PLAIN, font="anton", weight=400, size=62.0, stroke=Stroke((0, 0, 0), 4.0))),
    ("turned a little", replace(PLAIN, font="montserrat", weight=800, rotation=-7.0, slab=_slab((255, 92, 0)))),
    ("letters far apart", replace(PLAIN, font="montserrat", weight=700, size=38.0, letter_spacing=0.12)),
)


def background(picture: Image, index: int) -> Image:
    """The picture, cropped to the frame, moving by a few pixels per frame."""
    scale = 1.15 * max(WIDTH / picture.shape[1], HEIGHT / picture.shape[0])
    large = cv2.resize(
        picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    )
    x = round((large.shape[1] - WIDTH) * index / FRAMES)
    y = round((large.shape[0] - HEIGHT) * (0.5 + 0.5 * np.sin(index / 5)))
    return np.ascontiguousarray(large[y : y + HEIGHT, x : x + WIDTH])


def pillow_text(image: Image, text: str, font: Path, centre: float) -> Image:
    """White words with a black outline, drawn with another engine and another font."""
    canvas = Pillow.fromarray(image[..., ::-1].copy())
    face = ImageFont.truetype(str(font), 48)
    ImageDraw.Draw(canvas).text(
        (WIDTH / 2, centre), text, font=face, fill=(255, 255, 255), stroke_width=3, stroke_fill=(0, 0, 0), anchor="mm"
    )
    return np.ascontiguousarray(np.asarray(canvas)[..., ::-1])


def encode(frames: list[Image], target: Path) -> None:
    """H.264 as an editor exports it."""
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30), options={"crf": "23", "preset": "medium"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.colorspace = 1  # BT.709, and said so
        for frame in frames:
            whole = av.VideoFrame.from_ndarray(frame, format="bgr24")
            container.mux(stream.encode(whole.reformat(format="yuv420p", dst_colorspace="ITU709")))
        container.mux(stream.encode())


def row(
    text: str, burned: Image, bare: Image, centre: int, track: OverlayTrack | None, clip: Path
) -> NDArray[np.uint8]:
    """The burned-in look and the same words in the described look, side by side."""
    drawn = bare
    if track is not None:
        drawer = SkiaTextDrawer()
        try:
            layout = lay_out_in_place(probe(clip), drawer, {track.id: NewText(track, track.text, track.style)})[
                track.id
            ]
            drawn = drawer.draw(bare, layout)
        except DoesNotFit:
            pass
    part = np.s_[centre - 85 : centre + 85]
    one, other = np.ascontiguousarray(burned[part]), np.ascontiguousarray(drawn[part])
    found = (
        "not found"
        if track is None
        else f"SSIM {ssim(other, one):.3f} {track.style.font} {track.style.weight} {track.style.size:.0f} px"
    )
    print(f"{text!r}: {found}", flush=True)
    return np.hstack([one, np.full((len(one), 8, 3), 255, np.uint8), other])


def main() -> None:
    """Run the command."""
    cv2.setNumThreads(1)
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--picture", type=Path, required=True)
    arguments.add_argument("--output", type=Path, required=True)
    arguments.add_argument("--font", type=Path, action="append", default=[], help="font file that does not ship")
    given = arguments.parse_args()
    picture = cv2.imread(str(given.picture))
    wanted: list[tuple[str, TextStyle | Path]] = [*LOOKS, *((f"another {font.stem}", font) for font in given.font)]
    drawer = SkiaTextDrawer()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, len(wanted), 4):
            group = wanted[start : start + 4]
            centres = [200 + 290 * place for place in range(len(group))]
            bare = [background(picture, index) for index in range(FRAMES)]
            frames = [frame.copy() for frame in bare]
            for (text, look), centre in zip(group, centres, strict=True):
                if isinstance(look, Path):
                    frames = [pillow_text(frame, text, look, centre) for frame in frames]
                else:
                    box = (40.0, centre - 60.0, WIDTH - 40.0, centre + 60.0)
                    laid = drawer.layout(text, look, box, (WIDTH, HEIGHT), max_lines=2)
                    frames = [drawer.draw(frame, laid) for frame in frames]
            clip = Path(folder) / f"{start}.mp4"
            encode(frames, clip)
            facts = probe(clip)
            tracks = read_tracks_of(clip, facts, find_shots(clip, facts))
            for (text, _), centre in zip(group, centres, strict=True):
                near = [track for track in tracks if abs((track.box[1] + track.box[3]) / 2 - centre) < 60]
                best = max(near, key=lambda track: len(track.text), default=None)
                middle = FRAMES // 2
                rows.append(row(text, frames[middle], bare[middle], centre, best, clip))
    half = (len(rows) + 1) // 2
    columns = [np.vstack(rows[:half]), np.vstack([*rows[half:], *[np.zeros_like(rows[0])] * (2 * half - len(rows))])]
    sheet = np.hstack([columns[0], np.full((columns[0].shape[0], 24, 3), 255, np.uint8), columns[1]])
    cv2.imwrite(
        str(given.output),
        cv2.resize(sheet, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA),
        [cv2.IMWRITE_JPEG_QUALITY, 85],
    )


if __name__ == "__main__":
    main()
