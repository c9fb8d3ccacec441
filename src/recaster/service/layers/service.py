"""Rules of layers, and the wiring chain: social account → distribution layer → content layer → influencer."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from pydantic.alias_generators import to_camel
from sqlalchemy.exc import IntegrityError

from recaster.errors import InvalidInput
from recaster.infra.database import OrganizationSession
from recaster.infra.ids import parse_id
from recaster.service.errors import (
    AccountNotWired,
    Conflict,
    InfluencerNotWired,
    InfluencerRequired,
    NoContentLayerWired,
    NotFound,
)
from recaster.service.influencers import service as influencers
from recaster.service.influencers.model import Influencer
from recaster.service.layers.model import Layer
from recaster.service.layers.schemas import LayerCreate, LayerPatch
from recaster.service.projects.model import Project
from recaster.service.social import service as social
from recaster.service.social.model import SocialAccount

_OWN_FIELDS = {
    "social_distribution": frozenset({"social_account_id", "content_layer_id"}),
    "social_content": frozenset({"influencer_id"}),
}


@dataclass(frozen=True, slots=True)
class Wiring:
    """Where the chain ended: who is shown, and on which account and layers the container hangs."""

    influencer: Influencer
    social_account: SocialAccount | None
    distribution_layer: Layer | None
    content_layer: Layer | None

    @property
    def social_account_id(self) -> str | None:
        """The container's `socialAccountId`."""
        return None if self.social_account is None else self.social_account.id

    @property
    def layer_id(self) -> str | None:
        """The container's `layerId`: the content layer, or None without an account."""
        return None if self.content_layer is None else self.content_layer.id


def resolve_wiring(
    session: OrganizationSession, project: Project, social_account_id: str | None, influencer_id: str | None
) -> Wiring:
    """Walk the chain of the contract's section 4. A named influencer wins over the wired one.

    Raises:
        InfluencerRequired: neither id was given.
        NotFound: a given id is unknown, archived, or of another project or organization.
        AccountNotWired: the account has no distribution layer.
        NoContentLayerWired: the distribution layer has no content layer.
        InfluencerNotWired: the content layer names no influencer, or an archived one, and none was given.
    """
    if social_account_id is None and influencer_id is None:
        raise InfluencerRequired(
            "Neither socialAccountId nor influencerId was given. Name an account whose layers lead to an influencer, "
            "or an influencer."
        )
    account = (
        None if social_account_id is None else social.require_account(session, social_account_id, project_id=project.id)
    )
    named = (
        None if influencer_id is None else influencers.require_influencer(session, influencer_id, project_id=project.id)
    )
    if account is None:
        assert named is not None
        return Wiring(named, None, None, None)
    distribution = session.scalar(listing(project.id).where(Layer.social_account_id == account.id))
    if distribution is None:
        raise AccountNotWired(
            f"The social account {account.id} has no distribution layer. Add one with "
            f"POST /v1/projects/{project.id}/layers.",
            socialAccountId=account.id,
        )
    content = (
        None
        if distribution.content_layer_id is None
        else session.scalar(listing(project.id).where(Layer.id == distribution.content_layer_id))
    )
    if content is None:
        raise NoContentLayerWired(
            f"The distribution layer {distribution.id} has no content layer. Set its contentLayerId.",
            socialAccountId=account.id,
            layerId=distribution.id,
        )
    influencer = named or _wired_influencer(session, project, content)
    if influencer is None:
        raise InfluencerNotWired(
            f"The content layer {content.id} names no usable influencer. Set its influencerId, or send influencerId.",
            socialAccountId=account.id,
            layerId=content.id,
        )
    return Wiring(influencer, account, distribution, content)


def _wired_influencer(session: OrganizationSession, project: Project, content: Layer) -> Influencer | None:
    if content.influencer_id is None:
        return None
    return session.scalar(influencers.listing(project.id).where(Influencer.id == content.influencer_id))


