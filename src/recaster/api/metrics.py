"""What `/metrics` shows in Prometheus' text form: requests of this process, and counts that the database knows.

Counts come from the tables when they are asked for (at most every two seconds), so they are true over restarts and for
all processes together; they name no organization, because the route is open.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.orm import InstrumentedAttribute

from recaster.infra.database import Database
from recaster.service.credits.model import LedgerTransaction, Wallet
from recaster.service.jobs.model import Job
from recaster.service.webhooks.model import Event, WebhookDelivery, WebhookEndpoint

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_FRESH_SECONDS: Final = 2.0
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one app: no global registry, so that two apps in one process do not mix."""

    def __init__(self, database: Database) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "recaster_http_requests", "Answered requests.", ("method", "route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "recaster_http_request_seconds",
            "Time to the head of the answer.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._registry.register(_DatabaseCounts(database))

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. `route` is the path with its parameters in braces, or `unrouted`."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """Return all metrics."""
        return generate_latest(self._registry)


class _DatabaseCounts(Collector):
    def __init__(self, database: Database) -> None:
        self._database = database
        self._mutex = threading.Lock()
        self._counted: tuple[float, list[Metric]] | None = None

    def describe(self) -> Iterable[Metric]:
        # Without this the registry would collect at once, before there are tables.
        return []

    def collect(self) -> Iterable[Metric]:
        # Counting reads whole tables and everybody may ask: one count serves all who ask at about the same time.
        with self._mutex:
            now = time.monotonic()
            if self._counted is None or now - self._counted[0] >= _FRESH_SECONDS:
                self._counted = (now, list(self._count()))
            return self._counted[1]

    def _count(self) -> Iterable[Metric]:
        with self._database.system_read() as session:

            def counted(
                *columns: InstrumentedAttribute[str], value: sa.ColumnElement[int]
            ) -> list[tuple[list[str], int]]:
                rows = session.execute(sa.select(*columns, value).group_by(*columns)).all()
                return [([str(part) for part in row[:-1]], int(row[-1] or 0)) for row in rows]

            yield _family(
                CounterMetricFamily(
                    "recaster_jobs", "Jobs by how they stand.", labels=("kind", "environment", "status")
                ),
                counted(Job.kind, Job.environment, Job.status, value=sa.func.count(Job.id)),
            )
            running = sa.case((Job.status == "running", 1), else_=0)
            yield _family(
                GaugeMetricFamily("recaster_jobs_running", "Running jobs by stage.", labels=("stage",)),
                [row for row in counted(Job.stage, value=sa.func.sum(running)) if row[1]],
            )
            yield _family(
                CounterMetricFamily("recaster_events", "Events that were written.", labels=("type",)),
                counted(Event.type, value=sa.func.count(Event.id)),
            )
            yield _family(
                GaugeMetricFamily("recaster_webhook_deliveries", "Kept deliveries.", labels=("status",)),
                counted(WebhookDelivery.status, value=sa.func.count(WebhookDelivery.id)),
            )
            live = sa.case((WebhookEndpoint.archived_at.is_(None), 1), else_=0)
            yield _family(
                GaugeMetricFamily("recaster_webhook_endpoints", "Webhook endpoints.", labels=("status",)),
                counted(WebhookEndpoint.status, value=sa.func.sum(live)),
            )
            yield _family(
                CounterMetricFamily("recaster_ledger_transactions", "Movements of credits.", labels=("kind",)),
                counted(LedgerTransaction.kind, value=sa.func.count(LedgerTransaction.id)),
            )
            accounts = ("included", "prepaid", "held_included", "held_prepaid", "used")
            sums = session.execute(sa.select(*(sa.func.sum(getattr(Wallet, name)) for name in accounts))).one()
            yield _family(
                GaugeMetricFamily("recaster_credits", "Credits of all wallets together.", labels=("account",)),
                [([name], int(total or 0)) for name, total in zip(accounts, sums, strict=True)],
            )


def _family(
    family: CounterMetricFamily | GaugeMetricFamily, rows: Iterable[tuple[list[str], int]]
) -> CounterMetricFamily | GaugeMetricFamily:
    for labels, value in rows:
        family.add_metric(labels, value)
    return family
