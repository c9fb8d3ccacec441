"""Reads a `multipart/form-data` body as it arrives: one file straight into a folder of ours, text parts into memory.

Every size is limited while it is read, so that no body can fill memory or disk. Names and media types that the client
gives for its file are not looked at. What the file is, `recaster.service.media.decoding` finds out in a child process.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final

from fastapi import Depends
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from recaster.api.call import Call, Services
from recaster.errors import InvalidInput
from recaster.service.errors import PayloadTooLarge, UnsupportedMediaType
from recaster.service.media.inspection import UploadedFile
from recaster.service.media.service import store_upload
from recaster.service.projects.service import require_project

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FILE_PART: Final = "file"
"""Name of the part that holds the file."""

_MOST_FIELDS = 40
_FIELD_BYTES = 16_384
_HEADER_BYTES = 8_192
_FRAME_BYTES = 1_048_576

UNBOUNDED_BODY: Final = 1 << 50
"""`max_body` of an upload route: the limits of the settings are applied here, while the body is read."""


@dataclass(frozen=True, slots=True)
class UploadForm:
    """A body that arrived whole. Whoever asked for it removes `file.path` in the end."""

    file: UploadedFile
    fields: Mapping[str, str]
    has_file: bool = True
    """False where the form may come without a file and did; `file` is empty then."""


async def receive_upload(
    content_type: str | None, body: AsyncIterable[bytes], folder: Path, *, file_bytes: int, needs_file: bool = True
) -> UploadForm:
    """Read a form with one file of at most `file_bytes` bytes. On any exception nothing is left in `folder`.

    `needs_file=False` also takes a form of text parts alone.

    Raises:
        UnsupportedMediaType: the body is no multipart form.
        PayloadTooLarge: the file is larger than allowed.
        InvalidInput: the form is damaged, has no part `file`, or too many or too large other parts.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise UnsupportedMediaType(
            "This route takes a form with a file: send it as multipart/form-data, as `curl -F file=@clip.mp4` does.",
            accepted=["multipart/form-data"],
        )
    descriptor, name = tempfile.mkstemp(prefix="upload-", suffix=".part", dir=folder)
    path = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as target:
            reader = _FormReader(target, file_bytes)
            parser = MultipartParser(boundary, reader.callbacks())
            try:
                total = 0
                async for chunk in body:
                    total += len(chunk)
                    if total > file_bytes + _FRAME_BYTES:
                        raise too_large(file_bytes)
                    parser.write(chunk)
                parser.finalize()
            except FormParserError as error:
                raise _invalid("", "The form is damaged or cut off; send it again.") from error
            return reader.result(path, needs_file)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


class _FormReader:
    """Takes the parser's events one by one."""

    def __init__(self, target: BinaryIO, file_bytes: int) -> None:
        self._target = target
        self._file_bytes = file_bytes
        self._digest = hashlib.sha256()
        self._size = 0
        self._has_file = False
        self._complete = False
        self._fields: dict[str, str] = {}
        self._headers: dict[bytes, bytes] = {}
        self._header_name = b""
        self._header_value = b""
        self._header_bytes = 0
        self._part = ""
        self._text = bytearray()

    def callbacks(self) -> MultipartCallbacks:
        """Return the functions that the parser calls."""
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": self._add_header_name,
            "on_header_value": self._add_header_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._add_data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def result(self, path: Path, needs_file: bool) -> UploadForm:
        """Return what was read, once the body has ended."""
        if not self._complete:
            raise _invalid("", "The form is cut off before its last boundary; send it again.")
        if needs_file and not self._has_file:
            raise _invalid(FILE_PART, "The form has no part named file that holds one.")
        return UploadForm(UploadedFile(path, self._size, self._digest.hexdigest()), self._fields, self._has_file)

    def _begin_part(self) -> None:
        self._headers.clear()
        self._header_bytes = 0
        self._text.clear()

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_name += data[start:end]

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_value += data[start:end]

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > _HEADER_BYTES:
            raise _invalid("", f"The headers of a part hold more than {_HEADER_BYTES} bytes.")

    def _end_header(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._part = options.get(b"name", b"").decode("utf-8", "replace")
        if self._part == FILE_PART:
            if self._has_file:
                raise _invalid(FILE_PART, "The form holds two files; send one.")
            self._has_file = True
        elif b"filename" in options or not self._part:
            raise _invalid(self._part[:60], "Only the part named file may hold a file.")
        elif self._part in self._fields:
            raise _invalid(self._part[:60], "The form holds this field twice.")
        elif len(self._fields) >= _MOST_FIELDS:
            raise _invalid("", f"The form holds more than {_MOST_FIELDS} fields.")

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._part != FILE_PART:
            self._text += data[start:end]
            if len(self._text) > _FIELD_BYTES:
                raise _invalid(self._part[:60], f"The field holds more than {_FIELD_BYTES} bytes.")
            return
        self._size += end - start
        if self._size > self._file_bytes:
            raise too_large(self._file_bytes)
        piece = data[start:end]
        self._digest.update(piece)
        self._target.write(piece)

    def _end_part(self) -> None:
        if self._part != FILE_PART:
            try:
                self._fields[self._part] = self._text.decode("utf-8")
            except UnicodeDecodeError as error:
                raise _invalid(self._part[:60], "The field is not UTF-8.") from error

    def _end(self) -> None:
        self._complete = True


def _invalid(path: str, message: str) -> InvalidInput:
    return InvalidInput(
        f"The form cannot be used. {message}", field=path or "body", issues=[{"path": path, "message": message}]
    )


def too_large(limit: int) -> PayloadTooLarge:
    """Make the error of a file beyond `limit` bytes."""
    return PayloadTooLarge(f"The file holds more than {limit} bytes, the most that this route takes.", limitBytes=limit)


async def _upload(request: Request) -> AsyncIterator[UploadForm]:
    async with _received(request, needs_file=True) as form:
        yield form


async def _form(request: Request) -> AsyncIterator[UploadForm]:
    async with _received(request, needs_file=False) as form:
        yield form


@asynccontextmanager
async def _received(request: Request, *, needs_file: bool) -> AsyncIterator[UploadForm]:
    services: Services = request.app.state.services
    settings = services.settings
    limit = max(settings.max_image_bytes, settings.max_video_bytes)
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit + _FRAME_BYTES:
        raise too_large(limit)
    form = await receive_upload(
        request.headers.get("content-type"),
        request.stream(),
        settings.folder("work"),
        file_bytes=limit,
        needs_file=needs_file,
    )
    try:
        yield form
    finally:
        form.file.path.unlink(missing_ok=True)


Upload = Annotated[UploadForm, Depends(_upload)]
"""Annotate a handler's parameter with it to take a form with a file; the file is removed when the answer is sent."""

OptionalUpload = Annotated[UploadForm, Depends(_form)]
"""Like `Upload`, for a form that may come without a file."""


def keep(call: Call, project_id: str, file: UploadedFile) -> str:
    """Put an inspected file into the object store before the write transaction, which shall be short. Returns its key.

    Raises:
        NotFound: there is no such project, so nothing is stored.
    """
    with call.database.read(call.principal.organization_id) as session:
        require_project(session, project_id)
    return store_upload(call.storage, call.principal.organization_id, file)
