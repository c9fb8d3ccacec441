"""Objects (videos, pictures, analyses) in a folder or in S3, behind one protocol.

An object is written once and never changed; its key is made from ids and hashes of our own, never from a client's text.
Media type, size and SHA-256 stand in the database: not every store keeps attributes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import LocalStore, S3Store

from recaster.infra.files import atomic_file
from recaster.infra.settings import Settings

CHUNK = 1 << 20
"""Bytes that are read or sent at a time."""

_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=-]{0,127}", re.ASCII)


class StorageError(RuntimeError):
    """An object is not there, or its key is not one of ours."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What was stored: size in bytes and SHA-256 in lower-case hex."""

    key: str
    size_bytes: int
    checksum_sha256: str


class ObjectStore(Protocol):
    """A place for objects. All implementations pass the suite in `tests/contract/test_storage_objects.py`."""

    def put_file(self, key: str, path: Path) -> StoredObject:
        """Store a file under a new key; a key that exists keeps its content, which is the same by construction.

        Raises:
            StorageError: the key is malformed, or exists with another size.
        """

    def put_bytes(self, key: str, content: bytes) -> StoredObject:
        """Store bytes under a new key, like `put_file`."""

    def exists(self, key: str) -> bool:
        """Tell whether there is an object with this key."""

    def size(self, key: str) -> int:
        """Return the size in bytes.

        Raises:
            StorageError: there is none.
        """

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the object, or `length` bytes of it from `start`, in pieces.

        Raises:
            StorageError: there is none.
        """

    def fetch(self, key: str, target: Path) -> Path:
        """Copy an object to a file (temporary name, fsync, rename) and return the file's path.

        Raises:
            StorageError: there is none.
        """

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""

    def keys(self, folder: str) -> tuple[str, ...]:
        """Return the keys of all objects below a folder, sorted; none where there is no such folder."""


def object_key(*segments: str) -> str:
    """Join segments to a key, refusing everything that could leave the store or hide in it.

    Raises:
        StorageError: a segment is empty, too long, starts with a dot, or holds other than A–Z a–z 0–9 . _ = -
    """
    for segment in segments:
        if not _SEGMENT.fullmatch(segment):
            raise StorageError(
                f"{segment!r} cannot be part of an object key: use 1-128 of A-Z a-z 0-9 . _ = - and no leading dot."
            )
    if not segments:
        raise StorageError("An object key needs at least one segment.")
    return "/".join(segments)


class ObstoreObjectStore:
    """`ObjectStore` over `obstore` (Rust `object_store`): local folder, S3 and what speaks its language."""

    def __init__(self, store: LocalStore | S3Store) -> None:
        self._store = store

    def put_file(self, key: str, path: Path) -> StoredObject:
        """Store a file under a new key."""
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while piece := file.read(CHUNK):
                digest.update(piece)
        size = path.stat().st_size
        self._put(key, path, size)
        return StoredObject(key, size, digest.hexdigest())

    def put_bytes(self, key: str, content: bytes) -> StoredObject:
        """Store bytes under a new key."""
        self._put(key, content, len(content))
        return StoredObject(key, len(content), hashlib.sha256(content).hexdigest())

    def _put(self, key: str, content: Path | bytes, size: int) -> None:
        _check(key)
        try:
            # Create-only needs a single put; the store reads the file in native code, at most `max_video_bytes` of it.
            obstore.put(self._store, key, content, mode="create", use_multipart=False)
        except AlreadyExistsError as error:
            if self.size(key) != size:
                raise StorageError(
                    f"{key} exists with another size; objects never change. Use a key made from the content."
                ) from error

    def exists(self, key: str) -> bool:
        """Tell whether there is an object with this key."""
        try:
            self.size(key)
        except StorageError:
            return False
        return True

    def size(self, key: str) -> int:
        """Return the size in bytes."""
        _check(key)
        try:
            return int(obstore.head(self._store, key)["size"])
        except FileNotFoundError as error:
            raise StorageError(f"There is no object {key}.") from error

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the object or a part of it in pieces of at most `CHUNK` bytes."""
        total = self.size(key)
        end = total if length is None else min(total, start + length)
        return self._pieces(key, start, end)

    def _pieces(self, key: str, start: int, end: int) -> Iterator[bytes]:
        position = start
        while position < end:
            piece = obstore.get_range(self._store, key, start=position, end=min(end, position + CHUNK))
            yield piece.to_bytes()
            position += CHUNK

    def fetch(self, key: str, target: Path) -> Path:
        """Copy an object to a file."""
        with atomic_file(target) as file:
            for piece in self.read(key):
                file.write(piece)
        return target

    def keys(self, folder: str) -> tuple[str, ...]:
        """Return the keys of all objects below a folder."""
        _check(folder)
        found = [entry["path"] for batch in obstore.list(self._store, f"{folder}/") for entry in batch]
        return tuple(sorted(found))

    def delete(self, key: str) -> None:
        """Remove an object."""
        if self.exists(key):
            obstore.delete(self._store, key)


def open_storage(settings: Settings) -> ObstoreObjectStore:
    """Open the configured store: `file:///…`, made if missing, or `s3://bucket/prefix` with the environment's keys."""
    url = settings.resolved_storage_url()
    parts = urlsplit(url)
    if parts.scheme == "file":
        folder = Path(unquote(parts.path))
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return ObstoreObjectStore(LocalStore(folder))
    if parts.scheme == "s3":
        return ObstoreObjectStore(S3Store(parts.netloc, prefix=parts.path.strip("/") or None))
    raise StorageError(f"storage_url {url!r} is of no known kind: use file:///folder or s3://bucket/prefix.")


def _check(key: str) -> None:
    object_key(*key.split("/"))
