"""Makes files that attack whoever opens them: bombs written box by box, and mutations of healthy files by seed.

MP4 boxes as in ISO/IEC 14496-12; the H.264 parameter sets as in ITU-T H.264, 7.3.2.1. Every file is small.
"""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def box(kind: bytes, *content: bytes) -> bytes:
    """Return a box."""
    body = b"".join(content)
    return struct.pack(">I", 8 + len(body)) + kind + body


def full(kind: bytes, *content: bytes, flags: int = 0) -> bytes:
    """Return a box with version 0 and flags."""
    return box(kind, struct.pack(">I", flags), *content)


class Bits:
    """Writes bits, most significant first."""

    def __init__(self) -> None:
        self._bits: list[int] = []

    def plain(self, value: int, count: int) -> Bits:
        """Add `value` in `count` bits."""
        self._bits += [(value >> shift) & 1 for shift in range(count - 1, -1, -1)]
        return self

    def golomb(self, *values: int) -> Bits:
        """Add unsigned Exp-Golomb codes."""
        for value in values:
            length = (value + 1).bit_length()
            self.plain(0, length - 1).plain(value + 1, length)
        return self

    def bytes(self) -> bytes:
        """Close with the stop bit and return the bytes, protected against start codes."""
        bits = [*self._bits, 1]
        bits += [0] * (-len(bits) % 8)
        raw = bytes(int("".join(map(str, bits[n : n + 8])), 2) for n in range(0, len(bits), 8))
        return raw.replace(b"\0\0\0", b"\0\0\3\0").replace(b"\0\0\1", b"\0\0\3\1")


