"""Sending stored objects: whole or in ranges, with their own type and digest, never guessed by a browser."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from recaster.api.call import matches
from recaster.api.errors import RangeNotSatisfiable
from recaster.infra.storage import ObjectStore

_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
_EXTENSIONS = {
    "video/mp4": "mp4",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "video/quicktime": "mov",
    "video/webm": "webm",
}


def send_object(
    request: Request, storage: ObjectStore, key: str, *, size: int, mime_type: str, checksum_sha256: str, name: str
) -> Response:
    """Answer GET or HEAD for an object (RFC 9110): 200, 206 for one range, 304 if unchanged, 416 beyond its end."""
    etag = f'"{checksum_sha256}"'
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": etag,
        "Cache-Control": "private, max-age=31536000, immutable",
        "Vary": "Authorization",
        "Content-Disposition": f'inline; filename="{name}.{_EXTENSIONS.get(mime_type, "bin")}"',
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    span = _range(request, size, etag)
    start, end = span or (0, size)
    status = 206 if span else 200
    if span:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - start)
    headers["Content-Type"] = mime_type
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    return StreamingResponse(storage.read(key, start, end - start), status_code=status, headers=headers)


def _range(request: Request, size: int, etag: str) -> tuple[int, int] | None:
    wanted = request.headers.get("range")
    if wanted is None or request.headers.get("if-range", etag) != etag:
        return None
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or found.group(1) == found.group(2) == "":
        # Several ranges or another unit: the standard allows to send the whole.
        return None
    first, last = found.groups()
    if first == "":
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
    if first and last and int(last) < int(first):
        return None
    if start >= size or start >= end:
        raise RangeNotSatisfiable(
            f"The file has {size} bytes; the range {wanted!r} lies beyond it.",
            headers={"Content-Range": f"bytes */{size}"}, sizeBytes=size,
        )  # fmt: skip
    return start, end
