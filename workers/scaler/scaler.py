"""What the leading scaler does twice a second, for all organizations.

It keeps every deployment and replica in memory and asks the database only which generations there are, so that a tick
in which nothing happened is one query, however many organizations there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import redis
import structlog
from django.db import DataError, IntegrityError
from redis.exceptions import LockError

from apps.core import snapshots, tenancy
from apps.deployments import steering
from apps.deployments.lifecycle import DRAIN, STOP_GRACE, Order, Sight
from apps.deployments.models import Replica
from apps.deployments.probing import Prober
from apps.deployments.runtimes import Running, Runtime
from workers.scaler.leadership import Listed

log = structlog.get_logger(__name__)


class Scaler:
    """One term of leadership: it begins by reading everything."""

    def __init__(self, runtime: Runtime, prober: Prober) -> None:
        self._runtime = runtime
        self._prober = prober
        self._endpoints: dict[UUID, steering.Endpoint] = {}
        self._stale: set[UUID] = set()
        self._missed: Counter[UUID] = Counter()
        self._orphans: dict[UUID, datetime] = {}
        self._unpublished: set[UUID] = set()
        self._published_at: dict[UUID, datetime] = {}

    def tick(self, listed: Mapping[UUID, Listed], now: datetime) -> None:
        self._forget_deleted(listed)
        self._load_changed(listed)
        seen = self._runtime.look()
        sights = self._sights(seen)
        for deployment_id in list(self._endpoints):
            self._step(deployment_id, sights, now)
        self._publish(now)
        self._end_orphans(seen, now)

    def _forget_deleted(self, listed: Mapping[UUID, Listed]) -> None:
        for deployment_id in self._endpoints.keys() - listed.keys():
            endpoint = self._endpoints.pop(deployment_id)
            self._stale.discard(deployment_id)
            self._unpublished.add(endpoint.deployment.organization_id)

    def _load_changed(self, listed: Mapping[UUID, Listed]) -> None:
        for deployment_id, one in listed.items():
            known = self._endpoints.get(deployment_id)
            if known and known.deployment.generation == one.generation and deployment_id not in self._stale:
                continue
            with tenancy.scope(one.organization_id):
                endpoint = steering.load(deployment_id)
            if endpoint:
                self._endpoints[deployment_id] = endpoint
                self._stale.discard(deployment_id)
                self._unpublished.add(one.organization_id)

    def _sights(self, seen: Mapping[UUID, Running]) -> dict[UUID, Sight]:
        """What the runtime sees, and whether those that listen answer."""
        listening = {replica_id: running.address for replica_id, running in seen.items() if running.address}
        healthy = self._prober.ask(set(listening.values()))
        for replica_id, address in listening.items():
            self._missed[replica_id] = 0 if address in healthy else self._missed[replica_id] + 1
        return {
            replica_id: Sight(
                is_alive=running.is_alive,
                is_healthy=running.address in healthy,
                missed_probes=self._missed[replica_id],
                address=running.address,
                pid=running.pid,
                error=running.error,
            )
            for replica_id, running in seen.items()
        }

    def _step(self, deployment_id: UUID, sights: Mapping[UUID, Sight], now: datetime) -> None:
        endpoint = self._endpoints[deployment_id]
        organization_id = endpoint.deployment.organization_id
        try:
            with tenancy.scope(organization_id):
                step = steering.take_step(endpoint, sights, now)
        except steering.Superseded:
            self._stale.add(deployment_id)
            return
        except (IntegrityError, DataError):
            # One deployment that cannot be written must not hold up the others. It is read anew; until then its
            # replicas are still its own, and go on serving.
            log.exception("deployment_not_written", deployment=str(deployment_id))
            self._stale.add(deployment_id)
            return
        if step.is_routing_changed:
            self._unpublished.add(organization_id)
        for order, replica in step.orders:
            self._give(order, replica, now)

    def _give(self, order: Order, replica: Replica, now: datetime) -> None:
        match order:
            case Order.START:
                self._missed.pop(replica.pk, None)
                self._runtime.start(steering.spec_of(replica))
            case Order.KILL:
                self._runtime.kill(replica.pk)
            case Order.TERMINATE if self._is_drained(replica.organization_id, now):
                self._runtime.terminate(replica.pk)
            case Order.FORGET:
                self._missed.pop(replica.pk, None)
                self._runtime.forget(replica.pk)
        if order != Order.TERMINATE:
            log.info("replica_order", order=order.value, replica=str(replica.pk), deployment=str(replica.deployment))

    def _is_drained(self, organization_id: UUID, now: datetime) -> bool:
        """Whether the data plane was told long enough ago to send a stopping replica no more calls."""
        published_at = self._published_at.get(organization_id)
        return organization_id not in self._unpublished and (published_at is None or now - published_at >= DRAIN)

    def _publish(self, now: datetime) -> None:
        """Tell the data plane; while Redis is away it is tried again with every tick."""
        for organization_id in list(self._unpublished):
            try:
                snapshots.publish(organization_id)
            except LockError:
                continue
            except redis.RedisError as error:
                log.warning("snapshot_waits", organization=str(organization_id), error=str(error))
                return
            self._unpublished.discard(organization_id)
            self._published_at[organization_id] = now

    def _end_orphans(self, seen: Mapping[UUID, Running], now: datetime) -> None:
        """End replicas that no deployment has any more, because it was deleted."""
        owned = {replica.pk for endpoint in self._endpoints.values() for replica in endpoint.replicas}
        orphans = seen.keys() - owned
        self._orphans = {replica_id: self._orphans.get(replica_id, now) for replica_id in orphans}
        for replica_id, since in self._orphans.items():
            if not seen[replica_id].is_alive:
                self._runtime.forget(replica_id)
            elif now - since >= DRAIN + STOP_GRACE:
                self._runtime.kill(replica_id)
            elif now - since >= DRAIN:
                self._runtime.terminate(replica_id)
