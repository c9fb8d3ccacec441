"""Wire shapes of uploaded media."""

from __future__ import annotations

from typing import Literal

from recaster.service.media.model import MediaAsset
from recaster.service.schemas import UtcTime, View


class MediaAssetView(View):
    """An uploaded picture or video. `width` and `height` are pixels as shown."""

    asset_id: str
    kind: Literal["image", "video"]
    mime_type: str
    size_bytes: int
    width: int
    height: int
    duration_ms: int | None
    checksum_sha256: str
    created_at: UtcTime

    @classmethod
    def of(cls, asset: MediaAsset) -> MediaAssetView:
        """Show a row."""
        values = {name: getattr(asset, name) for name in cls.model_fields if name != "asset_id"}
        return cls(asset_id=asset.id, **values)
