"""Measures what the reader makes of scripts that its network does not know, with the Tesseract that is installed.

    python bench/overlays/scripts.py [--korean-font FILE]

Lines are drawn over a moving texture, three to a clip, and read as any clip is; the row of a script tells the words read
right and the lines that were found at all. Without Tesseract the lines are found and none is read. Korean has no font
among Recaster's own and is drawn with the one that is given, or left out.
"""

from __future__ import annotations

import argparse
import tempfile
from difflib import SequenceMatcher
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings
from recaster.media.overlays import RapidTextReader, ReaderSettings, TextModels, find_tesseract
from recaster.media.overlays.fonts import FONT_FOLDER, fallback_font_files
from recaster.media.video import Image, Shot, probe

LINES = {
    "Cyrillic": ["утренний кофе дома", "никто об этом не знал", "сохрани на потом", "три простых шага", "подпишись на меня", "почему так дорого"],
    "Arabic": ["قهوة الصباح في البيت", "احفظ هذا للمستقبل", "ثلاث خطوات سهلة", "لماذا هو غالي جدا", "لا أحد يعرف ذلك", "شاركه مع صديق"],
    "Devanagari": ["सुबह की कॉफी घर पर", "बाद के लिए सहेजें", "तीन आसान कदम", "यह इतना महंगा क्यों", "किसी को पता नहीं था", "दोस्तों को भेजो"],
    "Thai": ["กาแฟยามเช้าที่บ้าน", "บันทึกไว้ดูทีหลัง", "สามขั้นตอนง่ายๆ", "ทำไมแพงขนาดนี้", "ไม่มีใครรู้เรื่องนี้", "แชร์ให้เพื่อน"],
    "Korean": ["집에서 마시는 아침 커피", "나중을 위해 저장하세요", "쉬운 세 단계", "왜 이렇게 비싼가요", "아무도 몰랐어요", "친구에게 보내세요"],
}  # fmt: skip
SIZE = (720, 480)
FRAMES = 30


def font_of(script: str, korean: Path | None) -> ImageFont.FreeTypeFont | None:
    """A bold face of 40 pixels for a script."""
    if script == "Korean":
        return ImageFont.truetype(str(korean), 40) if korean else None
    names = {"Arabic": "Arabic", "Devanagari": "Devanagari", "Thai": "Thai"}
    if script in names:
        file = next(path for path in fallback_font_files() if names[script] in path.name)
        face = ImageFont.truetype(str(file), 40)
        face.set_variation_by_axes([100, 700] if b"Width" in face.get_variation_axes()[0]["name"] else [700, 100])
        return face
    return ImageFont.truetype(str(next(FONT_FOLDER.glob("*iktok*700*"))), 40)


def clip(path: Path, lines: list[str], face: ImageFont.FreeTypeFont, boxed: bool) -> Path:
    """A clip of a moving texture with lines that stand from its sixth frame on."""
    width, height = SIZE
    noise = cv2.GaussianBlur(np.random.default_rng(3).uniform(0, 255, (height + 80, width + 80, 3)), (0, 0), 9)
    scene = np.clip((noise - noise.mean()) * 5 + 120, 0, 255).astype(np.uint8)
    layer = Pillow.new("RGBA", SIZE, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    for row, line in enumerate(lines):
        centre = (width // 2, 90 + 150 * row)
        if boxed:
            left, top, right, bottom = draw.textbbox(centre, line, font=face, anchor="mm")
            draw.rounded_rectangle((left - 14, top - 10, right + 14, bottom + 10), 12, fill=(0, 0, 0, 255))
        draw.text(
            centre, line, font=face, anchor="mm", fill="white", stroke_width=0 if boxed else 3, stroke_fill="black"
        )
    pixels = np.asarray(layer, np.float32)
    alpha, color = pixels[..., 3:] / 255, pixels[..., 2::-1]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30), options={"crf": "20", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(FRAMES):
            x, y = round(20 + 18 * np.sin(index / 4)), round(20 + 10 * np.cos(index / 5))
            picture = scene[y : y + height, x : x + width].astype(np.float32)
            if index >= 5:
                picture = picture * (1 - alpha) + color * alpha
            shown: Image = np.clip(picture, 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(shown), format="bgr24")))
        container.mux(stream.encode(None))
    return path


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--korean-font", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    store = ModelStore(Settings().folder("models"))
    scripts = find_tesseract()
    print("Languages:", ", ".join(scripts.languages) if scripts else "no Tesseract")
    reader = RapidTextReader(
        TextModels(store.path("text_detector"), store.path("text_recogniser")), ReaderSettings(threads=1), scripts
    )
    print("| script | lines | found | words | words right | letters right | stated confidence |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for script, lines in LINES.items():
        face = font_of(script, options.korean_font)
        if face is not None:
            print(row(script, lines, face, reader), flush=True)


def row(script: str, lines: list[str], face: ImageFont.FreeTypeFont, reader: RapidTextReader) -> str:
    """Read all lines of a script, set with an outline and on a box."""
    found = right = words = 0
    alike, confidences = [], []
    for start in range(0, len(lines), 3):
        part = lines[start : start + 3]
        for boxed in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                path = clip(Path(folder) / "clip.mp4", part, face, boxed)
                tracks = reader.read_clip(path, probe(path), (Shot(0, FRAMES - 1),))
            seen = [(line.text, line.polygon, line.confidence) for track in tracks for line in track.lines]
            for number, wanted in enumerate(part):
                words += len(wanted.split())
                here = [one for one in seen if abs(float(np.mean([y for _, y in one[1]])) - 90 - 150 * number) < 60]
                if not here:
                    alike.append(0.0)
                    continue
                found += 1
                text = " ".join(one[0] for one in here)
                confidences += [one[2] for one in here if one[0]]
                matcher = SequenceMatcher(None, wanted.split(), text.split(), autojunk=False)
                right += sum(block.size for block in matcher.get_matching_blocks())
                alike.append(SequenceMatcher(None, wanted, text, autojunk=False).ratio())
    stated = f"{np.mean(confidences):.2f}" if confidences else "–"
    return (
        f"| {script} | {2 * len(lines)} | {found} | {words} | {right / words:.2f} | {np.mean(alike):.2f} | {stated} |"
    )


if __name__ == "__main__":
    main()
