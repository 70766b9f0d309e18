"""What the services of the gateway keep true, whoever calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.audit.models import AuditEntry
from apps.core import sealing, snapshots
from apps.core.actors import Actor
from apps.core.errors import DomainError
from apps.gateway import errors, services
from apps.gateway.models import Route, Target, Upstream, UpstreamKey, VirtualKey
from tests.gateway.conftest import SECRET

pytestmark = pytest.mark.django_db


def trail(action: str) -> AuditEntry:
    return AuditEntry.objects.filter(action=action).latest("pk")


def make_route(upstream: Upstream, actor: Actor, name: str = "chat", **columns: Any) -> Route:
    return services.create_route(name=name, targets=[{"upstream": upstream, "model": "m-1"}], by=actor, **columns)


def test_a_kind_that_has_an_address_brings_it(upstream: Upstream) -> None:
    assert upstream.base_url == "https://api.openai.com/v1"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1:8000/v1", "url_address_refused"),
        ("http://[::1]/v1", "url_address_refused"),
        ("http://[::ffff:10.0.0.1]/v1", "url_address_refused"),
        ("http://169.254.169.254/latest", "url_address_refused"),
        ("http://192.168.1.1/v1", "url_address_refused"),
        ("https://user:word@api.example.com/v1", "url_invalid"),
        ("https://sk-key@api.example.com/v1", "url_invalid"),
        ("file:///etc/passwd", "url_invalid"),
        ("api.example.com/v1", "url_invalid"),
        ("https://api.example.com:0/v1", "url_invalid"),
        ("https://api.example.com:99999/v1", "url_invalid"),
        ("https://api.example.com/v1?key=secret", "url_invalid"),
        (f"https://api.example.com/{'a' * 500}", "upstream_invalid"),
        ("", "base_url_required"),
    ],
)
def test_an_address_that_may_not_be_called_is_refused(url: str, code: str, in_acme: Any, actor: Actor) -> None:
    with pytest.raises(DomainError) as refused:
        services.create_upstream(name="Odd", kind="compatible", base_url=url, by=actor)
    assert (refused.value.code, refused.value.field) == (code, "base_url")
    assert not Upstream.objects.exists()


@pytest.mark.parametrize(
    "columns",
    [
        {"kind": "azure", "base_url": "https://a.openai.azure.com"},
        {"kind": "local", "base_url": "https://api.example.com"},
        {"kind": "telepathy", "base_url": "https://api.example.com"},
        {"headers": {"authorization": "Bearer x"}},
        {"headers": {"Api-Key": "x"}},
        {"headers": {"x-team": "a\r\nhost: b"}},
        {"headers": {"x team": "a"}},
        {"headers": {"x-team": 1}},
        {"headers": {f"x-{number}": "a" for number in range(21)}},
        {"headers": ["x-team"]},
        {"most_at_once": 0},
        {"health_path": "health"},
        {"health_path": "/health\r\nx: y"},
        {"health_path": "//elsewhere.example.com/"},
        {"health_interval_s": 1},
        {"name": ""},
        {"name": "n" * 81},
    ],
)
def test_an_upstream_that_cannot_work_is_refused(columns: dict[str, Any], in_acme: Any, actor: Actor) -> None:
    with pytest.raises(DomainError):
        services.create_upstream(**{"name": "Odd", "kind": "openai", **columns}, by=actor)


def test_a_move_to_another_server_takes_the_keys_away_and_is_told(upstream: Upstream, actor: Actor) -> None:
    services.update_upstream(upstream, base_url="https://api.openai.com/v2", by=actor)
    assert upstream.keys.count() == 1
    services.update_upstream(upstream, base_url="https://api.elsewhere.example/v1", by=actor)
    assert upstream.keys.count() == 0
    assert trail("upstream.updated").changes["keys_removed"] == 1


@pytest.mark.parametrize(
    "wanted",
    [
        {"base_url": "http://api.openai.com/v1"},
        {"base_url": "https://api.openai.com:8443/v1"},
        {"kind": "anthropic"},
        {"base_url": "https://api.openai.com.example.org/v1"},
    ],
)
def test_another_scheme_port_host_or_kind_is_another_server(
    wanted: dict[str, Any], upstream: Upstream, actor: Actor
) -> None:
    services.update_upstream(upstream, **wanted, by=actor)
    assert not UpstreamKey.objects.exists()


def test_a_key_is_sealed_for_its_upstream_alone(upstream: Upstream, actor: Actor) -> None:
    key = upstream.keys.get()
    sealed = bytes(key.sealed)
    assert SECRET.encode() not in sealed
    assert sealing.unseal(sealed, upstream.sealing_place) == SECRET.encode()
    other = services.create_upstream(name="Other", kind="openai", by=actor)
    with pytest.raises(sealing.Unsealable):
        sealing.unseal(sealed, other.sealing_place)
    assert key.hint == "4711"
    assert services.add_secret(upstream, "short", "sk-short", by=actor).hint == ""


@pytest.mark.parametrize("secret", ["", "two words", "a\nb", "ключ", "k" * 4_001, "a\x00b"])
def test_what_is_no_key_is_refused(secret: str, upstream: Upstream, actor: Actor) -> None:
    with pytest.raises(errors.SecretInvalid):
        services.add_secret(upstream, "more", secret, by=actor)


def test_no_secret_is_told_in_the_trail(upstream: Upstream, actor: Actor) -> None:
    services.update_upstream(upstream, headers={"x-passing": "as-good-as-a-key"}, by=actor)
    secret = services.add_secret(upstream, "second", "sk-second-secret-0815", by=actor)
    services.set_secret_paused(secret, True, by=actor)
    services.delete_secret(secret, by=actor)
    told = "".join(f"{entry.changes}" for entry in AuditEntry.objects.all())
    assert "upstream.key_deleted" in AuditEntry.objects.values_list("action", flat=True)
    for hidden in (SECRET, "sk-second-secret-0815", "as-good-as-a-key"):
        assert hidden not in told


def test_names_are_taken_once(upstream: Upstream, actor: Actor) -> None:
    with pytest.raises(errors.NameTaken):
        services.create_upstream(name="Provider", kind="openai", by=actor)
    make_route(upstream, actor)
    with pytest.raises(errors.NameTaken):
        make_route(upstream, actor)
    with pytest.raises(errors.NameTaken):
        services.add_secret(upstream, "First key", "sk-another", by=actor)


def test_an_upstream_that_routes_lead_to_stays(upstream: Upstream, actor: Actor) -> None:
    route = make_route(upstream, actor)
    with pytest.raises(errors.UpstreamInUse, match="`chat`"):
        services.delete_upstream(upstream, by=actor)
    services.delete_route(route, by=actor)
    services.delete_upstream(upstream, by=actor)
    assert not UpstreamKey.objects.exists()


@pytest.mark.parametrize(
    "broken",
    [
        {"upstream": None},
        {"model": ""},
        {"model": "m" * 121},
        {"weight": -1},
        {"weight": 10_001},
        {"tier": 10},
        {"on": ["bad_luck"]},
        {"when": []},
        {"when": {"weather": "fair"}},
        {"when": {"headers": {"x": 1}}},
        {"when": {"headers": {"x y": "1"}}},
        {"when": {"headers": {"x": "\x00"}}},
        {"when": {"headers": {f"x-{number}": "" for number in range(11)}}},
        {"when": {"min_tokens": -1}},
        {"when": {"max_tokens": True}},
        {"when": {"is_stream": "yes"}},
        {"when": {"hours": ["8:00", "17:00"]}},
        {"when": {"hours": ["08:00", "25:00"]}},
        {"when": {"hours": "08:00"}},
        {"when": {"days": [7]}},
        {"when": {"days": []}},
        {"when": {"time_zone": "Mars/Olympus"}},
        {"when": {"time_zone": ["UTC"]}},
    ],
)
def test_a_target_that_cannot_be_understood_is_refused_by_number(
    broken: dict[str, Any], upstream: Upstream, actor: Actor
) -> None:
    good = {"upstream": upstream, "model": "m-1"}
    with pytest.raises(errors.TargetInvalid, match="Target 2: "):
        services.create_route(name="chat", targets=[good, {**good, **broken}], by=actor)
    assert not Route.objects.exists()


@pytest.mark.parametrize(
    "columns",
    [
        {"name": "a b"},
        {"name": "-a"},
        {"name": "a" * 101},
        {"strategy": "luck"},
        {"attempts": 0},
        {"attempts": 11},
        {"deadline_ms": 0},
        {"hedge_after_ms": 0},
        {"cache_ttl_s": 0},
        {"cache_threshold": 1.5},
        {"bodies_days": 91},
        {"bodies_days": 0},
        {"max_request_bytes": 0},
    ],
)
def test_a_route_that_cannot_work_is_refused(columns: dict[str, Any], upstream: Upstream, actor: Actor) -> None:
    with pytest.raises(errors.RouteInvalid):
        make_route(upstream, actor, **{"name": "chat", **columns})


def test_targets_that_stay_keep_their_ids(upstream: Upstream, actor: Actor) -> None:
    route = make_route(upstream, actor)
    first = route.targets.get()
    wanted = [{"id": first.pk, "upstream": upstream, "model": "m-1"}, {"upstream": upstream, "model": "m-2", "tier": 1}]
    services.update_route(route, targets=wanted, by=actor)
    assert first.pk in set(route.targets.values_list("pk", flat=True))
    assert trail("route.updated").changes["targets"][1] == ["0: Provider m-1", "1: Provider m-2"]
    services.update_route(route, targets=wanted[1:], by=actor)
    assert list(route.targets.values_list("model", flat=True)) == ["m-2"]
    with pytest.raises(errors.TargetsNeeded):
        services.update_route(route, targets=[], by=actor)


def test_another_routes_target_is_not_taken_over(upstream: Upstream, actor: Actor) -> None:
    theirs = make_route(upstream, actor, "theirs").targets.get()
    route = make_route(upstream, actor, "mine")
    services.update_route(route, targets=[{"id": theirs.pk, "upstream": upstream, "model": "m-3"}], by=actor)
    assert Target.objects.get(pk=theirs.pk).model == "m-1"
    assert route.targets.get().pk != theirs.pk


def test_there_is_an_end_to_how_many_there_are(upstream: Upstream, actor: Actor) -> None:
    with pytest.raises(errors.TooMany):
        services.create_route(name="wide", targets=[{"upstream": upstream, "model": "m"}] * 21, by=actor)
    for number in range(19):
        services.add_secret(upstream, f"key {number}", f"sk-{number}", by=actor)
    with pytest.raises(errors.TooMany):
        services.add_secret(upstream, "one more", "sk-more", by=actor)
    Upstream.objects.bulk_create([Upstream(name=f"u{number}", kind="openai") for number in range(99)])
    with pytest.raises(errors.TooMany):
        services.create_upstream(name="one more", kind="openai", by=actor)


def test_a_key_whose_only_route_is_gone_may_use_none(upstream: Upstream, actor: Actor) -> None:
    route = make_route(upstream, actor)
    route_id = route.pk
    key, _ = services.create_key("program", routes=[route_id], by=actor)
    services.delete_route(route, by=actor)
    make_route(upstream, actor, "later")
    section = snapshots.compile_snapshot(key.organization_id)["gateway"]
    assert section["keys"][str(key.token_id)]["routes"] == []
    # What else is changed of it does not open it.
    services.update_key(key, tags={"team": "search"}, by=actor)
    key.refresh_from_db()
    assert key.routes == [route_id]


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ({"tags": {"a": 1}}, errors.TagsInvalid),
        ({"tags": {"": "a"}}, errors.TagsInvalid),
        ({"tags": {"a": "\x00"}}, errors.TagsInvalid),
        ({"tags": {"a": "\ud800"}}, errors.TagsInvalid),
        ({"tags": {"a": "b" * 101}}, errors.TagsInvalid),
        ({"tags": {str(number): "" for number in range(17)}}, errors.TagsInvalid),
        ({"tags": ["a"]}, errors.TagsInvalid),
        ({"budget_micro_usd": -1}, errors.KeyInvalid),
        ({"budget_micro_usd": 10**16}, errors.KeyInvalid),
        ({"budget_period": "year"}, errors.KeyInvalid),
        ({"requests_per_minute": 0}, errors.KeyInvalid),
        ({"tokens_per_minute": 2**40}, errors.KeyInvalid),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(
    columns: dict[str, Any], error: type[DomainError], in_acme: Any, actor: Actor
) -> None:
    with pytest.raises(error):
        services.create_key("program", **columns, by=actor)
    assert not VirtualKey.objects.exists()


def test_a_revoked_key_is_no_token_any_more(in_acme: Any, actor: Actor) -> None:
    key, text = services.create_key("program", budget_micro_usd=5_000_000, tags={"team": "search"}, by=actor)
    assert key.token.scopes == ["gateway.call"]
    services.delete_key(key, by=actor)
    key.token.refresh_from_db()
    assert key.token.revoked_at is not None
    told = "".join(f"{entry.changes}" for entry in AuditEntry.objects.all())
    assert text.partition(".")[2] not in told


def test_the_local_model_is_there_once(in_acme: Any, actor: Actor, settings: Any) -> None:
    settings.LLM_URL = ""
    with pytest.raises(errors.LocalModelOff):
        services.add_local_model(by=actor)
    settings.LLM_URL = "http://127.0.0.1:1/v1"
    assert services.add_local_model(by=actor) == services.add_local_model(by=actor)
    assert Upstream.objects.filter(kind="local").count() == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda upstream, actor: services.update_upstream(upstream, name="Renamed", by=actor),
        lambda upstream, actor: services.add_secret(upstream, "second", "sk-second", by=actor),
        lambda upstream, actor: services.set_secret_paused(upstream.keys.get(), True, by=actor),
        lambda upstream, actor: services.delete_secret(upstream.keys.get(), by=actor),
        lambda upstream, actor: make_route(upstream, actor),
        lambda upstream, actor: services.create_key("program", by=actor),
    ],
)
def test_what_is_changed_is_published(
    change: Callable[[Upstream, Actor], Any],
    upstream: Upstream,
    actor: Actor,
    django_capture_on_commit_callbacks: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published: list[Any] = []
    monkeypatch.setattr(snapshots, "publish_or_leave_to_beat", published.append)
    with django_capture_on_commit_callbacks(execute=True):
        change(upstream, actor)
    assert published
