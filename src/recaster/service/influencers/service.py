"""Rules of influencers: how they come to be ready, and whether one may be used.

    pending ──reference images──▶ training ──persona prepared──▶ ready ──new reference images──▶ training
                                     └──pictures unusable──▶ failed ──new reference images──▶ training

What the preparation does is none of its business: the worker calls `mark_ready` or `mark_failed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from recaster.errors import InvalidInput
from recaster.infra.database import OrganizationSession
from recaster.infra.ids import parse_id
from recaster.service.errors import Conflict, NotFound
from recaster.service.influencers.consent import VIDEO_REMIX, require_grant
from recaster.service.influencers.model import Influencer
from recaster.service.influencers.schemas import Consent, InfluencerCreate, InfluencerPatch, stored_consent
from recaster.service.jobs.model import Job, JobStatus
from recaster.service.media import service as media
from recaster.service.media.model import MediaAsset
from recaster.service.projects.model import Project


def create(session: OrganizationSession, project: Project, body: InfluencerCreate) -> Influencer:
    """Add an influencer in status `pending`."""
    influencer = Influencer(
        id=session.new_id("inf"),
        project_id=project.id,
        name=body.name,
        gender=body.gender,
        age_range=body.age_range,
        brand_voice=body.brand_voice,
        language=body.language or project.primary_language,
        status="pending",
        origin=body.origin,
        consent=_json(body.consent),
        reference_asset_ids=[],
        training_job_id=None,
        persona_key=None,
        last_error=None,
        created_at=session.now,
        updated_at=session.now,
        archived_at=None,
    )
    session.add(influencer)
    session.flush()
    return influencer


def listing(project_id: str | None = None) -> sa.Select[Influencer]:
    """All influencers, or one project's, that are not archived and whose project is not, in no order yet."""
    statement = (
        sa.select(Influencer)
        .join(Project, Project.id == Influencer.project_id)
        .where(Influencer.archived_at.is_(None), Project.archived_at.is_(None))
    )
    return statement if project_id is None else statement.where(Influencer.project_id == project_id)


def require_influencer(
    session: OrganizationSession, influencer_id: str, *, project_id: str | None = None
) -> Influencer:
    """Return an influencer, of `project_id` if that is given.

    Raises:
        NotFound: malformed, unknown, archived, or of another project or organization.
    """
    canonical = parse_id("inf", influencer_id)
    influencer = session.scalar(listing(project_id).where(Influencer.id == canonical)) if canonical else None
    if influencer is None:
        raise NotFound("influencer", influencer_id)
    return influencer


def update(session: OrganizationSession, influencer: Influencer, body: InfluencerPatch) -> Influencer:
    """Change the fields that were sent.

    Raises:
        InvalidInput: the consent does not fit the origin, which never changes.
    """
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    if "consent" in changes:
        if (influencer.origin == "synthetic") != (body.consent is None):
            raise InvalidInput(
                "A synthetic influencer has no consent, and a consented person must have one: the origin of a face "
                "never changes. Make another influencer for another origin.",
                field="consent",
                issues=[{"path": "consent", "message": f"does not fit the origin {influencer.origin}"}],
            )
        changes["consent"] = _json(body.consent)
    for name, value in changes.items():
        setattr(influencer, name, value)
    influencer.updated_at = session.now
    session.flush()
    return influencer


def archive(session: OrganizationSession, influencer: Influencer) -> None:
    """Take an influencer out of use. Content layers keep naming it, which is then no usable influencer."""
    influencer.archived_at = session.now
    session.flush()


def require_usable(
    session: OrganizationSession, influencer: Influencer, at: datetime, language: str | None = None
) -> None:
    """Return if a remix may use `influencer` at the moment `at`, by what the database says now: before rendering.

    Raises:
        NotFound: it, or its project, was archived.
        Conflict, ConsentMissing: as `check_usable` says.
    """
    live = session.scalar(listing(influencer.project_id).where(Influencer.id == influencer.id))
    if live is None:
        raise NotFound("influencer", influencer.id)
    check_usable(session, live, at, language)


