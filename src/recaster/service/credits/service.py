"""Moving credits: every movement is one balanced ledger transaction and one guarded update of the wallet.

A reservation is resolved once, by capture or release. Included credits are spent before prepaid ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal

import sqlalchemy as sa

from recaster.errors import InvalidInput
from recaster.infra.database import OrganizationSession
from recaster.service.credits.model import Account, LedgerEntry, LedgerTransaction, Reservation, TransactionKind, Wallet
from recaster.service.credits.schemas import CreditEventView, CreditsPerFormat, CreditsView
from recaster.service.errors import BillingExhausted, NotFound
from recaster.service.jobs.model import Job, JobStatus

PAID_KIND: Final = "content_generate"
"""Jobs of this kind cost credits, unless they run in the sandbox."""

_EVENT_TYPES: Mapping[str, Literal["usage", "refund", "grant", "purchase", "adjustment"]] = {
    TransactionKind.CAPTURE: "usage",
    TransactionKind.REFUND: "refund",
    TransactionKind.GRANT: "grant",
    TransactionKind.PURCHASE: "purchase",
    TransactionKind.ADJUSTMENT: "adjustment",
}


def grant(
    session: OrganizationSession,
    organization_id: str,
    credits: int,
    *,
    account: Literal["prepaid", "included"] = "prepaid",
    kind: Literal["grant", "purchase", "adjustment"] = "grant",
    note: str | None = None,
) -> None:
    """Add credits to a wallet; an `adjustment` may also take some away.

    Raises:
        InvalidInput: the number is zero, negative for another kind than `adjustment`, or takes more than there is.
        NotFound: there is no such organization.
    """
    wallet = lock_wallet(session, organization_id)
    if credits == 0 or (credits < 0 and kind != "adjustment"):
        raise InvalidInput(
            f"{credits} credits cannot be given: use a number above 0 (an adjustment may be negative).",
            field="credits", value=credits, limit=1,
        )  # fmt: skip
    if getattr(wallet, account) + credits < 0:
        raise InvalidInput(
            f"The wallet has {getattr(wallet, account)} free {account} credits; {-credits} cannot be taken from it.",
            field="credits", value=credits, limit=-getattr(wallet, account),
        )  # fmt: skip
    _post(
        session,
        wallet,
        TransactionKind(kind),
        credits,
        {Account.ISSUED: -credits, Account(account): credits},
        note=note,
    )


def reserve(session: OrganizationSession, job_id: str, price: int) -> Reservation:
    """Hold `price` credits for a job of the session's organization, included ones first.

    Raises:
        BillingExhausted: less than `price` is available.
    """
    organization_id = session.organization_id
    wallet = lock_wallet(session, organization_id)
    available = wallet.included + wallet.prepaid
    if available < price:
        raise BillingExhausted(
            f"A remix costs {price} credits, {available} are available. Add credits, or wait until running jobs end.",
            required=price, available=available,
        )  # fmt: skip
    included = min(wallet.included, price)
    prepaid = price - included
    reservation = Reservation(
        id=session.new_id("res"), organization_id=organization_id, job_id=job_id, included=included, prepaid=prepaid,
        created_at=session.now,
    )  # fmt: skip
    session.add(reservation)
    if price:
        moved = {
            Account.INCLUDED: -included, Account.HELD_INCLUDED: included,
            Account.PREPAID: -prepaid, Account.HELD_PREPAID: prepaid,
        }  # fmt: skip
        _post(session, wallet, TransactionKind.RESERVE, -price, moved, job_id=job_id)
    return reservation


def capture(session: OrganizationSession, job_id: str) -> None:
    """Spend what is held for the job. Doing it again changes nothing; a job without reservation costs nothing."""
    _resolve(session, job_id, TransactionKind.CAPTURE)


def release(session: OrganizationSession, job_id: str) -> None:
    """Free what is held for the job. Doing it again changes nothing; a job without reservation held nothing."""
    _resolve(session, job_id, TransactionKind.RELEASE)


def refund(session: OrganizationSession, job_id: str, amount: int | None = None, *, note: str | None = None) -> int:
    """Give back what a job has cost, or a part of it; prepaid credits come back first. Return how many.

    Raises:
        InvalidInput: the job has cost less than `amount`, counting earlier refunds, or `amount` is below 1.
        NotFound: there is no such job, or it never held credits.
    """
    reservation = session.scalars(sa.select(Reservation).where(Reservation.job_id == job_id)).first()
    if reservation is None:
        raise NotFound("job with credits", job_id)
    wallet = lock_wallet(session, reservation.organization_id)
    booked = session.execute(
        sa.select(LedgerEntry.account, sa.func.sum(LedgerEntry.amount))
        .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
        .where(
            LedgerTransaction.job_id == job_id,
            LedgerTransaction.kind.in_([TransactionKind.CAPTURE, TransactionKind.REFUND]),
        )
        .group_by(LedgerEntry.account)
    )
    sums: dict[str, int] = {account: int(total) for account, total in booked}
    spent = sums.get(Account.USED, 0)
    wanted = spent if amount is None else amount
    if not 1 <= wanted <= spent:
        raise InvalidInput(
            f"The job {job_id} has cost {spent} credits that were not given back; {wanted} cannot be refunded.",
            field="amount", value=wanted, limit=spent,
        )  # fmt: skip
    # What capture took from the prepaid part and no refund has brought back yet.
    prepaid = min(wanted, reservation.prepaid - sums.get(Account.PREPAID, 0))
    moved = {Account.USED: -wanted, Account.PREPAID: prepaid, Account.INCLUDED: wanted - prepaid}
    _post(session, wallet, TransactionKind.REFUND, wanted, moved, job_id=job_id, note=note)
    return wanted


def _resolve(session: OrganizationSession, job_id: str, kind: TransactionKind) -> None:
    reservation = session.scalars(sa.select(Reservation).where(Reservation.job_id == job_id)).first()
    if reservation is None:
        return
    wallet = lock_wallet(session, reservation.organization_id)
    earlier = session.scalars(
        sa.select(LedgerTransaction).where(LedgerTransaction.resolves_id == reservation.id)
    ).first()
    if earlier is not None:
        if earlier.kind != kind:
            raise RuntimeError(
                f"The reservation of {job_id} was already resolved by {earlier.kind}, now {kind} was asked for."
            )
        return
    total = reservation.included + reservation.prepaid
    moved = {Account.HELD_INCLUDED: -reservation.included, Account.HELD_PREPAID: -reservation.prepaid}
    if kind is TransactionKind.CAPTURE:
        moved[Account.USED] = total
    else:
        moved |= {Account.INCLUDED: reservation.included, Account.PREPAID: reservation.prepaid}
    signed = -total if kind is TransactionKind.CAPTURE else total
    _post(session, wallet, kind, signed, moved, job_id=job_id, resolves_id=reservation.id)


def overview(session: OrganizationSession, *, video_remix_price: int) -> CreditsView:
    """Return the wallet of the session's organization as contract section 6 has it; the period is the UTC month."""
    wallet = _wallet(session, session.organization_id)
    included = wallet.included + wallet.held_included
    prepaid = wallet.prepaid + wallet.held_prepaid
    reserved = wallet.held_included + wallet.held_prepaid
    month = datetime(session.now.year, session.now.month, 1, tzinfo=UTC)
    granted = session.scalar(
        sa.select(sa.func.coalesce(sa.func.sum(LedgerEntry.amount), 0))
        .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
        .where(
            LedgerEntry.account == Account.INCLUDED,
            LedgerTransaction.kind.in_([TransactionKind.GRANT, TransactionKind.PURCHASE, TransactionKind.ADJUSTMENT]),
            LedgerTransaction.created_at >= month,
        )
    )
    used = session.scalar(
        sa.select(sa.func.coalesce(sa.func.sum(LedgerEntry.amount), 0))
        .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
        .where(LedgerEntry.account == Account.USED, LedgerTransaction.created_at >= month)
    )
    return CreditsView(
        organization_id=session.organization_id,
        balance=included + prepaid,
        available=wallet.included + wallet.prepaid,
        included_remaining=included,
        prepaid_balance=prepaid,
        reserved_credits=reserved,
        included_this_period=int(granted or 0),
        used_this_period=int(used or 0),
        current_period=f"{session.now:%Y-%m}",
        estimated_credits_per_format=CreditsPerFormat(video_remix=video_remix_price),
    )


