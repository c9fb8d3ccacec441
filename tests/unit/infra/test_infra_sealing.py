from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recaster.infra.sealing import Sealer, SealingError
from recaster.infra.settings import Settings

pytestmark = pytest.mark.unit

ONE, TWO = b"1" * 32, b"2" * 32


@given(st.binary(max_size=200), st.text(max_size=50))
def test_what_is_sealed_opens_in_its_place_only(secret: bytes, context: str) -> None:
    sealer = Sealer([ONE])
    sealed = sealer.seal(secret, context=context)
    assert sealer.open(sealed, context=context) == secret
    assert sealed != sealer.seal(secret, context=context)
    with pytest.raises(SealingError):
        sealer.open(sealed, context=context + "x")


def test_a_ring_opens_with_every_key_and_seals_with_the_first() -> None:
    old = Sealer([ONE]).seal(b"secret", context="row")
    ring = Sealer([TWO, ONE])
    assert ring.open(old, context="row") == b"secret"
    assert not ring.is_current(old)
    new = ring.seal(b"secret", context="row")
    assert ring.is_current(new)
    assert Sealer([TWO]).open(new, context="row") == b"secret"
    with pytest.raises(SealingError, match="not in the ring"):
        Sealer([TWO]).open(old, context="row")


def test_a_changed_value_does_not_open() -> None:
    sealed = Sealer([ONE]).seal(b"secret", context="row")
    changed = sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:]
    with pytest.raises(SealingError):
        Sealer([ONE]).open(changed, context="row")
    with pytest.raises(SealingError):
        Sealer([])


def test_keys_come_from_the_setting_or_a_file_that_is_made_once(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    (key,) = settings.sealing_keys()
    assert settings.sealing_keys() == (key,)
    assert len(key) == 32
    file = tmp_path / "secrets" / "sealing"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "secrets").iterdir()] == ["sealing"]
    assert len(Settings(home=tmp_path, sealing_key="new, old").sealing_keys()) == 2
    file.write_bytes(b"short")
    with pytest.raises(RuntimeError, match="5 bytes instead of 32"):
        settings.sealing_keys()
