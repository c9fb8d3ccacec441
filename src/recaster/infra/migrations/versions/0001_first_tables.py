"""All tables of the first version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import recaster.infra.database

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "vr_organization",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("tier", sa.String(length=16), nullable=False),
        sa.Column("suspended_at", recaster.infra.database.UtcTime(), nullable=True),
        sa.Column("created_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vr_organization")),
    )
    op.create_table(
        "vr_worker_lease",
        sa.Column("executor_id", sa.String(length=128), nullable=False),
        sa.Column("beat_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("executor_id", name=op.f("pk_vr_worker_lease")),
    )
    op.create_table(
        "vr_rate_window",
        sa.Column("client", sa.String(length=128), nullable=False),
        sa.Column("rate_class", sa.String(length=32), nullable=False),
        sa.Column("started", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("client", "rate_class", name=op.f("pk_vr_rate_window")),
    )
    op.create_table(
        "vr_api_key",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("environment", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("tier", sa.String(length=16), nullable=False),
        sa.Column("previous_key_id", sa.String(length=16), nullable=True),
        sa.Column("previous_secret_hash", sa.String(length=64), nullable=True),
        sa.Column("previous_expires_at", recaster.infra.database.UtcTime(), nullable=True),
        sa.Column("last_used_at", recaster.infra.database.UtcTime(), nullable=True),
        sa.Column("suspended_at", recaster.infra.database.UtcTime(), nullable=True),
        sa.Column("revoked_at", recaster.infra.database.UtcTime(), nullable=True),
        sa.Column("created_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["vr_organization.id"], name=op.f("fk_vr_api_key_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vr_api_key")),
        sa.UniqueConstraint("key_id", name=op.f("uq_vr_api_key_key_id")),
        sa.UniqueConstraint("previous_key_id", name=op.f("uq_vr_api_key_previous_key_id")),
    )
    with op.batch_alter_table("vr_api_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vr_api_key_organization_id"), ["organization_id"], unique=False)

    op.create_table(
        "vr_audit_entry",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("target", sa.String(length=200), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("created_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=False),
        sa.Column("entry_hash", sa.String(length=64), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["vr_organization.id"], name=op.f("fk_vr_audit_entry_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vr_audit_entry")),
        sa.UniqueConstraint("organization_id", "position", name=op.f("uq_vr_audit_entry_organization_id_position")),
    )
    with op.batch_alter_table("vr_audit_entry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vr_audit_entry_organization_id"), ["organization_id"], unique=False)
        batch_op.create_index("ix_vr_audit_entry_list", ["organization_id", "created_at", "id"], unique=False)

    op.create_table(
        "vr_project",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("primary_language", sa.String(), nullable=False),
        sa.Column("app_name", sa.String(), nullable=True),
        sa.Column("app_description", sa.String(), nullable=True),
        sa.Column("tagline", sa.String(), nullable=True),
        sa.Column("brand_voice", sa.String(), nullable=True),
        sa.Column("audience", sa.String(), nullable=True),
        sa.Column("keywords", sa.JSON(), nullable=False),
        sa.Column("banned_words", sa.JSON(), nullable=False),
        sa.Column("required_terms", sa.JSON(), nullable=False),
        sa.Column("approved_facts", sa.JSON(), nullable=False),
        sa.Column("message_bank", sa.JSON(), nullable=False),
        sa.Column("review_policy", sa.String(), nullable=False),
        sa.Column("review_first_n", sa.Integer(), nullable=True),
        sa.Column("custom", sa.JSON(), nullable=False),
        sa.Column("created_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("updated_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("archived_at", recaster.infra.database.UtcTime(), nullable=True),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.CheckConstraint(
            "review_policy IN ('auto_approve', 'review_first_n', 'review_all')",
            name=op.f("ck_vr_project_review_policy_known"),
        ),
        sa.CheckConstraint(
            "(review_policy = 'review_first_n') = (review_first_n IS NOT NULL)",
            name=op.f("ck_vr_project_review_first_n"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["vr_organization.id"], name=op.f("fk_vr_project_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vr_project")),
        sa.UniqueConstraint("organization_id", "id", name=op.f("uq_vr_project_organization_id_id")),
    )
    with op.batch_alter_table("vr_project", schema=None) as batch_op:
        batch_op.create_index("ix_vr_project_list", ["organization_id", "created_at", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_vr_project_organization_id"), ["organization_id"], unique=False)

    op.create_table(
        "vr_wallet",
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("included", sa.Integer(), nullable=False),
        sa.Column("prepaid", sa.Integer(), nullable=False),
        sa.Column("held_included", sa.Integer(), nullable=False),
        sa.Column("held_prepaid", sa.Integer(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("issued", sa.Integer(), nullable=False),
        sa.CheckConstraint("held_included >= 0", name=op.f("ck_vr_wallet_held_included_not_negative")),
        sa.CheckConstraint("held_prepaid >= 0", name=op.f("ck_vr_wallet_held_prepaid_not_negative")),
        sa.CheckConstraint("included >= 0", name=op.f("ck_vr_wallet_included_not_negative")),
        sa.CheckConstraint("prepaid >= 0", name=op.f("ck_vr_wallet_prepaid_not_negative")),
        sa.CheckConstraint("used >= 0", name=op.f("ck_vr_wallet_used_not_negative")),
        sa.ForeignKeyConstraint(["organization_id"], ["vr_organization.id"], name=op.f("fk_vr_wallet_organization_id")),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_vr_wallet")),
    )
    op.create_table(
        "vr_idempotency_key",
        sa.Column("api_key_id", sa.String(length=64), nullable=False),
        sa.Column("route", sa.String(length=200), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.Boolean(), nullable=False),
        sa.Column("created_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["api_key_id"], ["vr_api_key.id"], name=op.f("fk_vr_idempotency_key_api_key_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["vr_organization.id"], name=op.f("fk_vr_idempotency_key_organization_id")
        ),
        sa.PrimaryKeyConstraint("api_key_id", "route", "key", name=op.f("pk_vr_idempotency_key")),
    )
    with op.batch_alter_table("vr_idempotency_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vr_idempotency_key_created_at"), ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_vr_idempotency_key_organization_id"), ["organization_id"], unique=False)

    op.create_table(
        "vr_influencer",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("gender", sa.String(), nullable=True),
        sa.Column("age_range", sa.String(), nullable=True),
        sa.Column("brand_voice", sa.String(), nullable=True),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("consent", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("reference_asset_ids", sa.JSON(), nullable=False),
        sa.Column("training_job_id", sa.String(), nullable=True),
        sa.Column("persona_key", sa.String(), nullable=True),
        sa.Column("last_error", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("updated_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("archived_at", recaster.infra.database.UtcTime(), nullable=True),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.CheckConstraint("origin IN ('synthetic', 'consented_person')", name=op.f("ck_vr_influencer_origin")),
        sa.CheckConstraint(
            "status IN ('pending', 'training', 'ready', 'failed')", name=op.f("ck_vr_influencer_status")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "project_id"],
            ["vr_project.organization_id", "vr_project.id"],
            name=op.f("fk_vr_influencer_organization_id_project_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["vr_organization.id"], name=op.f("fk_vr_influencer_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vr_influencer")),
    )
    with op.batch_alter_table("vr_influencer", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vr_influencer_organization_id"), ["organization_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_vr_influencer_project_id"), ["project_id"], unique=False)

    op.create_table(
        "vr_job",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("api_key_id", sa.String(length=64), nullable=True),
        sa.Column("environment", sa.String(length=8), nullable=False),
        sa.Column("input", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("stage", sa.String(length=32), nullable=False),
        sa.Column("stage_progress", sa.Double(), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("event_sequence", sa.Integer(), nullable=False),
        sa.Column("error", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("started_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("updated_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("finished_at", recaster.infra.database.UtcTime(), nullable=True),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.CheckConstraint("(status = 'running') = (finished_at IS NULL)", name=op.f("ck_vr_job_finished_when_ended")),
        sa.CheckConstraint(
            "status IN ('running', 'completed', 'failed', 'canceled')", name=op.f("ck_vr_job_status_known")
        ),
        sa.CheckConstraint("progress >= 0 AND progress <= 1", name=op.f("ck_vr_job_progress_in_range")),
        sa.ForeignKeyConstraint(
            ["organization_id", "project_id"],
            ["vr_project.organization_id", "vr_project.id"],
            name=op.f("fk_vr_job_organization_id_project_id"),
        ),
        sa.ForeignKeyConstraint(["organization_id"], ["vr_organization.id"], name=op.f("fk_vr_job_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vr_job")),
    )
    with op.batch_alter_table("vr_job", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vr_job_organization_id"), ["organization_id"], unique=False)
        batch_op.create_index("ix_vr_job_organization_status", ["organization_id", "status"], unique=False)

    op.create_table(
        "vr_event",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=True),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("created_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.CheckConstraint("(job_id IS NULL) = (sequence = 0)", name=op.f("ck_vr_event_sequence_of_job")),
        sa.ForeignKeyConstraint(["job_id"], ["vr_job.id"], name=op.f("fk_vr_event_job_id")),
        sa.ForeignKeyConstraint(["organization_id"], ["vr_organization.id"], name=op.f("fk_vr_event_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vr_event")),
        sa.UniqueConstraint("job_id", "sequence", name=op.f("uq_vr_event_job_id_sequence")),
    )
    with op.batch_alter_table("vr_event", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vr_event_created_at"), ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_vr_event_organization_id"), ["organization_id"], unique=False)

    op.create_table(
        "vr_webhook_endpoint",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("description", sa.String(length=200), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("sealed_secret", sa.String(length=512), nullable=False),
        sa.Column("retired_secrets", sa.JSON(), nullable=False),
        sa.Column("created_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("updated_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("archived_at", recaster.infra.database.UtcTime(), nullable=True),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.CheckConstraint(
            "status IN ('active', 'paused', 'auto_paused')", name=op.f("ck_vr_webhook_endpoint_status_known")
        ),
        sa.CheckConstraint("failures >= 0", name=op.f("ck_vr_webhook_endpoint_failures_not_negative")),
        sa.ForeignKeyConstraint(
            ["organization_id", "project_id"],
            ["vr_project.organization_id", "vr_project.id"],
            name=op.f("fk_vr_webhook_endpoint_organization_id_project_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["vr_organization.id"], name=op.f("fk_vr_webhook_endpoint_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vr_webhook_endpoint")),
    )
    with op.batch_alter_table("vr_webhook_endpoint", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vr_webhook_endpoint_organization_id"), ["organization_id"], unique=False)

    op.create_table(
        "vr_webhook_delivery",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("replay_of", sa.String(length=64), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.JSON(), nullable=False),
        sa.Column("next_attempt_at", recaster.infra.database.UtcTime(), nullable=True),
        sa.Column("claimed_until", recaster.infra.database.UtcTime(), nullable=True),
        sa.Column("claim", sa.String(length=64), nullable=True),
        sa.Column("created_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("delivered_at", recaster.infra.database.UtcTime(), nullable=True),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'delivered', 'failed')", name=op.f("ck_vr_webhook_delivery_status_known")
        ),
        sa.CheckConstraint(
            "(status = 'pending') = (next_attempt_at IS NOT NULL)",
            name=op.f("ck_vr_webhook_delivery_due_while_pending"),
        ),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["vr_webhook_endpoint.id"], name=op.f("fk_vr_webhook_delivery_endpoint_id")
        ),
        sa.ForeignKeyConstraint(["event_id"], ["vr_event.id"], name=op.f("fk_vr_webhook_delivery_event_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["vr_organization.id"], name=op.f("fk_vr_webhook_delivery_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vr_webhook_delivery")),
    )
    with op.batch_alter_table("vr_webhook_delivery", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vr_webhook_delivery_event_id"), ["event_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_vr_webhook_delivery_organization_id"), ["organization_id"], unique=False)
        batch_op.create_index("ix_vr_webhook_delivery_due", ["status", "next_attempt_at"], unique=False)
        batch_op.create_index("ix_vr_webhook_delivery_endpoint", ["endpoint_id", "created_at", "id"], unique=False)

    op.create_table(
        "vr_media_asset",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("mime_type", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("checksum_sha256", sa.String(), nullable=False),
        sa.Column("object_key", sa.String(), nullable=False),
        sa.Column("created_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.CheckConstraint("kind IN ('image', 'video')", name=op.f("ck_vr_media_asset_kind")),
        sa.ForeignKeyConstraint(
            ["organization_id", "project_id"],
            ["vr_project.organization_id", "vr_project.id"],
            name=op.f("fk_vr_media_asset_organization_id_project_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["vr_organization.id"], name=op.f("fk_vr_media_asset_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vr_media_asset")),
    )
    with op.batch_alter_table("vr_media_asset", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vr_media_asset_organization_id"), ["organization_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_vr_media_asset_project_id"), ["project_id"], unique=False)

    op.create_table(
        "vr_social_account",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("handle", sa.String(), nullable=False),
        sa.Column("handle_key", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("created_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("archived_at", recaster.infra.database.UtcTime(), nullable=True),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "project_id"],
            ["vr_project.organization_id", "vr_project.id"],
            name=op.f("fk_vr_social_account_organization_id_project_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["vr_organization.id"], name=op.f("fk_vr_social_account_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vr_social_account")),
    )
    with op.batch_alter_table("vr_social_account", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vr_social_account_organization_id"), ["organization_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_vr_social_account_project_id"), ["project_id"], unique=False)
        batch_op.create_index(
            "uq_vr_social_account_live",
            ["project_id", "platform", "handle_key"],
            unique=True,
            sqlite_where=sa.text("archived_at IS NULL"),
            postgresql_where=sa.text("archived_at IS NULL"),
        )

    op.create_table(
        "vr_source",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("tiktok_video_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("mime_type", sa.String(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("checksum_sha256", sa.String(), nullable=True),
        sa.Column("object_key", sa.String(), nullable=True),
        sa.Column("fetched_with", sa.String(), nullable=True),
        sa.Column("seen_at", recaster.infra.database.UtcTime(), nullable=True),
        sa.Column("refused_reason", sa.String(), nullable=True),
        sa.Column("rights_basis", sa.String(), nullable=True),
        sa.Column("rights_note", sa.String(), nullable=True),
        sa.Column("rights_by", sa.String(), nullable=True),
        sa.Column("rights_at", recaster.infra.database.UtcTime(), nullable=True),
        sa.Column("author", sa.String(), nullable=True),
        sa.Column("caption", sa.String(), nullable=True),
        sa.Column("hashtags", sa.JSON(), nullable=False),
        sa.Column("views", sa.BigInteger(), nullable=True),
        sa.Column("likes", sa.BigInteger(), nullable=True),
        sa.Column("comments", sa.BigInteger(), nullable=True),
        sa.Column("shares", sa.BigInteger(), nullable=True),
        sa.Column("published_at", recaster.infra.database.UtcTime(), nullable=True),
        sa.Column("thumbnail_url", sa.String(), nullable=True),
        sa.Column("measured", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.CheckConstraint("(rights_basis IS NULL) = (rights_at IS NULL)", name=op.f("ck_vr_source_rights_complete")),
        sa.CheckConstraint("state <> 'ready' OR object_key IS NOT NULL", name=op.f("ck_vr_source_ready_has_file")),
        sa.CheckConstraint("state IN ('listed', 'ready', 'refused')", name=op.f("ck_vr_source_state_known")),
        sa.CheckConstraint(
            "rights_basis IN ('operator_statement', 'licence', 'creator_permission')",
            name=op.f("ck_vr_source_rights_basis"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id", "project_id"],
            ["vr_project.organization_id", "vr_project.id"],
            name=op.f("fk_vr_source_organization_id_project_id"),
        ),
        sa.ForeignKeyConstraint(["organization_id"], ["vr_organization.id"], name=op.f("fk_vr_source_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vr_source")),
        sa.UniqueConstraint("project_id", "tiktok_video_id", name=op.f("uq_vr_source_project_id_tiktok_video_id")),
    )
    with op.batch_alter_table("vr_source", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vr_source_organization_id"), ["organization_id"], unique=False)

    op.create_table(
        "vr_source_lookup",
        sa.Column("tiktok_video_id", sa.String(length=20), nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("found", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("fetcher", sa.String(length=60), nullable=False),
        sa.Column("checked_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.CheckConstraint("outcome IN ('found', 'refused', 'later')", name=op.f("ck_vr_source_lookup_outcome_known")),
        sa.PrimaryKeyConstraint("tiktok_video_id", name=op.f("pk_vr_source_lookup")),
    )
    with op.batch_alter_table("vr_source_lookup", schema=None) as batch_op:
        batch_op.create_index("ix_vr_source_lookup_checked_at", ["checked_at"], unique=False)

    op.create_table(
        "vr_source_breaker",
        sa.Column("fetcher", sa.String(length=60), nullable=False),
        sa.Column("opened_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("next_probe_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("fetcher", name=op.f("pk_vr_source_breaker")),
    )
    op.create_table(
        "vr_source_retry",
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("signal", sa.String(length=16), nullable=False),
        sa.Column("next_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_vr_source_retry")),
    )
    op.create_table(
        "vr_operator_secret",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("stored_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_vr_operator_secret")),
    )
    op.create_table(
        "vr_container",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("approval_status", sa.String(length=16), nullable=False),
        sa.Column("format", sa.String(length=32), nullable=False),
        sa.Column("influencer_id", sa.String(length=64), nullable=False),
        sa.Column("social_account_id", sa.String(length=64), nullable=True),
        sa.Column("layer_id", sa.String(length=64), nullable=True),
        sa.Column("source_id", sa.String(length=64), nullable=False),
        sa.Column("source_tiktok_id", sa.String(length=32), nullable=False),
        sa.Column("source_credit", sa.String(length=80), nullable=True),
        sa.Column("caption", sa.Text(), nullable=True),
        sa.Column("overlays", sa.JSON(), nullable=False),
        sa.Column("disclosure", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("quality", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("last_error", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("reviewed_at", recaster.infra.database.UtcTime(), nullable=True),
        sa.Column("review_reason", sa.String(length=500), nullable=True),
        sa.Column("created_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("completed_at", recaster.infra.database.UtcTime(), nullable=True),
        sa.Column("failed_at", recaster.infra.database.UtcTime(), nullable=True),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.CheckConstraint(
            "status IN ('queued', 'processing', 'completed', 'failed', 'canceled')",
            name=op.f("ck_vr_container_status_known"),
        ),
        sa.CheckConstraint(
            "approval_status IN ('not_required', 'pending', 'approved', 'rejected')",
            name=op.f("ck_vr_container_approval_status_known"),
        ),
        sa.ForeignKeyConstraint(["job_id"], ["vr_job.id"], name=op.f("fk_vr_container_job_id")),
        sa.ForeignKeyConstraint(
            ["organization_id", "project_id"],
            ["vr_project.organization_id", "vr_project.id"],
            name=op.f("fk_vr_container_organization_id_project_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["vr_organization.id"], name=op.f("fk_vr_container_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vr_container")),
    )
    with op.batch_alter_table("vr_container", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vr_container_job_id"), ["job_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_vr_container_organization_id"), ["organization_id"], unique=False)
        batch_op.create_index("ix_vr_container_project_created", ["project_id", "created_at", "id"], unique=False)

    op.create_table(
        "vr_credit_reservation",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("included", sa.Integer(), nullable=False),
        sa.Column("prepaid", sa.Integer(), nullable=False),
        sa.Column("created_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.CheckConstraint("included >= 0 AND prepaid >= 0", name=op.f("ck_vr_credit_reservation_parts_not_negative")),
        sa.ForeignKeyConstraint(["job_id"], ["vr_job.id"], name=op.f("fk_vr_credit_reservation_job_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["vr_organization.id"], name=op.f("fk_vr_credit_reservation_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vr_credit_reservation")),
        sa.UniqueConstraint("job_id", name=op.f("uq_vr_credit_reservation_job_id")),
    )
    with op.batch_alter_table("vr_credit_reservation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vr_credit_reservation_organization_id"), ["organization_id"], unique=False)

    op.create_table(
        "vr_layer",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("social_account_id", sa.String(), nullable=True),
        sa.Column("content_layer_id", sa.String(), nullable=True),
        sa.Column("influencer_id", sa.String(), nullable=True),
        sa.Column("created_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("updated_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("archived_at", recaster.infra.database.UtcTime(), nullable=True),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.CheckConstraint(
            "(kind = 'social_distribution' AND social_account_id IS NOT NULL AND influencer_id IS NULL)"
            " OR (kind = 'social_content' AND social_account_id IS NULL AND content_layer_id IS NULL)",
            name=op.f("ck_vr_layer_config"),
        ),
        sa.ForeignKeyConstraint(["content_layer_id"], ["vr_layer.id"], name=op.f("fk_vr_layer_content_layer_id")),
        sa.ForeignKeyConstraint(["influencer_id"], ["vr_influencer.id"], name=op.f("fk_vr_layer_influencer_id")),
        sa.ForeignKeyConstraint(
            ["organization_id", "project_id"],
            ["vr_project.organization_id", "vr_project.id"],
            name=op.f("fk_vr_layer_organization_id_project_id"),
        ),
        sa.ForeignKeyConstraint(["organization_id"], ["vr_organization.id"], name=op.f("fk_vr_layer_organization_id")),
        sa.ForeignKeyConstraint(
            ["social_account_id"], ["vr_social_account.id"], name=op.f("fk_vr_layer_social_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vr_layer")),
    )
    with op.batch_alter_table("vr_layer", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vr_layer_content_layer_id"), ["content_layer_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_vr_layer_organization_id"), ["organization_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_vr_layer_project_id"), ["project_id"], unique=False)
        batch_op.create_index(
            "uq_vr_layer_account",
            ["social_account_id"],
            unique=True,
            sqlite_where=sa.text("archived_at IS NULL AND social_account_id IS NOT NULL"),
            postgresql_where=sa.text("archived_at IS NULL AND social_account_id IS NOT NULL"),
        )

    op.create_table(
        "vr_asset",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("container_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("object_key", sa.String(length=512), nullable=False),
        sa.Column("mime_type", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("checksum_sha256", sa.String(length=64), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("created_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.CheckConstraint("kind IN ('video', 'thumbnail')", name=op.f("ck_vr_asset_kind_known")),
        sa.ForeignKeyConstraint(["container_id"], ["vr_container.id"], name=op.f("fk_vr_asset_container_id")),
        sa.ForeignKeyConstraint(["organization_id"], ["vr_organization.id"], name=op.f("fk_vr_asset_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vr_asset")),
    )
    with op.batch_alter_table("vr_asset", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vr_asset_container_id"), ["container_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_vr_asset_organization_id"), ["organization_id"], unique=False)

    op.create_table(
        "vr_ledger_transaction",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=True),
        sa.Column("resolves_id", sa.String(length=64), nullable=True),
        sa.Column("note", sa.String(length=500), nullable=True),
        sa.Column("created_at", recaster.infra.database.UtcTime(), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["vr_job.id"], name=op.f("fk_vr_ledger_transaction_job_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["vr_organization.id"], name=op.f("fk_vr_ledger_transaction_organization_id")
        ),
        sa.ForeignKeyConstraint(
            ["resolves_id"], ["vr_credit_reservation.id"], name=op.f("fk_vr_ledger_transaction_resolves_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vr_ledger_transaction")),
        sa.UniqueConstraint("resolves_id", name=op.f("uq_vr_ledger_transaction_resolves_id")),
    )
    with op.batch_alter_table("vr_ledger_transaction", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vr_ledger_transaction_organization_id"), ["organization_id"], unique=False)

    op.create_table(
        "vr_ledger_entry",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("transaction_id", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=16), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_vr_ledger_entry_amount_not_zero")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["vr_organization.id"], name=op.f("fk_vr_ledger_entry_organization_id")
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["vr_ledger_transaction.id"],
            name=op.f("fk_vr_ledger_entry_transaction_id"),
            deferrable=True,
            initially="DEFERRED",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vr_ledger_entry")),
        sa.UniqueConstraint("transaction_id", "account", name=op.f("uq_vr_ledger_entry_transaction_id_account")),
    )
    with op.batch_alter_table("vr_ledger_entry", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vr_ledger_entry_organization_id"), ["organization_id"], unique=False)

    _protect()


def _protect() -> None:
    """Make the database itself refuse what must never happen, whatever a program does.

    Booked credits and the audit log only grow, a ledger transaction balances, an ended job stays as it ended.
    """
    append_only = ("vr_ledger_transaction", "vr_ledger_entry", "vr_credit_reservation", "vr_audit_entry")
    balanced = "COALESCE((SELECT SUM(amount) FROM vr_ledger_entry WHERE transaction_id = NEW.id), 0) <> 0"
    late = "EXISTS (SELECT 1 FROM vr_ledger_transaction WHERE id = NEW.transaction_id)"
    reopened = "OLD.status <> 'running' AND NEW.status <> OLD.status"
    refusals = [
        *((table, event, f"no_{event.lower()}", "1 = 1", f"{table} is append-only")
          for table in append_only for event in ("UPDATE", "DELETE")),
        ("vr_ledger_transaction", "INSERT", "balanced", balanced, "the entries do not sum to zero"),
        ("vr_ledger_entry", "INSERT", "not_late", late, "the transaction of this entry is closed"),
        ("vr_job", "UPDATE", "stays_ended", reopened, "an ended job stays as it ended"),
    ]  # fmt: skip
    postgres = op.get_bind().dialect.name == "postgresql"
    for table, event, name, condition, message in refusals:
        trigger = f"{table}_{name}"
        if postgres:
            # Conditions of Postgres triggers cannot hold subqueries, so the function checks.
            op.execute(
                f"CREATE FUNCTION {trigger}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                f"IF {condition} THEN RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', "
                f"MESSAGE = '{message}'; END IF; RETURN NEW; END $$"
            )
            op.execute(f"CREATE TRIGGER {trigger} BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {trigger}()")
        else:
            op.execute(
                f"CREATE TRIGGER {trigger} BEFORE {event} ON {table} WHEN {condition} "
                f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            )


def downgrade() -> None:
    with op.batch_alter_table("vr_ledger_entry", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_vr_ledger_entry_organization_id"))

    op.drop_table("vr_ledger_entry")
    with op.batch_alter_table("vr_ledger_transaction", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_vr_ledger_transaction_organization_id"))

    op.drop_table("vr_ledger_transaction")
    with op.batch_alter_table("vr_asset", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_vr_asset_organization_id"))
        batch_op.drop_index(batch_op.f("ix_vr_asset_container_id"))

    op.drop_table("vr_asset")
    with op.batch_alter_table("vr_layer", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_vr_layer_account",
            sqlite_where=sa.text("archived_at IS NULL AND social_account_id IS NOT NULL"),
            postgresql_where=sa.text("archived_at IS NULL AND social_account_id IS NOT NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_vr_layer_project_id"))
        batch_op.drop_index(batch_op.f("ix_vr_layer_organization_id"))
        batch_op.drop_index(batch_op.f("ix_vr_layer_content_layer_id"))

    op.drop_table("vr_layer")
    op.drop_table("vr_webhook_delivery")
    op.drop_table("vr_webhook_endpoint")
    op.drop_table("vr_event")
    op.drop_table("vr_audit_entry")
    with op.batch_alter_table("vr_credit_reservation", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_vr_credit_reservation_organization_id"))

    op.drop_table("vr_credit_reservation")
    with op.batch_alter_table("vr_container", schema=None) as batch_op:
        batch_op.drop_index("ix_vr_container_project_created")
        batch_op.drop_index(batch_op.f("ix_vr_container_organization_id"))
        batch_op.drop_index(batch_op.f("ix_vr_container_job_id"))

    op.drop_table("vr_container")
    with op.batch_alter_table("vr_source", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_vr_source_organization_id"))

    op.drop_table("vr_source")
    op.drop_table("vr_operator_secret")
    op.drop_table("vr_source_retry")
    op.drop_table("vr_source_breaker")
    with op.batch_alter_table("vr_source_lookup", schema=None) as batch_op:
        batch_op.drop_index("ix_vr_source_lookup_checked_at")

    op.drop_table("vr_source_lookup")
    with op.batch_alter_table("vr_social_account", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_vr_social_account_live",
            sqlite_where=sa.text("archived_at IS NULL"),
            postgresql_where=sa.text("archived_at IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_vr_social_account_project_id"))
        batch_op.drop_index(batch_op.f("ix_vr_social_account_organization_id"))

    op.drop_table("vr_social_account")
    with op.batch_alter_table("vr_media_asset", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_vr_media_asset_project_id"))
        batch_op.drop_index(batch_op.f("ix_vr_media_asset_organization_id"))

    op.drop_table("vr_media_asset")
    with op.batch_alter_table("vr_job", schema=None) as batch_op:
        batch_op.drop_index("ix_vr_job_organization_status")
        batch_op.drop_index(batch_op.f("ix_vr_job_organization_id"))

    op.drop_table("vr_job")
    with op.batch_alter_table("vr_influencer", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_vr_influencer_project_id"))
        batch_op.drop_index(batch_op.f("ix_vr_influencer_organization_id"))

    op.drop_table("vr_influencer")
    with op.batch_alter_table("vr_idempotency_key", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_vr_idempotency_key_organization_id"))
        batch_op.drop_index(batch_op.f("ix_vr_idempotency_key_created_at"))

    op.drop_table("vr_idempotency_key")
    op.drop_table("vr_wallet")
    with op.batch_alter_table("vr_project", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_vr_project_organization_id"))
        batch_op.drop_index("ix_vr_project_list")

    op.drop_table("vr_project")
    with op.batch_alter_table("vr_api_key", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_vr_api_key_organization_id"))

    op.drop_table("vr_api_key")
    op.drop_table("vr_rate_window")
    op.drop_table("vr_worker_lease")
    op.drop_table("vr_organization")