def events_query() -> sa.Select[LedgerTransaction]:
    """Return the query of what the owner sees as history: holds and their release are no events, they cost nothing."""
    return sa.select(LedgerTransaction).where(LedgerTransaction.kind.in_(list(_EVENT_TYPES)))


def event_view(row: LedgerTransaction) -> CreditEventView:
    """Show one line of the history."""
    return CreditEventView(
        id=row.id, type=_EVENT_TYPES[row.kind], credits=row.amount, job_id=row.job_id, note=row.note,
        created_at=row.created_at,
    )  # fmt: skip


def audit(session: OrganizationSession, organization_id: str) -> list[str]:
    """Return one sentence per contradiction, none when all is well.

    The wallet equals the fold of its entries, every transaction balances, no ended job holds credits, and no paid job
    began without holding them.
    """
    findings: list[str] = []
    wallet = _wallet(session, organization_id)
    sums: dict[str, int] = {
        account: int(amount)
        for account, amount in session.execute(
            sa.select(LedgerEntry.account, sa.func.sum(LedgerEntry.amount))
            .where(LedgerEntry.organization_id == organization_id)
            .group_by(LedgerEntry.account)
        )
    }
    for account in Account:
        cached, booked = getattr(wallet, account.value), sums.get(account.value, 0)
        if cached != booked:
            findings.append(f"{account.value}: the wallet says {cached}, the entries {booked}.")
    unbalanced = session.scalars(
        sa.select(LedgerEntry.transaction_id)
        .where(LedgerEntry.organization_id == organization_id)
        .group_by(LedgerEntry.transaction_id)
        .having(sa.func.sum(LedgerEntry.amount) != 0)
    )
    findings.extend(f"{transaction_id}: its entries do not sum to zero." for transaction_id in unbalanced)
    resolved = sa.select(LedgerTransaction.id).where(LedgerTransaction.resolves_id == Reservation.id).exists()
    stale = session.scalars(
        sa.select(Reservation.job_id)
        .join(Job, Job.id == Reservation.job_id)
        .where(Reservation.organization_id == organization_id, Job.status != JobStatus.RUNNING, sa.not_(resolved))
    )
    findings.extend(f"{job_id}: has ended and still holds credits." for job_id in stale)
    held = sa.select(Reservation.id).where(Reservation.job_id == Job.id).exists()
    free = session.scalars(
        sa.select(Job.id).where(
            Job.organization_id == organization_id, Job.kind == PAID_KIND, Job.environment == "live", sa.not_(held)
        )
    )
    findings.extend(f"{job_id}: was accepted without holding credits." for job_id in free)
    return findings


