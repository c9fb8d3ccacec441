"""Wire shapes of layers."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from recaster.service.fields import Line200
from recaster.service.layers.model import Layer
from recaster.service.projects.schemas import without_defaults
from recaster.service.schemas import RequestBody, UtcTime, View

LayerKind = Literal["social_distribution", "social_content"]
"""Which link of the wiring chain a layer is."""


class LayerConfig(RequestBody):
    """The wiring of a layer: `socialAccountId` and `contentLayerId` for distribution, `influencerId` for content."""

    social_account_id: str | None = None
    content_layer_id: str | None = None
    influencer_id: str | None = None


class LayerCreate(RequestBody):
    """A new layer of either kind."""

    kind: LayerKind
    name: Line200 | None = None
    config: LayerConfig = Field(default_factory=LayerConfig)


class LayerConfigPatch(RequestBody):
    """New wiring. Only the fields of the layer's own kind may be sent; the account of a layer never changes."""

    model_config = ConfigDict(json_schema_extra=without_defaults)

    content_layer_id: str | None = None
    influencer_id: str | None = None


class LayerPatch(RequestBody):
    """Changes of a layer. Fields that are not sent keep their value; null unwires."""

    model_config = ConfigDict(json_schema_extra=without_defaults)

    name: Line200 | None = None
    config: LayerConfigPatch = Field(default_factory=LayerConfigPatch)


class DistributionConfigView(View):
    """The wiring of a distribution layer."""

    social_account_id: str
    content_layer_id: str | None


class ContentConfigView(View):
    """The wiring of a content layer."""

    influencer_id: str | None


class LayerView(View):
    """A layer."""

    id: str
    project_id: str
    kind: LayerKind
    name: str | None
    config: DistributionConfigView | ContentConfigView
    created_at: UtcTime
    updated_at: UtcTime

    @classmethod
    def of(cls, layer: Layer) -> LayerView:
        """Show a row."""
        config: DistributionConfigView | ContentConfigView
        if layer.social_account_id is not None:
            config = DistributionConfigView(
                social_account_id=layer.social_account_id, content_layer_id=layer.content_layer_id
            )
        else:
            config = ContentConfigView(influencer_id=layer.influencer_id)
        values = {name: getattr(layer, name) for name in cls.model_fields if name != "config"}
        return cls(**values, config=config)
