"""The one transaction that ends a remix well: assets, container, job, captured credits and events, all or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa

from recaster.infra.database import OrganizationSession
from recaster.infra.failpoints import Failpoint, reach
from recaster.service.content.model import Asset, Container, ContainerStatus
from recaster.service.content.review import approval_of_new_content, tell_of_content
from recaster.service.credits import service as credits
from recaster.service.jobs import service as jobs


@dataclass(frozen=True, slots=True)
class NewAsset:
    """A file that lies in object storage and becomes an asset."""

    kind: Literal["video", "thumbnail"]
    object_key: str
    mime_type: str
    size_bytes: int
    checksum_sha256: str
    width: int
    height: int
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class NewOverlay:
    """An overlay as it goes into the container. `box` is x, y, width, height in pixels."""

    start_ms: int
    end_ms: int
    source_text: str
    adapted_text: str
    role: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Completion:
    """Everything that a finished remix adds to its container."""

    assets: Sequence[NewAsset]
    overlays: Sequence[NewOverlay]
    disclosure_label: str
    caption: str | None = None
    quality: dict[str, Any] = field(default_factory=dict)
    """Measured figures of the output, JSON."""
    c2pa: dict[str, Any] | None = None


def complete(session: OrganizationSession, job_id: str, completion: Completion) -> str:
    """Complete a remix in the caller's one transaction and return the container id.

    Needs a system session.

    Raises:
        Cancelled: the job is not running any more; nothing is written.
    """
    job = jobs.locked_running(session, job_id)
    container = session.scalars(sa.select(Container).where(Container.job_id == job_id)).one()
    for new in completion.assets:
        session.add(
            Asset(
                id=session.new_id("ast"), organization_id=container.organization_id, container_id=container.id,
                kind=new.kind, object_key=new.object_key, mime_type=new.mime_type, size_bytes=new.size_bytes,
                checksum_sha256=new.checksum_sha256, duration_ms=new.duration_ms, width=new.width, height=new.height,
                created_at=session.now,
            )
        )  # fmt: skip
    container.status = ContainerStatus.COMPLETED.value
    container.completed_at = session.now
    container.caption = completion.caption
    container.overlays = [
        {
            "startMs": overlay.start_ms, "endMs": overlay.end_ms, "sourceText": overlay.source_text,
            "adaptedText": overlay.adapted_text, "role": overlay.role, "box": list(overlay.box),
        }
        for overlay in completion.overlays
    ]  # fmt: skip
    container.disclosure = {"label": completion.disclosure_label, "c2pa": completion.c2pa}
    container.quality = dict(completion.quality)
    container.approval_status = approval_of_new_content(session, container.project_id)
    credits.capture(session, job_id)
    tell_of_content(session, "content.generated", container)
    jobs.finish(session, job)
    session.flush()
    reach(Failpoint.CAPTURED)
    return container.id