def avc_configuration(width: int, height: int) -> bytes:
    """Return an `avcC` box whose sequence claims a picture of this size (multiples of 16), Baseline profile."""
    sequence = Bits().plain(66, 8).plain(0xC0, 8).plain(51, 8).golomb(0, 0, 2, 1)
    sequence.plain(0, 1).golomb(width // 16 - 1, height // 16 - 1).plain(1, 1).plain(1, 1).plain(0, 1).plain(0, 1)
    parameters = Bits().golomb(0, 0).plain(0, 2).golomb(0, 0, 0).plain(0, 3).golomb(0, 0, 0).plain(0, 3)
    sps, pps = b"\x67" + sequence.bytes(), b"\x68" + parameters.bytes()
    head = bytes([1, 66, 0xC0, 51, 0xFF, 0xE1])
    return box(b"avcC", head, struct.pack(">H", len(sps)), sps, b"\1", struct.pack(">H", len(pps)), pps)


def idr_slice() -> bytes:
    """Return one sample that begins like a key picture, so that a decoder sets itself up for it."""
    unit = b"\x65" + Bits().golomb(0, 7, 0).plain(0, 4).golomb(0).plain(0, 2).golomb(0).bytes() + bytes(40)
    return struct.pack(">I", len(unit)) + unit


def movie(
    *,
    width: int = 64,
    height: int = 96,
    samples: int = 1,
    sample_ticks: int = 40,
    timescale: int = 1000,
    tracks: int = 1,
    constant_size: int | None = None,
    data_reference: bytes | None = None,
    sample: bytes | None = None,
) -> bytes:
    """Write an MP4 with H.264 tracks. `constant_size` gives every sample this size without a table of sizes."""
    sample = idr_slice() if sample is None else sample
    brand = box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso2avc1mp41")
    duration = min(samples * sample_ticks, 2**32 - 1)

    def track(number: int, offset: int) -> bytes:
        entry = box(
            b"avc1", bytes(6), struct.pack(">H", 1), bytes(16), struct.pack(">HH", min(width, 65535), min(height, 65535)),
            struct.pack(">IIIH", 0x480000, 0x480000, 0, 1), bytes(32), struct.pack(">Hh", 24, -1),
            avc_configuration(width, height),
        )  # fmt: skip
        sizes = (
            struct.pack(">II", constant_size, samples)
            if constant_size is not None
            else struct.pack(f">II{samples}I", 0, samples, *[len(sample)] * samples)
        )
        reference = full(b"url ", flags=1) if data_reference is None else data_reference
        tables = box(
            b"stbl",
            full(b"stsd", struct.pack(">I", 1), entry),
            full(b"stts", struct.pack(">III", 1, samples, sample_ticks)),
            full(b"stsc", struct.pack(">IIII", 1, 1, samples, 1)),
            full(b"stsz", sizes),
            full(b"stco", struct.pack(">II", 1, offset)),
        )
        media = box(
            b"mdia",
            full(b"mdhd", struct.pack(">IIIIHH", 0, 0, timescale, duration, 0x55C4, 0)),
            full(b"hdlr", bytes(4), b"vide", bytes(12), b"v\0"),
            box(
                b"minf",
                full(b"vmhd", bytes(8), flags=1),
                box(b"dinf", full(b"dref", struct.pack(">I", 1), reference)),
                tables,
            ),
        )
        header = full(
            b"tkhd", struct.pack(">IIIII", 0, 0, number, 0, duration), bytes(16), _MATRIX,
            struct.pack(">II", min(width, 65535) << 16, min(height, 65535) << 16), flags=3,
        )  # fmt: skip
        return box(b"trak", header, media)

    def head(offset: int) -> bytes:
        movie_header = full(
            b"mvhd", struct.pack(">IIIIIH", 0, 0, 1000, min(duration * 1000 // timescale, 2**32 - 1), 0x10000, 0x100),
            bytes(10), _MATRIX, bytes(24), struct.pack(">I", tracks + 1),
        )  # fmt: skip
        return box(b"moov", movie_header, *(track(number + 1, offset) for number in range(tracks)))

    offset = len(brand) + len(head(0)) + 8
    return brand + head(offset) + box(b"mdat", sample)


def playlist(address: str) -> bytes:
    """Return an HLS playlist that asks for a segment at an address."""
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:10", "#EXTINF:10.0,", address, "#EXT-X-ENDLIST", ""]
    return "\n".join(lines).encode()


def png_bomb(side: int = 30_000) -> bytes:
    """Return a black picture of `side` times `side` one-bit pixels in a few kilobytes."""
    packer = zlib.compressobj(9)
    row = bytes(1 + side // 8)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def jpeg_bomb() -> bytes:
    """Return a small JPEG whose header claims 65,500 times 65,500 pixels."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "JPEG")
    content = bytearray(buffer.getvalue())
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", 65_500, 65_500)
    return bytes(content)


def bombs(canary: str) -> dict[str, bytes]:
    """Return all bombs by name. `canary` is an address that nobody may ask for."""
    foreign = full(b"url ", b"file:///etc/passwd\0")
    remote = full(b"url ", canary.encode() + b"\0")
    brand = box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso2")
    return {
        "pixels: MP4 of 16,000 x 16,000": movie(width=16_000, height=16_000),
        "pixels: MP4 of 8,192 x 8,192": movie(width=8_192, height=8_192),
        "pixels: header small, sequence 16,000 x 16,000": movie(width=64, height=96).replace(
            avc_configuration(64, 96), avc_configuration(16_000, 16_000)
        ),
        "pixels: JPEG of 65,500 x 65,500": jpeg_bomb(),
        "pixels: PNG of 30,000 x 30,000": png_bomb(),
        "duration: 36,000 s": movie(samples=1, sample_ticks=36_000_000),
        "duration: 49 days": movie(samples=1, sample_ticks=2**32 - 1),
        "frames: 20,000 in one second": movie(samples=20_000, sample_ticks=1, timescale=20_000, sample=b"\0\0\0\1\x65"),
        "streams: 64": movie(tracks=64),
        "streams: 4,000": movie(tracks=4_000),
        "index: 2^31 samples of one byte": movie(samples=2**31 - 1, constant_size=1, sample_ticks=0),
        "index: 30,000,000 samples of one byte": movie(samples=30_000_000, constant_size=1, sample_ticks=1),
        "playlist named .mp4": playlist(canary),
        "playlist inside MP4 boxes": brand + box(b"free", playlist(canary)) + playlist(canary),
        "playlist as a sample": movie(sample=playlist(canary)),
        "MP4 that refers to a local file": movie(data_reference=foreign, sample=bytes(32)),
        "MP4 that refers to a foreign address": movie(data_reference=remote, sample=bytes(32)),
        "concat script named .mp4": b"ffconcat version 1.0\nfile /etc/passwd\n",
    }


def healthy(folder: Path) -> dict[str, bytes]:
    """Return one healthy MP4 with sound and one healthy JPEG."""
    path = folder / "healthy.mp4"
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=Fraction(25))
        video.width, video.height, video.pix_fmt = 96, 160, "yuv420p"
        sound = output.add_stream("aac", rate=48_000)
        noise = np.random.default_rng(7)
        for _ in range(12):
            picture = noise.integers(0, 256, (20, 12, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
            output.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        tone.sample_rate = 48_000
        output.mux(sound.encode(tone))
        for stream in (video, sound):
            output.mux(stream.encode(None))
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(8).integers(0, 256, (160, 96, 3), dtype=np.uint8)).save(buffer, "JPEG")
    return {"mp4": path.read_bytes(), "jpeg": buffer.getvalue()}


def _flip(content: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 4, 32))):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def _overwrite(content: bytearray, chance: random.Random) -> None:
    where = chance.randrange(len(content))
    value = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    for position in range(where, min(where + chance.choice((1, 2, 4, 8)), len(content))):
        content[position] = value


def _cut(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(1, len(content)) :]


def _remove(content: bytearray, chance: random.Random) -> None:
    where = chance.randrange(len(content))
    del content[where : where + chance.randrange(1, 200)]


def _repeat(content: bytearray, chance: random.Random) -> None:
    where = chance.randrange(len(content))
    content[where:where] = content[where : where + chance.randrange(1, 400)] * chance.choice((1, 3))


def _swap_sizes(content: bytearray, chance: random.Random) -> None:
    """Put a strange number where four bytes look like the head of a box or a marker."""
    where = chance.randrange(0, max(len(content) - 8, 1))
    content[where : where + 4] = struct.pack(">I", chance.choice((0, 1, 7, 0x7FFFFFFF, 0xFFFFFFFF, len(content) * 2)))


_MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip, _flip, _overwrite, _overwrite, _cut, _remove, _repeat, _swap_sizes,
)  # fmt: skip


def mutated(originals: dict[str, bytes], count: int, first_seed: int = 0) -> Iterator[tuple[int, str, bytes]]:
    """Yield seed, kind and content of `count` damaged files; a seed always gives the same file."""
    kinds = sorted(originals)
    for seed in range(first_seed, first_seed + count):
        chance = random.Random(seed)
        kind = kinds[seed % len(kinds)]
        content = bytearray(originals[kind])
        for _ in range(chance.choice((1, 1, 2, 5))):
            if content:
                chance.choice(_MUTATIONS)(content, chance)
        yield seed, kind, bytes(content)
