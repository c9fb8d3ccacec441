"""Wire shapes of projects."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, JsonValue, StringConstraints

from recaster.media.overlays.model import OverlayRole
from recaster.service.fields import LanguageTag, Line40, Line200, Term, Text500, Text2000, TimeZone, plain_line
from recaster.service.projects.model import Project
from recaster.service.schemas import RequestBody, UtcTime, View

METADATA_BYTES = 16_384
"""Most bytes of `metadata`, written as compact JSON in UTF-8."""

BrandVoice = Literal["authentic", "witty", "professional", "warm", "casual", "educational"]
"""How a brand or an influencer speaks."""
ProjectName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=3, max_length=30), AfterValidator(plain_line)
]
"""One line of 3–30 characters."""


def _small(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    try:
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode())
    except ValueError as error:
        raise ValueError("holds half a surrogate pair, or a number that JSON does not have") from error
    if size > METADATA_BYTES:
        raise ValueError(f"holds {size} bytes of JSON; the limit is {METADATA_BYTES}")
    return value


def _known_role(value: str) -> str:
    if value not in {role.value for role in OverlayRole}:
        raise ValueError(f"is no overlay role; use one of {', '.join(role.value for role in OverlayRole)}")
    return value


def _distinct_languages(value: object) -> object:
    # Tags are spelled alike afterwards; two spellings of one language would silently overwrite each other.
    if isinstance(value, dict) and len({str(tag).lower() for tag in value}) < len(value):
        raise ValueError("names one language twice; merge the two entries")
    return value


Role = Annotated[str, AfterValidator(_known_role)]
Texts = Annotated[list[Line200], Field(max_length=50)]
MessageBank = Annotated[
    dict[LanguageTag, dict[Role, Texts]], Field(max_length=20), BeforeValidator(_distinct_languages)
]
"""Language tag → overlay role → up to 50 texts that may be shown as they are."""
Metadata = Annotated[dict[str, JsonValue], AfterValidator(_small)]
"""Anything the client wants to keep with the project, up to 16 KiB of JSON."""


class _ProjectFields(RequestBody):
    timezone: TimeZone = "UTC"
    primary_language: LanguageTag = "en"
    app_name: Line40 | None = None
    app_description: Text2000 | None = None
    tagline: Line200 | None = None
    brand_voice: BrandVoice | None = None
    audience: Text500 | None = None
    keywords: list[Term] = Field(default_factory=list, max_length=50)
    banned_words: list[Term] = Field(default_factory=list, max_length=200)
    required_terms: list[Term] = Field(default_factory=list, max_length=20)
    approved_facts: list[Line200] = Field(default_factory=list, max_length=50)
    message_bank: MessageBank = Field(default_factory=dict)
    metadata: Metadata = Field(default_factory=dict)


class ProjectCreate(_ProjectFields):
    """A new project."""

    name: ProjectName


def without_defaults(schema: dict[str, Any]) -> None:
    """Take the defaults out of a JSON schema: in a PATCH a field that is not sent keeps its value."""
    for field in schema.get("properties", {}).values():
        field.pop("default", None)


class ProjectPatch(_ProjectFields):
    """Changes of a project. Fields that are not sent keep their value; null clears a field that may be null."""

    model_config = ConfigDict(json_schema_extra=without_defaults)

    name: ProjectName = ""


class ProjectView(View):
    """A project."""

    id: str
    name: str
    timezone: str
    primary_language: str
    app_name: str | None
    app_description: str | None
    tagline: str | None
    brand_voice: BrandVoice | None
    audience: str | None
    keywords: list[str]
    banned_words: list[str]
    required_terms: list[str]
    approved_facts: list[str]
    message_bank: dict[str, dict[str, list[str]]]
    metadata: dict[str, JsonValue]
    created_at: UtcTime
    updated_at: UtcTime

    @classmethod
    def of(cls, project: Project) -> ProjectView:
        """Show a row."""
        values = {name: getattr(project, name) for name in cls.model_fields if name != "metadata"}
        return cls(**values, metadata=project.custom)
