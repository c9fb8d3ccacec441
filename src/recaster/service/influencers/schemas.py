"""Wire shapes of influencers and of a person's consent."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from recaster.service.fields import LanguageRange, LanguageTag, Line40, Line200, Moment, Sha256, Territory
from recaster.service.influencers.model import Influencer
from recaster.service.projects.schemas import BrandVoice, without_defaults
from recaster.service.schemas import RequestBody, UtcTime, View

Origin = Literal["synthetic", "consented_person"]
"""Whether the face belongs to nobody, or to a person who agreed."""
InfluencerStatus = Literal["pending", "training", "ready", "failed"]
"""`pending`: no reference pictures yet. `training`: a job prepares the persona. `failed`: the pictures make none."""


def _grantable(value: str) -> str:
    if value != "video-remix":
        raise ValueError("is no format that a grant can name; use video-remix")
    return value


def _distinct(value: list[str]) -> list[str]:
    if len(set(value)) < len(value):
        raise ValueError("names one asset twice; each picture counts once")
    return value


class Consent(RequestBody):
    """What a person has agreed to. Lists grant only what they name; `*` in languages and territories means all."""

    granted_by: Line200
    formats: Annotated[list[Annotated[str, AfterValidator(_grantable)]], Field(min_length=1, max_length=10)]
    languages: Annotated[list[LanguageRange], Field(min_length=1, max_length=100)]
    territories: Annotated[list[Territory], Field(min_length=1, max_length=250)]
    valid_from: Moment
    valid_to: Moment | None = None
    evidence_sha256: Sha256
    revoked_at: Moment | None = None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError("validTo must be later than validFrom")
        return self


class ConsentView(View):
    """What a person has agreed to."""

    granted_by: str
    formats: list[str]
    languages: list[str]
    territories: list[str]
    valid_from: UtcTime
    valid_to: UtcTime | None
    evidence_sha256: str
    revoked_at: UtcTime | None


class InfluencerCreate(RequestBody):
    """A new influencer. A `consented_person` has a `consent`, nobody else. `language` defaults to the project's."""

    name: Line40
    gender: Line40 | None = None
    age_range: Line40 | None = None
    brand_voice: BrandVoice | None = None
    language: LanguageTag | None = None
    origin: Origin
    consent: Consent | None = None

    @model_validator(mode="after")
    def _consent_fits_origin(self) -> Self:
        if self.origin == "synthetic" and self.consent is not None:
            raise ValueError("consent must be null for a synthetic influencer: there is nobody who could give it")
        if self.origin == "consented_person" and self.consent is None:
            raise ValueError("consent is required for a consented_person: say who granted what, and when")
        return self


class InfluencerPatch(RequestBody):
    """Changes of an influencer. Fields that are not sent keep their value. The origin of a face never changes."""

    model_config = ConfigDict(json_schema_extra=without_defaults)

    name: Line40 = ""
    gender: Line40 | None = None
    age_range: Line40 | None = None
    brand_voice: BrandVoice | None = None
    language: LanguageTag = ""
    consent: Consent | None = None


class ReferenceImages(RequestBody):
    """The pictures that make an influencer. Each must hold exactly one usable face, all of the same person."""

    asset_ids: Annotated[list[str], Field(min_length=1, max_length=20), AfterValidator(_distinct)]


class PreparationView(View):
    """The job that was started. It makes no container."""

    job_id: str
    kind: Literal["influencer_create"] = "influencer_create"
    status: Literal["running"] = "running"
    container_ids: list[str] = Field(default_factory=list)
    location_url: str


class InfluencerError(View):
    """Why the persona could not be prepared."""

    code: str
    message: str
    details: dict[str, object]


class InfluencerView(View):
    """An influencer."""

    id: str
    project_id: str
    name: str
    gender: str | None
    age_range: str | None
    brand_voice: BrandVoice | None
    language: str
    status: InfluencerStatus
    image_url: str | None
    origin: Origin
    consent: ConsentView | None
    reference_asset_ids: list[str]
    last_error: InfluencerError | None
    created_at: UtcTime
    updated_at: UtcTime

    @classmethod
    def of(cls, influencer: Influencer) -> InfluencerView:
        """Show a row."""
        written = {"image_url", "consent", "last_error"}
        values = {name: getattr(influencer, name) for name in cls.model_fields if name not in written}
        consent = stored_consent(influencer)
        return cls(
            **values,
            image_url=f"/v1/influencers/{influencer.id}/image" if influencer.reference_asset_ids else None,
            consent=ConsentView(**consent.model_dump()) if consent else None,
            last_error=InfluencerError(**influencer.last_error) if influencer.last_error else None,
        )


def stored_consent(influencer: Influencer) -> Consent | None:
    """Return the grant of a row as a value."""
    return None if influencer.consent is None else Consent.model_validate(influencer.consent)
