"""Finds out what an uploaded file is before anybody trusts it: its kind by its first bytes, then pixels and length.

Names and declared media types of a client are never looked at. Pictures are opened with Pillow under limits, videos
with a `MediaProbe` that the application passes in. It stores nothing.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

from PIL import Image, UnidentifiedImageError

from recaster.errors import MediaInvalid
from recaster.infra.files import sha256_of
from recaster.media.video.model import VideoFacts
from recaster.service.errors import PayloadTooLarge, UnsupportedMediaType

IMAGE_FORMATS: Final = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
"""Accepted pictures: media type → Pillow's name of the format."""
VIDEO_TYPES: Final = ("video/mp4", "video/quicktime", "video/webm", "video/x-matroska")
"""Accepted videos."""

_ORIENTATION_TAG = 0x0112
_TURNED = frozenset({5, 6, 7, 8})
# ISO/IEC 14496-12 brands of still pictures (HEIF, AVIF) share the box structure of MP4.
_STILL_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis"})
_DOC_TYPE = re.compile(rb"\x42\x82[\x80-\xff](webm|matroska)")


class MediaProbe(Protocol):
    """Measures a video file: `recaster.media.video.probe`, bound to the limits in force."""

    def __call__(self, path: Path, /) -> VideoFacts:
        """Return the facts, or raise `MediaInvalid` with `field`, `value` and `limit`."""


@dataclass(frozen=True, slots=True)
class InspectionLimits:
    """What an upload may be at most."""

    image_bytes: int
    video_bytes: int
    image_pixels: int
    image_side: int = 16_384
    """Pixels of the longer side."""
    image_least_side: int = 64
    """Pixels of the shorter side."""


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file that arrived whole in a folder of ours."""

    path: Path
    size_bytes: int
    checksum_sha256: str

    @classmethod
    def of(cls, path: Path) -> UploadedFile:
        """Measure a file that lies there."""
        return cls(path, path.stat().st_size, sha256_of(path))


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What a file turned out to be. Pixels as shown; `duration_ms` is None for a picture."""

    kind: Literal["image", "video"]
    mime_type: str
    width: int
    height: int
    duration_ms: int | None


def sniff(path: Path) -> str | None:
    """Return the media type that the first bytes say, or None for a kind that we do not take."""
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in _STILL_BRANDS:
            return None
        return "video/quicktime" if brand == b"qt  " else "video/mp4"
    if head.startswith(b"\x1a\x45\xdf\xa3") and (found := _DOC_TYPE.search(head)):
        return "video/webm" if found[1] == b"webm" else "video/x-matroska"
    return None


def inspect(file: UploadedFile, limits: InspectionLimits, probe: MediaProbe) -> MediaFacts:
    """Say what `file` is, or refuse it.

    Raises:
        UnsupportedMediaType: neither a JPEG, PNG or WebP picture nor an MP4, MOV, WebM or Matroska video.
        PayloadTooLarge: more bytes than its kind may have.
        MediaInvalid: broken, animated, or beyond a limit of pixels, length or streams.
    """
    mime_type = sniff(file.path)
    if mime_type is None:
        raise UnsupportedMediaType(
            "The first bytes say: neither a picture (JPEG, PNG, WebP) nor a video (MP4, MOV, WebM, Matroska). "
            "Convert it and upload it again.",
            accepted=[*IMAGE_FORMATS, *VIDEO_TYPES],
        )
    limit = limits.image_bytes if mime_type in IMAGE_FORMATS else limits.video_bytes
    if file.size_bytes > limit:
        raise PayloadTooLarge(
            f"The file holds {file.size_bytes} bytes; a file of type {mime_type} may hold {limit}.",
            limitBytes=limit,
            sizeBytes=file.size_bytes,
        )
    if mime_type in IMAGE_FORMATS:
        width, height = _inspect_image(file.path, mime_type, limits)
        return MediaFacts("image", mime_type, width, height, None)
    facts = probe(file.path)
    return MediaFacts("video", mime_type, facts.width, facts.height, round(facts.duration * 1000))


def _inspect_image(path: Path, mime_type: str, limits: InspectionLimits) -> tuple[int, int]:
    try:
        with Image.open(path, formats=(IMAGE_FORMATS[mime_type],)) as image:
            _check_size(image, limits)
            turned = image.getexif().get(_ORIENTATION_TAG) in _TURNED
            width, height = image.size[::-1] if turned else image.size
            # A JPEG is decoded at an eighth of its size: that reads the whole file and costs little memory.
            image.draft("RGB", (max(image.width // 8, 1), max(image.height // 8, 1)))
            image.load()
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise _too_many_pixels(None, limits.image_pixels) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise MediaInvalid(
            "The picture cannot be read: it is damaged or cut off. Export it again and upload it anew.",
            field="file",
            value=mime_type,
        ) from error
    return width, height


def _check_size(image: Image.Image, limits: InspectionLimits) -> None:
    if image.width * image.height > limits.image_pixels:
        raise _too_many_pixels(image.width * image.height, limits.image_pixels)
    if max(image.size) > limits.image_side or min(image.size) < limits.image_least_side:
        raise MediaInvalid(
            f"The picture has {image.width}x{image.height} pixels; each side must have {limits.image_least_side} to "
            f"{limits.image_side}. Scale it and upload it again.",
            field="side",
            value=list(image.size),
            limit=[limits.image_least_side, limits.image_side],
        )
    if getattr(image, "n_frames", 1) != 1:
        raise MediaInvalid(
            "The picture is animated; a still picture is needed. Upload one frame of it.", field="frames", limit=1
        )


def _too_many_pixels(pixels: int | None, limit: int) -> MediaInvalid:
    return MediaInvalid(
        f"The picture has more than {limit} pixels. Scale it down and upload it again.",
        field="pixels",
        value=pixels,
        limit=limit,
    )
