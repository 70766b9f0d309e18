"""Which stages a call goes through on its way to what serves it."""

from __future__ import annotations

from collections.abc import Sequence

from apps.core import metrics
from apps.core.edge import Answer, Call, Proceed, Router, Stage, compose, json_answer, receive
from apps.core.streams import Writer
from apps.deployments.edge import Fleet
from apps.logs.edge import record
from apps.organizations import edge as tokens
from apps.ratelimits import edge as limits
from apps.ratelimits.engine import AsyncLimiter
from apps.ratelimits.seen import Recorder
from apps.usage.edge import WithinQuota, meter
from workers.edge.snapshots import SnapshotReader

VERSION = "1"
MODEL_PATHS = ("/v2/models/{name}", "/v2/models/{name}/versions/{version}")


def build(
    snapshots: SnapshotReader,
    fleet: Fleet,
    writer: Writer,
    quota: WithinQuota,
    limiter: AsyncLimiter,
    recorder: Recorder,
) -> Router:
    """The router over all of the data plane's paths."""
    router = Router()
    entrance = [
        admit(writer),
        limits.guard_tokens(limiter, recorder, snapshots),
        tokens.authenticate(snapshots),
        record,
        tokens.while_active,
        tokens.within_networks,
        tokens.note_use(),
    ]
    limit = limits.limit(limiter, recorder)
    predict: Sequence[Stage] = [*entrance, tokens.permit("predictions.create"), limit, receive, quota, meter]
    inspect: Sequence[Stage] = [*entrance, tokens.permit("predictions.create", "deployments.read"), limit]
    for path in MODEL_PATHS:
        router.add("POST", f"{path}/infer", compose(predict, fleet.infer))
        router.add("GET", f"{path}/ready", compose(inspect, fleet.ready))
        router.add("GET", path, compose(inspect, fleet.metadata))
    ready = readiness(snapshots)
    for method in ("GET", "HEAD"):
        router.add(method, "/v2", server_metadata)
        router.add(method, "/v2/health/live", live)
        router.add(method, "/healthz", live)
        router.add(method, "/v2/health/ready", ready)
        router.add(method, "/readyz", ready)
    router.add("GET", "/metrics", scrape)
    return router


def admit(writer: Writer) -> Stage:
    """Refuse a call whose events could not be kept."""

    async def stage(call: Call, proceed: Proceed) -> Answer:
        writer.require_room()
        return await proceed(call)

    return stage


def readiness(snapshots: SnapshotReader) -> Proceed:
    async def ready(call: Call) -> Answer:
        return json_answer({"ready": snapshots.is_loaded}, 200 if snapshots.is_loaded else 503)

    return ready


async def live(call: Call) -> Answer:
    return json_answer({"live": True})


async def scrape(call: Call) -> Answer:
    metrics.refuse_unless_scraper(call.headers.get(b"authorization", b"").decode("latin-1"))
    return Answer(200, [(b"content-type", metrics.CONTENT_TYPE.encode())], metrics.exposition())


async def server_metadata(call: Call) -> Answer:
    return json_answer({"name": "modelyard", "version": VERSION, "extensions": []})
