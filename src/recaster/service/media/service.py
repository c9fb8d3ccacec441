"""Rules of uploaded media: what was inspected is stored under a key of ours and recorded."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from recaster.infra.database import OrganizationSession
from recaster.infra.ids import parse_id
from recaster.infra.storage import ObjectStore, object_key
from recaster.service.errors import NotFound
from recaster.service.media.inspection import MediaFacts, UploadedFile
from recaster.service.media.model import MediaAsset
from recaster.service.projects.model import Project


def store_upload(objects: ObjectStore, organization_id: str, file: UploadedFile) -> str:
    """Put a file into the object store and return its key, which is made from its organization and SHA-256.

    The same content of one organization lies there once, so a transaction that fails afterwards leaves nothing that the
    next try would not use.
    """
    key = object_key("uploads", organization_id, file.checksum_sha256)
    objects.put_file(key, file.path)
    return key


def record(
    session: OrganizationSession, project: Project, file: UploadedFile, facts: MediaFacts, key: str
) -> MediaAsset:
    """Write down an upload that lies in the object store under `key`."""
    asset = MediaAsset(
        id=session.new_id("med"),
        project_id=project.id,
        kind=facts.kind,
        mime_type=facts.mime_type,
        size_bytes=file.size_bytes,
        width=facts.width,
        height=facts.height,
        duration_ms=facts.duration_ms,
        checksum_sha256=file.checksum_sha256,
        object_key=key,
        created_at=session.now,
    )
    session.add(asset)
    session.flush()
    return asset


def get_all(session: OrganizationSession, project_id: str, asset_ids: Sequence[str]) -> list[MediaAsset]:
    """Return assets of one project in the order asked for.

    Raises:
        NotFound: one of them is malformed, unknown, or of another project or organization.
    """
    canonical = [parse_id("med", asset_id) for asset_id in asset_ids]
    rows = session.scalars(
        sa.select(MediaAsset).where(
            MediaAsset.project_id == project_id, MediaAsset.id.in_([key for key in canonical if key])
        )
    )
    found = {asset.id: asset for asset in rows}
    assets: list[MediaAsset] = []
    for given, key in zip(asset_ids, canonical, strict=True):
        if key is None or key not in found:
            raise NotFound("media asset", given)
        assets.append(found[key])
    return assets
