"""The remix plan: every decision about a remix, taken before a pixel is touched.

It is plain JSON that a person can read, edit and render again. It holds no pixels and takes no decision itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recaster.errors import InvalidInput
from recaster.infra.files import atomic_file
from recaster.media.overlays.model import OverlayRole, TextStyle


class PlanPart(BaseModel):
    """Strict, immutable piece of a plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PlannedOverlay(PlanPart):
    """What happens to one overlay track of the source."""

    track_id: str
    """Id of the track in the source's analysis."""
    role: OverlayRole
    action: Literal["replace", "keep"]
    """`replace`: the old text is erased and `text` drawn. `keep`: the picture is not touched there."""
    source_text: str
    text: str
    """The new text; equal to `source_text` for a kept overlay."""
    style: TextStyle
    """Look of the new text: the old block's. A slab is drawn anew around the new text."""
    path: str
    """Which way the text came: `provider`, `formula`, `bank` or `kept`."""
    reason: str
    """Why, for a person."""


class PlannedFace(PlanPart):
    """What happens to one face track of the source."""

    track_id: str
    action: Literal["swap", "leave"]
    reason: str


class RemixPlan(PlanPart):
    """All decisions for one remix."""

    version: Literal[1] = 1
    source_sha256: str
    persona_sha256: str
    width: int
    height: int
    frame_count: int
    language: str
    """BCP 47 tag of the new texts."""
    copy_adapter: str
    """Name and version of the adapter that wrote the texts, with its prompt version where it has one."""
    copy_settings: dict[str, Any] = Field(default_factory=dict)
    """What decided the texts beside brand and source: model, prompt version and digest, limits, tokens. Never a key."""
    engines: dict[str, str]
    """Which reader, eraser, drawer and swapper the plan was made for, by role."""
    overlays: tuple[PlannedOverlay, ...]
    faces: tuple[PlannedFace, ...]

    def save(self, path: Path) -> None:
        """Write the plan as readable JSON, atomically."""
        with atomic_file(path) as file:
            file.write((self.model_dump_json(indent=2) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> RemixPlan:
        """Read a plan; raises `InvalidInput` naming the first wrong field."""
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "the file"
            raise InvalidInput(
                f"The plan {path} is not valid at {field}: {first['msg']}. Correct it or plan again.",
                field=field,
                value=str(first.get("input"))[:200],
                limit=first["msg"],
            ) from error
