from __future__ import annotations

from dataclasses import dataclass

import pytest

from recaster.errors import ConsentMissing, InvalidInput, RecasterError
from recaster.infra.clock import ManualClock
from recaster.infra.database import Database, OrganizationSession
from recaster.service.errors import Conflict, NotFound
from recaster.service.influencers import service as influencers
from recaster.service.influencers.model import Influencer
from recaster.service.influencers.schemas import InfluencerCreate, InfluencerPatch
from recaster.service.layers import service as layers
from recaster.service.layers.model import Layer
from recaster.service.layers.schemas import LayerCreate, LayerPatch
from recaster.service.projects import service as projects
from recaster.service.projects.model import Project
from recaster.service.projects.schemas import ProjectCreate, ProjectPatch
from recaster.service.social import service as social
from recaster.service.social.model import SocialAccount
from recaster.service.social.schemas import SocialAccountCreate

pytestmark = pytest.mark.unit

GRANT = {
    "grantedBy": "Ada",
    "formats": ["video-remix"],
    "languages": ["en"],
    "territories": ["DE"],
    "validFrom": "2026-11-01T00:00:00Z",
    "validTo": "2026-12-01T00:00:00Z",
    "evidenceSha256": "0" * 64,
}


def new_project(session: OrganizationSession, name: str = "Tea house", **fields: object) -> Project:
    return projects.create(session, ProjectCreate.model_validate({"name": name, **fields}))


def new_influencer(session: OrganizationSession, project: Project, **fields: object) -> Influencer:
    body = {"name": "Mia", "origin": "synthetic", **fields}
    return influencers.create(session, project, InfluencerCreate.model_validate(body))


def new_account(session: OrganizationSession, project: Project, handle: str = "tea") -> tuple[SocialAccount, Layer]:
    return social.connect(
        session, project, SocialAccountCreate.model_validate({"platform": "tiktok", "handle": handle})
    )


def new_content_layer(session: OrganizationSession, project: Project, influencer_id: str | None) -> Layer:
    body = {"kind": "social_content", "config": {"influencerId": influencer_id}}
    return layers.create(session, project, LayerCreate.model_validate(body))


@dataclass
class Chain:
    project: Project
    influencer: Influencer
    content: Layer
    account: SocialAccount
    distribution: Layer


@pytest.fixture
def chain(session: OrganizationSession) -> Chain:
    """A whole chain, wired by connecting the account."""
    project = new_project(session)
    influencer = new_influencer(session, project)
    content = new_content_layer(session, project, influencer.id)
    account, distribution = new_account(session, project)
    return Chain(project, influencer, content, account, distribution)


def answer(session: OrganizationSession, chain: Chain, account: str | None, influencer: str | None) -> str:
    """Return the influencer's id at the end of the chain, or the code of the error."""
    try:
        return layers.resolve_wiring(session, chain.project, account, influencer).influencer.id
    except RecasterError as error:
        return error.code


BREAKS = {
    "whole": lambda session, chain: None,
    "account without layer": lambda session, chain: layers.archive(session, chain.distribution),
    "layer without content layer": lambda session, chain: layers.update(
        session, chain.distribution, LayerPatch.model_validate({"config": {"contentLayerId": None}})
    ),
    "content layer deleted": lambda session, chain: layers.archive(session, chain.content),
    "content layer without influencer": lambda session, chain: layers.update(
        session, chain.content, LayerPatch.model_validate({"config": {"influencerId": None}})
    ),
    "wired influencer archived": lambda session, chain: influencers.archive(session, chain.influencer),
    "account disconnected": lambda session, chain: social.disconnect(session, chain.account),
}


@pytest.mark.parametrize(
    ("state", "by_account", "by_both"),
    [
        ("whole", "wired", "named"),
        ("account without layer", "ACCOUNT_NOT_WIRED", "ACCOUNT_NOT_WIRED"),
        ("layer without content layer", "NO_CONTENT_LAYER_WIRED", "NO_CONTENT_LAYER_WIRED"),
        ("content layer deleted", "NO_CONTENT_LAYER_WIRED", "NO_CONTENT_LAYER_WIRED"),
        ("content layer without influencer", "INFLUENCER_NOT_WIRED", "named"),
        ("wired influencer archived", "INFLUENCER_NOT_WIRED", "named"),
        ("account disconnected", "NOT_FOUND", "NOT_FOUND"),
    ],
)
def test_the_wiring_table_of_the_contract(
    session: OrganizationSession, chain: Chain, state: str, by_account: str, by_both: str
) -> None:
    named = new_influencer(session, chain.project, name="Noa")
    BREAKS[state](session, chain)
    ids = {"wired": chain.influencer.id, "named": named.id}
    assert answer(session, chain, chain.account.id, None) == ids.get(by_account, by_account)
    assert answer(session, chain, chain.account.id, named.id) == ids.get(by_both, by_both)
    assert answer(session, chain, None, named.id) == named.id
    assert answer(session, chain, None, None) == "INFLUENCER_REQUIRED"