def _wallet(session: OrganizationSession, organization_id: str) -> Wallet:
    wallet = session.get(Wallet, organization_id)
    if wallet is None:
        raise NotFound("organization", organization_id)
    return wallet


def lock_wallet(session: OrganizationSession, organization_id: str) -> Wallet:
    """Return a wallet that nobody else changes until the transaction ends.

    Raises:
        NotFound: there is no such organization.
    """
    # On SQLite the transaction already holds the one write lock, so what it has read stays true; on Postgres this row is
    # what spenders queue for.
    lock = session.get_bind().dialect.name != "sqlite"
    wallet = session.get(Wallet, organization_id, with_for_update=lock or None, populate_existing=lock)
    if wallet is None:
        raise NotFound("organization", organization_id)
    return wallet


def _post(
    session: OrganizationSession,
    wallet: Wallet,
    kind: TransactionKind,
    amount: int,
    moved: Mapping[Account, int],
    *,
    job_id: str | None = None,
    resolves_id: str | None = None,
    note: str | None = None,
) -> None:
    if sum(moved.values()) != 0:
        raise RuntimeError(f"A {kind} of {moved} does not sum to zero.")
    transaction_id = session.new_id("led")
    for account, change in moved.items():
        setattr(wallet, account.value, getattr(wallet, account.value) + change)
    entries = [
        {
            "organization_id": wallet.organization_id, "transaction_id": transaction_id, "account": account.value,
            "amount": change,
        }
        for account, change in moved.items()
        if change
    ]  # fmt: skip
    # The entries first: the transaction closes them, and the database refuses it where they do not balance.
    session.append(LedgerEntry, entries)
    session.add(
        LedgerTransaction(
            id=transaction_id, organization_id=wallet.organization_id, kind=kind.value, amount=amount, job_id=job_id,
            resolves_id=resolves_id, note=note, created_at=session.now,
        )
    )  # fmt: skip
    session.flush()
