#!/usr/bin/env python3
"""Builds the font files in `src/recaster/media/overlays/fonts/` and their manifest from pinned npm packages.

It is run by hand when a pin changes; neither the product nor the tests need it. It changes no glyph: it merges the
subsets of one weight into one file, drops the second (SVG) copy of the emoji pictures, and packs the emoji font.

    pip install fonttools==4.68.0 brotli==1.2.1
    python tools/build_fonts.py            # build and write
    python tools/build_fonts.py --check    # build again and compare with the files that are there
"""

from __future__ import annotations

import argparse
import hashlib
import lzma
import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fontTools.merge import Merger, Options
from fontTools.ttLib import TTFont

TARGET = Path(__file__).resolve().parent.parent / "src" / "recaster" / "media" / "overlays" / "fonts"
LATIN = ("latin", "latin-ext", "vietnamese", "cyrillic", "cyrillic-ext")


@dataclass(frozen=True)
class Source:
    """One npm package with the SHA-256 of its archive."""

    package: str
    version: str
    sha256: str
    key: str
    title: str
    weights: tuple[int, ...]
    subsets: tuple[str, ...]


SOURCES = (
    Source(
        "@fontsource/tiktok-sans",
        "5.3.0",
        "1557932c43e3ba20e0e238eaa579735e0035f5ef264c358124c8beff3923dca7",
        "tiktok-sans",
        "TikTok Sans",
        (400, 700, 900),
        (*LATIN, "greek"),
    ),
    Source(
        "@fontsource/montserrat",
        "5.3.0",
        "919dce59bbe45ace8a517c1e9de5076282bfeb97e8aa8f5f2dc989451c14c7cb",
        "montserrat",
        "Montserrat",
        (700, 800),
        LATIN,
    ),
    Source(
        "@fontsource/courier-prime",
        "5.3.0",
        "fd204a077d81426e1425baed6d471ad78a8eccca931091e661637bb10b5f2724",
        "courier-prime",
        "Courier Prime",
        (700,),
        ("latin", "latin-ext"),
    ),
    Source(
        "@fontsource/lora",
        "5.3.0",
        "3f2e66b0934b8652bb1a37645a9fc3e77e83b5841a09e97174e7bb11e11063c9",
        "lora",
        "Lora",
        (700,),
        LATIN,
    ),
    Source(
        "@fontsource/caveat",
        "5.3.0",
        "ebf746fc0667b9d10fcac7c8604e2ba40a264da85a1c9b48bd679c0af3221293",
        "caveat",
        "Caveat",
        (700,),
        ("latin", "latin-ext", "cyrillic", "cyrillic-ext"),
    ),
    Source(
        "@fontsource/anton",
        "5.3.0",
        "796d0b1b7a503636458c0869ef9993659411c86443a4e4e7555ead4b29293db4",
        "anton",
        "Anton",
        (400,),
        ("latin", "latin-ext", "vietnamese"),
    ),
    Source(
        "@fontsource/pacifico",
        "5.3.0",
        "397f4f0a8a4c44e929cafa4cfede7240f7ac81a922f6779d3fefe2192c67d619",
        "pacifico",
        "Pacifico",
        (400,),
        LATIN,
    ),
    Source(
        "@fontsource/noto-color-emoji",
        "5.3.2",
        "1bd31f2fb1616c9da2892e385ff9a95a446cecbc045e1354e6b8a64389f77b96",
        "noto-color-emoji",
        "Noto Color Emoji",
        (400,),
        ("emoji",),
    ),
)


def fetch(source: Source, folder: Path) -> Path:
    """Fetch and unpack one package with the ordinary npm client; return its folder."""
    folder.mkdir(parents=True)
    spec = f"{source.package}@{source.version}"
    done = subprocess.run(["npm", "pack", "--silent", spec], cwd=folder, check=True, capture_output=True, text=True)
    archive = folder / done.stdout.split()[-1]
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != source.sha256:
        raise SystemExit(f"{spec}: the archive has SHA-256 {found}, pinned is {source.sha256}")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / "package"


def text_font(source: Source, weight: int, package: Path, scratch: Path) -> bytes:
    """Merge the subsets of one weight into one TrueType file."""
    parts = []
    for subset in source.subsets:
        font = TTFont(package / "files" / f"{source.key}-{subset}-{weight}-normal.woff2", recalcTimestamp=False)
        font.flavor = None
        part = scratch / f"{source.key}-{subset}-{weight}.ttf"
        font.save(part)
        parts.append(str(part))
    merged = Merger(options=Options(drop_tables=["DSIG", "STAT", "meta"])).merge(parts)
    merged.recalcTimestamp = False
    out = scratch / "merged.ttf"
    merged.save(out)
    # The merger stamps the time of day into `head` whatever it is told: put the sources' dates back.
    dated = TTFont(out, recalcTimestamp=False)
    for date in ("created", "modified"):
        setattr(dated["head"], date, max(getattr(TTFont(part)["head"], date) for part in parts))
    dated.save(out)
    return out.read_bytes()


def emoji_font(source: Source, package: Path, scratch: Path) -> bytes:
    """Unpack the COLRv1 font, drop its SVG table, pack it with LZMA: 5.0 MB become 2.3 MB."""
    font = TTFont(package / "files" / f"{source.key}-emoji-400-normal.woff2", recalcTimestamp=False)
    del font["SVG "]
    font.flavor = None
    out = scratch / "emoji.ttf"
    font.save(out)
    return lzma.compress(out.read_bytes(), preset=9)


def main() -> None:
    """Build all files; write them or compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the files that are there, write nothing")
    arguments = parser.parse_args()
    files: dict[str, bytes] = {}
    manifest = [
        "# Made by tools/build_fonts.py: every font file that ships, where it comes from, and under what licence.\n"
    ]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        for source in SOURCES:
            package = fetch(source, scratch / source.key)
            licence = f"{source.key}.OFL.txt"
            files[licence] = (package / "LICENSE").read_bytes()
            for weight in source.weights:
                emoji = source.key == "noto-color-emoji"
                name = f"{source.key}-{weight}.ttf" + (".xz" if emoji else "")
                data = emoji_font(source, package, scratch) if emoji else text_font(source, weight, package, scratch)
                files[name] = data
                manifest.append(
                    f'\n[[font]]\nkey = "{source.key}"\ntitle = "{source.title}"\nweight = {weight}\nfile = "{name}"\n'
                    f'sha256 = "{hashlib.sha256(data).hexdigest()}"\nlicence = "OFL-1.1"\nlicence_file = "{licence}"\n'
                    f'origin = "npm {source.package}@{source.version}"\ncommercial_use = true\n'
                )
    files["fonts.toml"] = "".join(manifest).encode()
    different = [n for n, d in files.items() if not (TARGET / n).is_file() or (TARGET / n).read_bytes() != d]
    if arguments.check:
        print("\n".join(f"differs: {n}" for n in different) or f"{len(files)} files are as built")
        sys.exit(1 if different else 0)
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (TARGET / name).write_bytes(data)
    print(f"{len(files)} files, {sum(map(len, files.values())) / 1e6:.2f} MB")


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # the merger walks over sets: only a fixed seed gives the same bytes
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"})
    main()
