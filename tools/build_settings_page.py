"""Writes docs/settings.md from the settings themselves, so that the page cannot say anything else."""

from __future__ import annotations

from pathlib import Path

from pydantic_core import PydanticUndefined

from recaster.infra.settings import Settings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
HEAD = """# Settings

Each setting has a default that works. Values come, in this order, from options of a command, from environment variables,
and from `recaster.toml` in the working folder (or the file that `RECASTER_CONFIG` names), there without the prefix and in
lower case. `recaster doctor` shows the values in force; secrets are masked.

| variable | default | meaning |
| --- | --- | --- |
"""


def settings_page() -> str:
    """Return the page as Markdown."""
    rows = []
    for name, field in Settings.model_fields.items():
        if field.default is not PydanticUndefined:
            default = f"`{field.default}`" if str(field.default) not in ("", "None") else "empty"
        else:
            default = "see meaning" if name == "home" else f"`{field.get_default(call_default_factory=True)}`"
        if "Secret" in str(field.annotation):
            default = "empty"
        meaning = (field.description or "").replace("|", "\\|")
        rows.append(f"| `RECASTER_{name.upper()}` | {default} | {meaning} |")
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(settings_page(), encoding="utf-8")