def check_usable(
    session: OrganizationSession, influencer: Influencer, at: datetime, language: str | None = None
) -> None:
    """Return if a remix may use an influencer that was just loaded, with texts in `language` (default: the project's).

    `pending` and `training` pass: the job waits for them.

    Raises:
        Conflict: its pictures do not make a persona (`INFLUENCER_FAILED`).
        ConsentMissing: it is a real person without a grant that covers this use.
    """
    if influencer.status == "failed":
        raise Conflict(
            f"The influencer {influencer.id} could not be prepared from its reference images. Give it better ones with "
            f"POST /v1/influencers/{influencer.id}/reference-images.",
            subcode="INFLUENCER_FAILED",
            influencerId=influencer.id,
        )
    if influencer.origin == "consented_person":
        spoken = language or session.get_one(Project, influencer.project_id).primary_language
        require_grant(stored_consent(influencer), at=at, format_name=VIDEO_REMIX, language=spoken)


def set_reference_images(
    session: OrganizationSession, influencer: Influencer, asset_ids: Sequence[str]
) -> list[MediaAsset]:
    """Take these pictures as the influencer's; they wait to be prepared until `mark_training` names the job.

    Raises:
        NotFound: an asset is unknown, or of another project or organization.
        InvalidInput: an asset is a video.
        Conflict: a preparation is running (`INFLUENCER_TRAINING`).
    """
    # Two requests at a time must not start two preparations.
    session.refresh(influencer, with_for_update=True)
    if is_preparing(session, influencer):
        raise Conflict(
            "The influencer is being prepared from other reference images. Wait until that job has ended.",
            subcode="INFLUENCER_TRAINING",
            jobId=influencer.training_job_id,
        )
    assets = media.get_all(session, influencer.project_id, asset_ids)
    for position, asset in enumerate(assets):
        if asset.kind != "image":
            raise InvalidInput(
                f"The asset {asset.id} is a video; reference images are pictures. Upload a frame of it as JPEG or PNG.",
                field=f"assetIds[{position}]",
                value=asset.id,
                issues=[{"path": f"assetIds.{position}", "message": "is a video, not a picture"}],
            )
    if len({asset.id for asset in assets}) < len(assets):
        raise InvalidInput(
            "assetIds names one asset twice; each picture counts once.",
            field="assetIds",
            issues=[{"path": "assetIds", "message": "names one asset twice"}],
        )
    influencer.reference_asset_ids = [asset.id for asset in assets]
    return assets


def is_preparing(session: OrganizationSession, influencer: Influencer) -> bool:
    """Tell whether a job is preparing the influencer. One that was cancelled may have left it in `training`."""
    job = session.get(Job, influencer.training_job_id) if influencer.training_job_id else None
    return influencer.status == "training" and job is not None and job.status == JobStatus.RUNNING


def reference_assets(session: OrganizationSession, influencer: Influencer) -> list[MediaAsset]:
    """Return the reference pictures in the order given; their files lie under `asset.object_key`."""
    return media.get_all(session, influencer.project_id, influencer.reference_asset_ids)


def mark_training(session: OrganizationSession, influencer: Influencer, job_id: str) -> None:
    """Say that `job_id` prepares the persona from now on."""
    _mark(session, influencer, status="training", training_job_id=job_id, persona_key=None, last_error=None)


def mark_ready(session: OrganizationSession, influencer: Influencer, persona_key: str) -> None:
    """Say that the persona lies in the object store under `persona_key`."""
    _mark(session, influencer, status="ready", persona_key=persona_key, last_error=None)


def mark_failed(
    session: OrganizationSession, influencer: Influencer, *, code: str, message: str, details: dict[str, Any]
) -> None:
    """Say why the reference pictures do not make a persona."""
    error = {"code": code, "message": message, "details": details}
    _mark(session, influencer, status="failed", persona_key=None, last_error=error)


def mark_pending(session: OrganizationSession, influencer: Influencer) -> None:
    """Go back to the state before the reference images, for a preparation that was cancelled."""
    _mark(session, influencer, status="pending", persona_key=None, last_error=None)


def _mark(session: OrganizationSession, influencer: Influencer, **values: Any) -> None:
    for name, value in values.items():
        setattr(influencer, name, value)
    influencer.updated_at = session.now
    session.flush()


def _json(consent: Consent | None) -> dict[str, Any] | None:
    return None if consent is None else consent.model_dump(mode="json", by_alias=True)
