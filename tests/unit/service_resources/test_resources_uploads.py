from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recaster.api.uploads import UploadForm, receive_upload
from recaster.errors import InvalidInput, RecasterError
from recaster.infra.storage import StorageError, object_key
from recaster.service.errors import PayloadTooLarge, UnsupportedMediaType

pytestmark = pytest.mark.unit

BOUNDARY = "b0undary"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    suffix = "" if filename is None else f'; filename="{filename}"'
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{suffix}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def receive(
    folder: Path, body: bytes, *, piece: int = 4096, limit: int = 10_000, content_type: str | None = FORM
) -> UploadForm:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), piece):
            yield body[start : start + piece]

    return asyncio.run(receive_upload(content_type, pieces(), folder, file_bytes=limit))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), piece=st.integers(1, 64), text=st.text(max_size=20))
def test_file_and_fields_arrive_as_they_were_sent_however_the_body_is_cut(
    tmp_path: Path, content: bytes, piece: int, text: str
) -> None:
    body = form(part("caption", text.encode()), part("file", content, "x.mp4"))
    got = receive(tmp_path, body, piece=piece)
    assert got.file.path.read_bytes() == content
    assert (got.file.size_bytes, got.file.checksum_sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert got.fields == {"caption": text}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["../../x", "/etc/passwd", "C:\\x", "..", "a\\..\\b", "x/../../y", "%2e%2e%2f", "."])
    | st.text(st.characters(blacklist_characters='"\r\n\\', blacklist_categories=("Cs",)), max_size=30)
)
def test_no_file_name_leaves_the_folder_or_becomes_part_of_a_key(tmp_path: Path, name: str) -> None:
    got = receive(tmp_path, form(part("file", b"x", name)))
    assert got.file.path.parent == tmp_path
    assert got.file.path.name.startswith("upload-")
    assert object_key("uploads", got.file.checksum_sha256) == f"uploads/{got.file.checksum_sha256}"


@given(st.text(max_size=20))
def test_an_object_key_never_climbs(segment: str) -> None:
    try:
        key = object_key("uploads", segment)
    except StorageError:
        return
    assert (Path("/root") / key).resolve().is_relative_to("/root/uploads")
    assert key.count("/") == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (form(), ""),
        (form(part("caption", b"x")), "file"),
        (form(part("file", b"x", "a"), part("file", b"y", "b")), "file"),
        (form(part("poster", b"x", "a.png"), part("file", b"x", "a")), "poster"),
        (form(part("caption", b"x"), part("caption", b"y"), part("file", b"x", "a")), "caption"),
        (form(part("caption", b"x" * 20_000), part("file", b"x", "a")), "caption"),
        (form(part("caption", b"\xff"), part("file", b"x", "a")), "caption"),
        (form(*[part(f"f{n}", b"x") for n in range(60)], part("file", b"x", "a")), ""),
        (form(part("file", b"x", "n" * 9000)), ""),
        (part("file", b"x" * 50, "a"), ""),
        (b"junk", ""),
        (b"", ""),
    ],
)
def test_a_form_that_cannot_be_used_is_refused_and_leaves_nothing(tmp_path: Path, body: bytes, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        receive(tmp_path, body)
    assert caught.value.details["issues"][0]["path"] == field or not field
    assert list(tmp_path.iterdir()) == []


def test_a_file_beyond_the_limit_stops_the_reading(tmp_path: Path) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        yield part("file", b"", "a")[:-2]
        while True:
            read += 1000
            yield bytes(1000)

    with pytest.raises(PayloadTooLarge) as caught:
        asyncio.run(receive_upload(FORM, endless(), tmp_path, file_bytes=5000))
    assert caught.value.details == {"limitBytes": 5000}
    assert read <= 7000
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content_type", [None, "", "application/json", "multipart/form-data", "multipart/mixed; boundary=x"]
)
def test_another_kind_of_body_is_refused(tmp_path: Path, content_type: str | None) -> None:
    with pytest.raises(UnsupportedMediaType):
        receive(tmp_path, form(part("file", b"x", "a")), content_type=content_type)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(
            [b"--b0undary", b"--", b"\r\n", b":", b"name=", b'"', b"file", b"\x00", b";", b"Content-Disposition"]
        ),
        max_size=25,
    )
)
def test_hostile_forms_end_classified(tmp_path: Path, pieces: list[bytes]) -> None:
    try:
        receive(tmp_path, b"".join(pieces), piece=3)
    except RecasterError:
        assert list(tmp_path.glob("*.part")) == []