def test_the_container_hangs_on_the_content_layer_only_when_an_account_is_named(
    session: OrganizationSession, chain: Chain
) -> None:
    wired = layers.resolve_wiring(session, chain.project, chain.account.id, None)
    assert (wired.layer_id, wired.social_account_id) == (chain.content.id, chain.account.id)
    named = layers.resolve_wiring(session, chain.project, None, chain.influencer.id)
    assert (named.layer_id, named.social_account_id) == (None, None)


def test_ids_of_another_project_are_unknown(session: OrganizationSession, chain: Chain) -> None:
    other = new_project(session, "Other")
    stranger, _ = new_account(session, other)
    foreign = new_influencer(session, other)
    layer = new_content_layer(session, other, None)
    for account, influencer in [
        (stranger.id, None),
        (None, foreign.id),
        (chain.account.id, foreign.id),
        (stranger.id, chain.influencer.id),
        ("sa_nonsense", None),
        (None, chain.influencer.id.removeprefix("inf_")),
    ]:
        assert answer(session, chain, account, influencer) == "NOT_FOUND"
    for config in ({"contentLayerId": layer.id}, {"contentLayerId": chain.distribution.id}):
        with pytest.raises(NotFound):
            layers.update(session, chain.distribution, LayerPatch.model_validate({"config": config}))
    with pytest.raises(NotFound):
        layers.update(session, chain.content, LayerPatch.model_validate({"config": {"influencerId": foreign.id}}))


def test_another_organization_sees_nothing(database: Database, organizations: tuple[str, str]) -> None:
    with database.write(organizations[0]) as session:
        project = new_project(session)
        influencer = new_influencer(session, project)
        account, distribution = new_account(session, project)
    with database.read(organizations[1]) as session:
        for find, given in [
            (lambda given: projects.require_project(session, given), project.id),
            (lambda given: influencers.require_influencer(session, given), influencer.id),
            (lambda given: social.require_account(session, given), account.id),
            (lambda given: layers.require_layer(session, project, given), distribution.id),
        ]:
            with pytest.raises(NotFound) as foreign:
                find(given)
            unknown_id = given[:-12] + "0" * 12
            with pytest.raises(NotFound) as unknown:
                find(unknown_id)
            assert foreign.value.message.replace(given, unknown_id) == unknown.value.message
            assert foreign.value.details == unknown.value.details


@pytest.mark.parametrize("spell", [str, lambda text: text.removeprefix("prj_"), str.upper])
def test_a_project_answers_to_its_bare_uuid_too(session: OrganizationSession, spell: object) -> None:
    project = new_project(session)
    spelled = spell(project.id)  # type: ignore[operator]
    if spelled.startswith("PRJ_"):
        with pytest.raises(NotFound):
            projects.require_project(session, spelled)
    else:
        assert projects.require_project(session, spelled).id == project.id


def test_an_archived_project_hides_what_hangs_on_it(session: OrganizationSession, chain: Chain) -> None:
    projects.archive(session, chain.project)
    for find in (
        lambda: projects.require_project(session, chain.project.id),
        lambda: influencers.require_influencer(session, chain.influencer.id),
        lambda: social.require_account(session, chain.account.id),
        lambda: influencers.require_usable(session, chain.influencer, session.now),
    ):
        with pytest.raises(NotFound):
            find()


def test_a_project_changes_only_what_was_sent(session: OrganizationSession, clock: ManualClock) -> None:
    project = new_project(session, tagline="Leaves", keywords=["tea"], metadata={"crm": 7})
    projects.update(session, project, ProjectPatch.model_validate({"tagline": None, "metadata": {"crm": 8}}))
    assert (project.name, project.tagline, project.keywords, project.custom) == ("Tea house", None, ["tea"], {"crm": 8})


def test_connecting_wires_to_the_one_content_layer_and_guesses_none_of_two(session: OrganizationSession) -> None:
    project = new_project(session)
    assert new_account(session, project, "none")[1].content_layer_id is None
    content = new_content_layer(session, project, None)
    assert new_account(session, project, "one")[1].content_layer_id == content.id
    new_content_layer(session, project, None)
    assert new_account(session, project, "two")[1].content_layer_id is None


def test_an_account_is_connected_once_and_may_come_back(database: Database, organizations: tuple[str, str]) -> None:
    with database.write(organizations[0]) as session:
        project = new_project(session)
        account, _ = new_account(session, project, "Tea")
    with pytest.raises(Conflict) as caught, database.write(organizations[0]) as session:
        new_account(session, project, "tEA")
    assert caught.value.details["subcode"] == "SOCIAL_ACCOUNT_EXISTS"
    with database.write(organizations[0]) as session:
        social.disconnect(session, social.require_account(session, account.id))
        again, layer = new_account(session, project, "tea")
        assert social.distribution_layers(session, [again]) == {again.id: layer.id}


