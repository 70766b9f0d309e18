"""Which stages a call goes through on its way to what serves it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apps.core import metrics
from apps.core.edge import Answer, Call, Proceed, Router, Stage, compose, json_answer, receive
from apps.core.streams import Writer
from apps.deployments.edge import Fleet
from apps.gateway import edge as gateway
from apps.gateway.bodies import keep_bodies
from apps.gateway.budgets import WithinBudget
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
from workers.edge import browsers
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


@dataclass(frozen=True, slots=True)
class Served:
    """What serves the Open Inference Protocol's three questions about a model, behind who asks."""

    infer: Proceed
    metadata: Proceed
    ready: Proceed


def build(
    snapshots: SnapshotReader,
    fleet: Fleet,
    writer: Writer,
    quota: WithinQuota,
    budget: WithinBudget,
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
    limit = limits.limit(limiter, recorder, limits.PREDICTIONS)
    limit_models = limits.limit(limiter, recorder, limits.GATEWAY, gateway.expected)
    call = tokens.permit("gateway.call")
    read: Sequence[Stage] = [*allowed, call, receive, gateway.read]
    asked: Sequence[Stage] = [*read, limit_models, budget, keep_bodies, meter, gateway.price]
    shared = browsers.share(browsers.pages_origin())
    for path, face in FACES.items():
        stages: Sequence[Stage] = [shared, *known, gateway.begin(face), record_model, *asked, cache]
        router.add("POST", path, compose(stages, dispatcher))
        router.add("OPTIONS", path, compose([shared], browsers.preflight))
    count: Sequence[Stage] = [*known, gateway.begin(Face.MESSAGES), *read, limit_models]
    router.add("POST", "/v1/messages/count_tokens", compose(count, dispatcher.count))
    inspect = [gateway.begin(Face.INFER), *allowed, call]
    listed = [*known, *inspect]
    router.add("GET", "/v1/models", compose(listed, gateway.models))
    router.add("GET", "/v1/models/{name*}", compose(listed, gateway.model))
    router.add("GET", "/v1/responses/{name}", compose(listed, gateway.unstored))
    routed = Served(
        compose([gateway.begin(Face.INFER), record_model, *asked, quota], dispatcher),
        *(compose(inspect, tell) for tell in gateway.described_route(dispatcher.is_ready)),
    )
    _add_predictions(router, fleet, known, [record, *allowed], limit, [quota, meter], routed)
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
    routed: Served,
) -> None:
    predict = [*allowed, tokens.permit("predictions.create"), limit, receive, *metered]
    inspect = [*allowed, tokens.permit("predictions.create", "deployments.read"), limit]
    served = Served(compose(predict, fleet.infer), compose(inspect, fleet.metadata), compose(inspect, fleet.ready))

    def either(of_deployment: Proceed, of_route: Proceed) -> Proceed:
        """What serves a name: a deployment, or else a route."""

        async def serve(call: Call) -> Answer:
            is_routes = not fleet.has(call) and gateway.has_route(call)
            return await (of_route if is_routes else of_deployment)(call)

        return compose(known, serve)

    for path in MODEL_PATHS:
        router.add("POST", f"{path}/infer", either(served.infer, routed.infer))
        router.add("GET", f"{path}/ready", either(served.ready, routed.ready))
        router.add("GET", path, either(served.metadata, routed.metadata))


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
