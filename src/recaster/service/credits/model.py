"""Tables of the ledger. Transactions and entries are only ever added; the wallet caches their sums under constraints.

Accounts of an organization, all in whole credits. `included`, `prepaid`: free to spend. `held_included`,
`held_prepaid`: reserved for running jobs. `used`: spent. `issued`: where granted credits come from; its balance is
minus everything ever granted, so that the entries of each transaction sum to zero.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recaster.infra.database import Base, OrganizationOwned


class Account(StrEnum):
    """An account of the ledger; see the module's docstring."""

    INCLUDED = "included"
    PREPAID = "prepaid"
    HELD_INCLUDED = "held_included"
    HELD_PREPAID = "held_prepaid"
    USED = "used"
    ISSUED = "issued"


class TransactionKind(StrEnum):
    """Why credits moved."""

    GRANT = "grant"  # given by the operator
    PURCHASE = "purchase"  # bought
    ADJUSTMENT = "adjustment"  # corrected by the operator, up or down
    RESERVE = "reserve"  # held for an accepted job
    CAPTURE = "capture"  # a held amount is spent
    RELEASE = "release"  # a held amount is free again
    REFUND = "refund"  # spent credits come back


class Wallet(OrganizationOwned, Base):
    """The cached balances of one organization; the constraints make overspending impossible at any isolation."""

    __tablename__ = "vr_wallet"
    __table_args__ = tuple(
        sa.CheckConstraint(f"{name} >= 0", name=f"{name}_not_negative")
        for name in ("included", "prepaid", "held_included", "held_prepaid", "used")
    )

    organization_id: Mapped[str] = mapped_column(sa.ForeignKey("vr_organization.id"), primary_key=True)
    included: Mapped[int]
    prepaid: Mapped[int]
    held_included: Mapped[int]
    held_prepaid: Mapped[int]
    used: Mapped[int]
    issued: Mapped[int]

    @classmethod
    def empty(cls, organization_id: str) -> Wallet:
        """Return a wallet without credits."""
        return cls(
            organization_id=organization_id, included=0, prepaid=0, held_included=0, held_prepaid=0, used=0, issued=0
        )


class Reservation(OrganizationOwned, Base):
    """Credits held for one job."""

    __tablename__ = "vr_credit_reservation"
    __table_args__ = (sa.CheckConstraint("included >= 0 AND prepaid >= 0", name="parts_not_negative"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    job_id: Mapped[str] = mapped_column(sa.ForeignKey("vr_job.id"), unique=True)
    included: Mapped[int]
    prepaid: Mapped[int]
    created_at: Mapped[datetime]


class LedgerTransaction(OrganizationOwned, Base):
    """One movement of credits. `resolves_id` is unique: a reservation is captured or released once, come what may.

    It is written after its entries; the database refuses it where they do not sum to zero, and refuses entries that come
    later.
    """

    __tablename__ = "vr_ledger_transaction"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(16))
    amount: Mapped[int]
    """What the movement is about, signed as the owner sees it: spent credits are negative."""
    job_id: Mapped[str | None] = mapped_column(sa.ForeignKey("vr_job.id"))
    resolves_id: Mapped[str | None] = mapped_column(sa.ForeignKey("vr_credit_reservation.id"), unique=True)
    note: Mapped[str | None] = mapped_column(sa.String(500))
    created_at: Mapped[datetime]


class LedgerEntry(OrganizationOwned, Base):
    """One side of a transaction: `amount` is added to `account`."""

    __tablename__ = "vr_ledger_entry"
    __table_args__ = (
        sa.CheckConstraint("amount <> 0", name="amount_not_zero"),
        sa.UniqueConstraint("transaction_id", "account"),
    )

    id: Mapped[int] = mapped_column(sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)
    transaction_id: Mapped[str] = mapped_column(
        # Checked at the commit: the entries come first.
        sa.ForeignKey("vr_ledger_transaction.id", deferrable=True, initially="DEFERRED")
    )
    account: Mapped[str] = mapped_column(sa.String(16))
    amount: Mapped[int]
