"""docs/settings.md says what the settings say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_of_settings_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECASTER_SOURCE_FETCHER", raising=False)
    location = importlib.util.spec_from_file_location("settings_page", ROOT / "tools" / "build_settings_page.py")
    assert location is not None
    assert location.loader is not None
    tool = importlib.util.module_from_spec(location)
    location.loader.exec_module(tool)
    assert tool.PAGE.read_text(encoding="utf-8") == tool.settings_page(), "run tools/build_settings_page.py"