def create(session: OrganizationSession, project: Project, body: LayerCreate) -> Layer:
    """Add a layer.

    Raises:
        InvalidInput: a config field is missing, or belongs to the other kind.
        NotFound: an id in its config is unknown, archived, or of another project or organization.
        Conflict: the account has a distribution layer already (`ACCOUNT_HAS_LAYER`).
    """
    config = body.config
    _refuse_foreign_fields(body.kind, config.model_fields_set)
    account_id = None
    if body.kind == "social_distribution":
        if config.social_account_id is None:
            raise _wrong_config("social_account_id", "is required for a social_distribution layer")
        account_id = social.require_account(session, config.social_account_id, project_id=project.id).id
    layer = Layer(
        id=session.new_id("lay"),
        project_id=project.id,
        kind=body.kind,
        name=body.name,
        social_account_id=account_id,
        content_layer_id=_content_layer_id(session, project.id, config.content_layer_id),
        influencer_id=_influencer_id(session, project.id, config.influencer_id),
        created_at=session.now,
        updated_at=session.now,
        archived_at=None,
    )
    session.add(layer)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(
            "This social account has a distribution layer already. Change that one, or delete it first.",
            subcode="ACCOUNT_HAS_LAYER",
            socialAccountId=layer.social_account_id,
        ) from error
    return layer


def listing(project_id: str) -> sa.Select[Layer]:
    """All layers of a project that are not archived, in no order yet."""
    return sa.select(Layer).where(Layer.project_id == project_id, Layer.archived_at.is_(None))


def require_layer(session: OrganizationSession, project: Project, layer_id: str) -> Layer:
    """Return a layer of the project.

    Raises:
        NotFound: malformed, unknown, archived, or of another project or organization.
    """
    canonical = parse_id("lay", layer_id)
    layer = session.scalar(listing(project.id).where(Layer.id == canonical)) if canonical else None
    if layer is None:
        raise NotFound("layer", layer_id)
    return layer


def update(session: OrganizationSession, layer: Layer, body: LayerPatch) -> Layer:
    """Change name and wiring as far as they were sent.

    Raises:
        InvalidInput: a config field belongs to the other kind.
        NotFound: an id in its config is unknown, archived, or of another project or organization.
    """
    _refuse_foreign_fields(layer.kind, body.config.model_fields_set)
    if "name" in body.model_fields_set:
        layer.name = body.name
    if "content_layer_id" in body.config.model_fields_set:
        layer.content_layer_id = _content_layer_id(session, layer.project_id, body.config.content_layer_id)
    if "influencer_id" in body.config.model_fields_set:
        layer.influencer_id = _influencer_id(session, layer.project_id, body.config.influencer_id)
    layer.updated_at = session.now
    session.flush()
    return layer


def archive(session: OrganizationSession, layer: Layer) -> None:
    """Take a layer away and unwire the distribution layers that hung on it."""
    layer.archived_at = session.now
    for feeding in session.scalars(listing(layer.project_id).where(Layer.content_layer_id == layer.id)):
        feeding.content_layer_id = None
        feeding.updated_at = session.now
    session.flush()


def _refuse_foreign_fields(kind: str, sent: set[str]) -> None:
    for field in sorted(sent - _OWN_FIELDS[kind]):
        raise _wrong_config(field, f"does not belong to a {kind} layer")


def _wrong_config(field: str, message: str) -> InvalidInput:
    path = f"config.{to_camel(field)}"
    return InvalidInput(
        f"The layer cannot be wired like this: {path} {message}.",
        field=path,
        issues=[{"path": path, "message": message}],
    )


def _content_layer_id(session: OrganizationSession, project_id: str, layer_id: str | None) -> str | None:
    if layer_id is None:
        return None
    canonical = parse_id("lay", layer_id)
    found = session.scalar(
        sa.select(Layer.id).where(
            Layer.id == canonical,
            Layer.project_id == project_id,
            Layer.kind == "social_content",
            Layer.archived_at.is_(None),
        )
    )
    if found is None:
        raise NotFound("content layer", layer_id)
    return found


def _influencer_id(session: OrganizationSession, project_id: str, influencer_id: str | None) -> str | None:
    return (
        None
        if influencer_id is None
        else influencers.require_influencer(session, influencer_id, project_id=project_id).id
    )
