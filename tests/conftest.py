"""What every test may ask for: model files that are installed and checked, and pictures of synthetic people."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path

import pytest

from recaster.infra.models import ModelStore
from recaster.infra.settings import Settings

# No test may ask a platform outside: what looks up ids at TikTok says so itself, and is led to a site on loopback.
os.environ.setdefault("RECASTER_SOURCE_FETCHER", "library")


@pytest.fixture(scope="session")
def model_store() -> ModelStore:
    """The installed model files; a missing file fails the test that asks for it, it skips nothing."""
    return ModelStore(Settings().folder("models"))


@pytest.fixture(scope="session")
def model_files(model_store: ModelStore) -> Mapping[str, Path]:
    """Model name → checked path."""
    return model_store.paths()


@pytest.fixture(scope="session")
def persona_pictures() -> Mapping[str, Path]:
    """Persona id (`P006`, `P007`) → folder of pictures. Both are fully synthetic people."""
    root = Path(str(distribution("openpeople").locate_file("openpeople/data/curated")))
    return {name: root / name / "assets" for name in ("P006", "P007")}
