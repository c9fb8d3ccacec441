from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recaster.infra.settings import Settings
from recaster.infra.storage import CHUNK, ObjectStore, StorageError, object_key, open_storage

pytestmark = pytest.mark.contract


@pytest.fixture(params=["file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return open_storage(Settings(home=tmp_path, storage_url=(tmp_path / "my objects").as_uri()))


def test_what_is_put_can_be_read_whole_and_in_parts(store: ObjectStore, tmp_path: Path) -> None:
    content = bytes(range(256)) * ((2 * CHUNK + 512) // 256)
    file = tmp_path / "in"
    file.write_bytes(content)
    stored = store.put_file("a/b.bin", file)
    assert (stored.key, stored.size_bytes) == ("a/b.bin", len(content))
    assert stored.checksum_sha256 == hashlib.sha256(content).hexdigest()
    assert b"".join(store.read("a/b.bin")) == content
    assert b"".join(store.read("a/b.bin", CHUNK - 1, 3)) == content[CHUNK - 1 : CHUNK + 2]
    assert b"".join(store.read("a/b.bin", len(content) - 1, 99)) == content[-1:]
    assert b"".join(store.read("a/b.bin", len(content))) == b""
    assert all(len(piece) <= CHUNK for piece in store.read("a/b.bin"))
    assert store.size("a/b.bin") == len(content)


def test_an_object_never_changes(store: ObjectStore) -> None:
    store.put_bytes("k", b"one")
    store.put_bytes("k", b"two")
    assert b"".join(store.read("k")) == b"one"
    with pytest.raises(StorageError, match="another size"):
        store.put_bytes("k", b"three")


def test_fetch_writes_whole_files_only(store: ObjectStore, tmp_path: Path) -> None:
    store.put_bytes("k", b"content")
    target = tmp_path / "new" / "file"
    assert store.fetch("k", target).read_bytes() == b"content"
    with pytest.raises(StorageError):
        store.fetch("missing", tmp_path / "new" / "other")
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_missing_objects(store: ObjectStore) -> None:
    assert not store.exists("missing")
    store.delete("missing")
    for act in (store.size, lambda key: list(store.read(key))):
        with pytest.raises(StorageError, match="no object"):
            act("missing")
    store.put_bytes("k", b"x")
    store.delete("k")
    assert not store.exists("k")


@pytest.mark.parametrize(
    "key", ["", "/", "/a", "a//b", "../a", "a/..", "a/../b", ".hidden", "a\\b", "a b", "é", "a/\x00", "x" * 129]
)
def test_no_key_leaves_the_store(store: ObjectStore, key: str) -> None:
    for act in (
        lambda: store.put_bytes(key, b"x"),
        lambda: store.exists(key) or store.size(key),
        lambda: list(store.read(key)),
    ):
        with pytest.raises(StorageError):
            act()


@given(st.lists(st.text(max_size=8), max_size=4))
def test_keys_are_made_of_plain_segments(segments: list[str]) -> None:
    try:
        key = object_key(*segments)
    except StorageError:
        return
    assert key.isascii()
    assert not any(part in {"", ".", ".."} or part.startswith(".") for part in key.split("/"))


def test_an_unknown_kind_of_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no known kind"):
        open_storage(Settings(home=tmp_path, storage_url="ftp://x/y"))
