"""Wire shapes of layers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Discriminator, Field, RootModel

from recaster.service.fields import Line200
from recaster.service.layers.model import Layer
from recaster.service.projects.schemas import without_defaults
from recaster.service.schemas import RequestBody, UtcTime, View

LayerKind = Literal["social_distribution", "social_content"]
"""Which link of the wiring chain a layer is."""


class DistributionConfig(RequestBody):
    """The account that a distribution layer belongs to, and the content layer that feeds it."""

    social_account_id: str
    content_layer_id: str | None = None


class ContentConfig(RequestBody):
    """The influencer of a content layer."""

    influencer_id: str | None = None


class DistributionLayerCreate(RequestBody):
    """A new distribution layer."""

    kind: Literal["social_distribution"]
    name: Line200 | None = None
    config: DistributionConfig


class ContentLayerCreate(RequestBody):
    """A new content layer."""

    kind: Literal["social_content"]
    name: Line200 | None = None
    config: ContentConfig = ContentConfig()


class LayerCreate(RootModel[Annotated[DistributionLayerCreate | ContentLayerCreate, Discriminator("kind")]]):
    """A new layer of either kind."""


class LayerConfigPatch(RequestBody):
    """New wiring. Only the fields of the layer's own kind may be sent; the account of a layer never changes."""

    model_config = ConfigDict(json_schema_extra=without_defaults)

    content_layer_id: str | None = None
    influencer_id: str | None = None


class LayerPatch(RequestBody):
    """Changes of a layer. Fields that are not sent keep their value; null unwires."""

    model_config = ConfigDict(json_schema_extra=without_defaults)

    name: Line200 | None = None
    config: LayerConfigPatch = Field(default=LayerConfigPatch())


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