def test_an_account_has_one_distribution_layer(database: Database, organizations: tuple[str, str]) -> None:
    with database.write(organizations[0]) as session:
        project = new_project(session)
        account, _ = new_account(session, project)
    body = LayerCreate.model_validate({"kind": "social_distribution", "config": {"socialAccountId": account.id}})
    with pytest.raises(Conflict) as caught, database.write(organizations[0]) as session:
        layers.create(session, project, body)
    assert caught.value.details["subcode"] == "ACCOUNT_HAS_LAYER"


def test_a_config_field_of_the_other_kind_is_refused(session: OrganizationSession, chain: Chain) -> None:
    for body, field in [
        ({"kind": "social_content", "config": {"contentLayerId": chain.content.id}}, "config.contentLayerId"),
        ({"kind": "social_distribution", "config": {"influencerId": None}}, "config.influencerId"),
        ({"kind": "social_distribution"}, "config.socialAccountId"),
    ]:
        with pytest.raises(InvalidInput) as refused:
            layers.create(session, chain.project, LayerCreate.model_validate(body))
        assert refused.value.details["field"] == field
    with pytest.raises(InvalidInput) as caught:
        layers.update(session, chain.content, LayerPatch.model_validate({"config": {"contentLayerId": None}}))
    assert caught.value.details["field"] == "config.contentLayerId"


@pytest.mark.parametrize(
    ("change", "language", "reason"),
    [
        ({}, "en", None),
        ({}, "en-GB", None),
        ({}, None, None),
        ({"validTo": None}, "en", None),
        ({"languages": ["*"]}, "de", None),
        ({}, "de", "language_not_granted"),
        ({"validFrom": "2026-11-25T00:00:00Z"}, "en", "not_yet_valid"),
        ({"validTo": "2026-11-24T12:00:00Z"}, "en", "expired"),
        ({"revokedAt": "2026-11-24T12:00:00Z"}, "en", "revoked"),
        ({"revokedAt": "2026-11-24T12:00:01Z"}, "en", None),
    ],
)
def test_a_person_is_usable_only_within_the_grant(
    session: OrganizationSession, change: dict[str, object], language: str | None, reason: str | None
) -> None:
    person = new_influencer(session, new_project(session), origin="consented_person", consent={**GRANT, **change})
    if reason is None:
        influencers.require_usable(session, person, session.now, language)
    else:
        with pytest.raises(ConsentMissing) as caught:
            influencers.require_usable(session, person, session.now, language)
        assert caught.value.details["reason"] == reason


def test_only_a_failed_or_archived_influencer_is_unusable(session: OrganizationSession) -> None:
    influencer = new_influencer(session, new_project(session))
    influencers.require_usable(session, influencer, session.now)
    influencers.mark_training(session, influencer, "job_1")
    influencers.require_usable(session, influencer, session.now)
    influencers.mark_failed(session, influencer, code="INFLUENCER_UNUSABLE", message="No face.", details={})
    with pytest.raises(Conflict) as caught:
        influencers.require_usable(session, influencer, session.now)
    assert caught.value.details["subcode"] == "INFLUENCER_FAILED"
    influencers.mark_ready(session, influencer, "personas/x")
    influencers.require_usable(session, influencer, session.now)
    influencers.archive(session, influencer)
    with pytest.raises(NotFound):
        influencers.require_usable(session, influencer, session.now)


def test_the_failure_of_a_preparation_comes_before_a_missing_grant(session: OrganizationSession) -> None:
    revoked = {**GRANT, "revokedAt": "2026-11-02T00:00:00Z"}
    person = new_influencer(session, new_project(session), origin="consented_person", consent=revoked)
    influencers.mark_failed(session, person, code="INFLUENCER_UNUSABLE", message="No face.", details={})
    with pytest.raises(Conflict):
        influencers.require_usable(session, person, session.now)


def test_a_consent_can_be_renewed_but_never_lost_or_given_to_nobody(session: OrganizationSession) -> None:
    project = new_project(session)
    person = new_influencer(session, project, origin="consented_person", consent=GRANT)
    nobody = new_influencer(session, project)
    renewed = InfluencerPatch.model_validate({"consent": {**GRANT, "languages": ["de"]}})
    influencers.update(session, person, renewed)
    influencers.require_usable(session, person, session.now, "de")
    for influencer, consent in ((person, None), (nobody, GRANT)):
        with pytest.raises(InvalidInput):
            influencers.update(session, influencer, InfluencerPatch.model_validate({"consent": consent}))


def test_an_influencer_speaks_the_language_of_its_project_unless_told(session: OrganizationSession) -> None:
    project = new_project(session, primaryLanguage="de")
    assert new_influencer(session, project).language == "de"
    assert new_influencer(session, project, language="fr").language == "fr"
