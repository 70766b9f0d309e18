"""Which stages a call goes through on its way to what serves it."""

from __future__ import annotations

from collections.abc import Sequence

from apps.core import metrics
from apps.core.edge import Answer, Call, Proceed, Router, Stage, compose, json_answer, receive
from apps.core.streams import Writer
from apps.deployments.edge import Fleet
from apps.gateway import edge as gateway
from apps.gateway.bodies import keep_bodies
from apps.gateway.cache import Cache
from apps.gateway.dialects.faces import refused_anthropic, refused_openai
from apps.gateway.dispatch import Dispatcher
from apps.gateway.enums import Face
from apps.gateway.recording import record as record_model
from apps.logs.edge import record
from apps.organizations import edge as tokens
from apps.ratelimits import edge as limits
from apps.ratelimits.engine import AsyncLimiter
from apps.ratelimits.seen import Recorder
from apps.usage.edge import WithinQuota, meter
from workers.edge.snapshots import SnapshotReader

VERSION = "1"
MODEL_PATHS = ("/v2/models/{name}", "/v2/models/{name}/versions/{version}")
FACES = {
    "/v1/chat/completions": Face.CHAT,
    "/v1/completions": Face.COMPLETIONS,
    "/v1/embeddings": Face.EMBEDDINGS,
    "/v1/responses": Face.RESPONSES,
    "/v1/messages": Face.MESSAGES,
}


def build(
    snapshots: SnapshotReader,
    fleet: Fleet,
    writer: Writer,
    quota: WithinQuota,
    limiter: AsyncLimiter,
    recorder: Recorder,
    dispatcher: Dispatcher,
    cache: Cache,
) -> Router:
    """The router over all of the data plane's paths."""
    router = Router()
    known: Sequence[Stage] = [
        admit(writer),
        limits.guard_tokens(limiter, recorder, snapshots),
        tokens.authenticate(snapshots),
    ]
    allowed: Sequence[Stage] = [tokens.while_active, tokens.within_networks, tokens.note_use()]
    limit = limits.limit(limiter, recorder)
    _add_predictions(router, fleet, known, [record, *allowed], limit, [quota, meter])
    limit_models = limits.limit(limiter, recorder, gateway.expected)
    call = tokens.permit("gateway.call")
    asked: Sequence[Stage] = [call, receive, gateway.read, limit_models, keep_bodies, meter, gateway.price, cache]
    for path, face in FACES.items():
        router.add("POST", path, compose([*known, gateway.begin(face), record_model, *allowed, *asked], dispatcher))
    listed = [*known, gateway.begin(Face.CHAT), *allowed, call]
    router.add("GET", "/v1/models", compose(listed, gateway.models))
    router.add("GET", "/v1/models/{name*}", compose(listed, gateway.model))
    router.add("GET", "/v1/responses/{name}", compose(listed, gateway.unstored))
    router.refuse("/v1/", refused_openai)
    router.refuse("/v1/messages", refused_anthropic)
    _add_probes(router, snapshots)
    return router


def _add_predictions(
    router: Router,
    fleet: Fleet,
    known: Sequence[Stage],
    allowed: Sequence[Stage],
    limit: Stage,
    metered: Sequence[Stage],
) -> None:
    predict = [*known, *allowed, tokens.permit("predictions.create"), limit, receive, *metered]
    inspect = [*known, *allowed, tokens.permit("predictions.create", "deployments.read"), limit]
    for path in MODEL_PATHS:
        router.add("POST", f"{path}/infer", compose(predict, fleet.infer))
        router.add("GET", f"{path}/ready", compose(inspect, fleet.ready))
        router.add("GET", path, compose(inspect, fleet.metadata))


def _add_probes(router: Router, snapshots: SnapshotReader) -> None:
    ready = readiness(snapshots)
    for method in ("GET", "HEAD"):
        router.add(method, "/v2", server_metadata)
        router.add(method, "/v2/health/live", live)
        router.add(method, "/healthz", live)
        router.add(method, "/v2/health/ready", ready)
        router.add(method, "/readyz", ready)
    router.add("GET", "/metrics", scrape)


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
