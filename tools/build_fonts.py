#!/usr/bin/env python3
"""Builds the font files in `src/recaster/media/overlays/fonts/` and their manifest from pinned npm packages.

It is run by hand when a pin changes; neither the product nor the tests need it. It changes no glyph: it merges the
subsets of one weight into one file, renames what bears a name that its licence reserves for the unchanged font, drops
the second (SVG) copy of the emoji pictures, and packs the emoji font.

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
    reserved_name: str = ""
    """A name that the licence reserves for the unchanged font: what is built goes by `title`."""

    @property
    def stem(self) -> str:
        """How the package's files begin."""
        return self.package.rpartition("/")[2]


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
        "book-serif",
        "Recaster Book Serif",
        (700,),
        LATIN,
        reserved_name="Lora",
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
        "@fontsource/inter",
        "5.3.0",
        "02034af8d41dcc67ac8eab88f642e129bb8a2e8922abf30229c32725f54d8fd6",
        "inter",
        "Inter",
        (700,),
        (*LATIN, "greek"),
    ),
    Source(
        "@fontsource/poppins",
        "5.3.0",
        "f4779bb12acaaa07dc7dd8da82ab0f61515fea2f30664535f7a249eeb0dd5bcf",
        "poppins",
        "Poppins",
        (700,),
        ("latin", "latin-ext"),
    ),
    Source(
        "@fontsource/bebas-neue",
        "5.3.0",
        "57928e0ee30b9e8a99033cdd5dc74ad06761007b4ad8fc32173e5d9072ba91fa",
        "bebas-neue",
        "Bebas Neue",
        (400,),
        ("latin", "latin-ext"),
    ),
    Source(
        "@fontsource/oswald",
        "5.3.0",
        "27bf46420288bb65bd186638cde54686aa8f9d5dc975b1d597dfe81a7dd472cb",
        "oswald",
        "Oswald",
        (600,),
        LATIN,
    ),
    Source(
        "@fontsource/playfair-display",
        "5.3.0",
        "564e61951ecc3e962793cd50395f718cda6350cb934f9000dbe0139c768dc023",
        "high-contrast-serif",
        "Recaster High-Contrast Serif",
        (700,),
        ("latin", "latin-ext", "vietnamese", "cyrillic"),
        reserved_name="Playfair",
    ),
    Source(
        "@fontsource/fredoka",
        "5.3.0",
        "3826ef8182dca8bec112e8320cd42c4aaec1b4cad9f6a3a2eaa4c98ee7ece323",
        "fredoka",
        "Fredoka",
        (600,),
        ("latin", "latin-ext"),
    ),
    Source(
        "@fontsource/bangers",
        "5.3.0",
        "7200b288ad26e3da1dd0a47dfb6f1712c4c327f038d84afe69a682c63a2c102c",
        "bangers",
        "Bangers",
        (400,),
        ("latin", "latin-ext", "vietnamese"),
    ),
    Source(
        "@fontsource/noto-sans-hebrew",
        "5.3.0",
        "16a70f001f739cbcdaecdf3b164bdee8bb84cb35a8569d6dd9ec82dfcd74c78c",
        "noto-sans-hebrew",
        "Noto Sans Hebrew",
        (700,),
        ("hebrew",),
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
        font = TTFont(package / "files" / f"{source.stem}-{subset}-{weight}-normal.woff2", recalcTimestamp=False)
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
    if source.reserved_name:
        _rename(dated, source)
    dated.save(out)
    return out.read_bytes()


def _rename(font: TTFont, source: Source) -> None:
    """Give the font its own name; copyright, trademark and licence notices stay as they are."""
    family, post_script = source.title, source.title.replace(" ", "").replace("-", "")
    names = {
        1: family,
        3: f"{family} {source.version}",
        4: family,
        6: post_script,
        16: family,
        21: family,
        25: post_script,
    }
    for record in list(font["name"].names):
        if record.nameID in names:
            font["name"].setName(
                names[record.nameID], record.nameID, record.platformID, record.platEncID, record.langID
            )
    left = [
        str(record)
        for record in font["name"].names
        if record.nameID not in (0, 7, 10, 11, 12, 13, 14) and source.reserved_name in str(record)
    ]
    if left:
        raise SystemExit(f"{source.package}: the reserved name is still in {left}")


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
