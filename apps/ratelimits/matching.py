"""Which rules a call meets: compiled policies and entries, and what is known of the call. Imports no Django.

A policy that counts for a subject which the call does not have, such as the person of a token's call, does not apply.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from apps.ratelimits.rules import Algorithm, Away, Rule

SECTION = "limits"
REMEMBERED_SECTIONS = 2_000
REMEMBERED_ADDRESSES = 10_000
MOST_SUBJECTS = 200_000  # with a state of their own, of all policies of an organization
LONGEST_PLAIN = 64  # characters of subjects in a key; what is longer is hashed
LONGEST_HEADER = 200
COUNTED_BY_ITSELF = {"requests": 1, "concurrency": 1}
LETTERS = {"requests": "r", "tokens": "t", "cost": "c", "concurrency": "p"}


def _no_header(name: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of a call. An empty text means that the call has none.

    `route` is the path as the API's documentation writes it, with parameters in braces. `address` is the client's as
    trusted proxies tell it. `header` gives the value of a header by its name in lower case. `quantities` are estimates;
    a call has one request and one place among the calls at once, and tokens and cost only if they stand here.
    """

    organization_id: str
    plane: str
    method: str = ""
    route: str = ""
    model: str = ""
    address: str = ""
    user: str = ""
    token: str = ""
    header: Callable[[str], str] = _no_header
    quantities: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Policy:
    """A compiled policy. `begins_at` and `ends_at`, in seconds of the epoch, are when it counts."""

    id: str
    name: str
    subject: tuple[str, ...]
    header: str
    quantity: str
    algorithm: Algorithm
    limit: int
    window_ms: int
    burst: int
    is_shadow: bool
    away: Away
    is_of_plan: bool
    routes: Routes
    models: frozenset[str]
    begins_at: float
    ends_at: float
    most_subjects: int

    def concerns(self, asked: Asked, now: float) -> bool:
        if not self.begins_at <= now < self.ends_at:
            return False
        if self.models and asked.model not in self.models:
            return False
        return self.routes.hold(asked)

    def values(self, asked: Asked) -> list[str] | None:
        """The call's value of each subject, or None if it lacks one."""
        values = [value_of(name, self.header, asked) for name in self.subject]
        return values if all(values) else None

    def rule(self, asked: Asked, subject: str, cost: int) -> Rule:
        stem = f"limits:{{{asked.organization_id}}}:{self.id}:{LETTERS[self.quantity]}"
        return Rule(
            key=f"{stem}:{_shortened(subject)}",
            policy=self.id,
            algorithm=self.algorithm,
            limit=self.limit,
            window_ms=self.window_ms,
            burst=self.burst,
            cost=cost,
            is_shadow=self.is_shadow,
            away=self.away,
            stem=len(stem) if self.most_subjects else 0,
            most_subjects=self.most_subjects,
        )


@dataclass(frozen=True, slots=True)
class Denial:
    """The entry because of which a call is refused."""

    subject: str
    value: str
    reason: str


@dataclass(slots=True)
class Matched:
    """What a call meets. `policies` and `subjects` say of each of `rules` where it comes from and for whom it counts.

    `subjects` are the values in the order of the policy's own, with a tab between. `denied` comes before everything;
    `is_allowed` says that an entry took the organization's own policies away, and what is left are its plan's.
    """

    rules: list[Rule] = field(default_factory=list)
    policies: list[Policy] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    denied: Denial | None = None
    is_allowed: bool = False


def rules_for(section: Mapping[str, Any] | None, asked: Asked, now: float | None = None) -> Matched:
    """What the call meets by section `limits` of its organization's snapshot; nothing without one."""
    if not section:
        return Matched()
    compiled = compiled_for(asked.organization_id, section)
    moment = time.time() if now is None else now
    if compiled.deny and (entry := compiled.deny.found(asked, moment)):
        return Matched(denied=Denial(entry.subject, entry.value, entry.reason))
    is_allowed = bool(compiled.allow and compiled.allow.found(asked, moment))
    matched = Matched(is_allowed=is_allowed)
    own = compiled.of_tokens.get((asked.plane, asked.token), ())
    for policy in (*compiled.policies.get(asked.plane, ()), *own):
        if not (is_allowed and not policy.is_of_plan) and policy.concerns(asked, moment):
            _add(matched, policy, asked)
    return matched


def _add(matched: Matched, policy: Policy, asked: Asked) -> None:
    cost = asked.quantities.get(policy.quantity, COUNTED_BY_ITSELF.get(policy.quantity))
    values = policy.values(asked)
    if cost is None or values is None:
        return
    subject = "\t".join(values)
    matched.rules.append(policy.rule(asked, subject, cost))
    matched.policies.append(policy)
    matched.subjects.append(subject)


def value_of(subject: str, header: str, asked: Asked) -> str:
    """The call's value of a subject as it is counted by: an IPv6 address is its /64."""
    match subject:
        case "organization":
            return asked.organization_id
        case "address":
            return counted_address(asked.address)
        case "header":
            return asked.header(header).strip().replace("\t", " ")[:LONGEST_HEADER]
        case "model":
            return asked.model.replace("\t", " ")
        case _:
            return str(getattr(asked, subject))


@lru_cache(REMEMBERED_ADDRESSES)
def counted_address(address: str) -> str:
    """An IPv4 address, or the /64 that one customer of an IPv6 network usually has; empty for what is no address."""
    found = _parsed(address)
    if found is None:
        return ""
    return str(found) if found.version == 4 else str(ip_network((int(found) >> 64 << 64, 64)))


@lru_cache(REMEMBERED_ADDRESSES)
def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(address)
    except ValueError:
        return None
    return (isinstance(found, IPv6Address) and found.ipv4_mapped) or found


def _shortened(subject: str) -> str:
    if len(subject) <= LONGEST_PLAIN:
        return f"={subject}"
    return "#" + hashlib.blake2b(subject.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


class Routes:
    """Patterns of routes: `/api/v1/jobs/`, `POST /api/v1/jobs/`, or all that begin alike: `/api/v1/jobs/*`."""

    __slots__ = ("_begins", "_exact")

    def __init__(self, patterns: Iterable[str]) -> None:
        begun = [pattern for pattern in patterns if pattern.endswith("*")]
        self._exact = frozenset(patterns) - frozenset(begun)
        self._begins = tuple(pattern[:-1] for pattern in begun)

    def hold(self, asked: Asked) -> bool:
        if not self._exact and not self._begins:
            return True
        return any(name in self._exact or name.startswith(self._begins) for name in _names(asked))


def _names(asked: Asked) -> list[str]:
    """What patterns may call the route. HEAD is GET too, which it costs as much as."""
    names = [asked.route, f"{asked.method} {asked.route}"]
    return [*names, f"GET {asked.route}"] if asked.method == "HEAD" else names


@dataclass(frozen=True, slots=True)
class Entry:
    """A value on a list, until `ends_at` in seconds of the epoch."""

    subject: str
    header: str
    value: str
    reason: str
    ends_at: float


class Entries:
    """A list of values, asked in the same time however long it is."""

    __slots__ = ("_by_value", "_networks", "_subjects")

    def __init__(self, raw: Sequence[Mapping[str, Any]]) -> None:
        entries = [_entry(one) for one in raw]
        values = [entry for entry in entries if entry.subject != "address"]
        self._by_value = {(entry.subject, entry.header, entry.value): entry for entry in values}
        self._subjects = sorted({(entry.subject, entry.header) for entry in values})
        # For each version and length of networks, those by their bits: one look-up for each length there is.
        self._networks: dict[tuple[int, int], dict[int, Entry]] = {}
        for entry in entries:
            if entry.subject == "address":
                network = ip_network(entry.value)
                shift = network.max_prefixlen - network.prefixlen
                bits = int(network.network_address) >> shift
                self._networks.setdefault((network.version, shift), {})[bits] = entry

    def __bool__(self) -> bool:
        return bool(self._by_value or self._networks)

    def found(self, asked: Asked, now: float) -> Entry | None:
        """The first entry that holds the call and has not ended."""
        for entry in self._candidates(asked):
            if entry is not None and now < entry.ends_at:
                return entry
        return None

    def _candidates(self, asked: Asked) -> Iterable[Entry | None]:
        for subject, header in self._subjects:
            yield self._by_value.get((subject, header, value_of(subject, header, asked)))
        if self._networks and (address := _parsed(asked.address)) is not None:
            bits, version = int(address), address.version
            for (of_version, shift), networks in self._networks.items():
                if of_version == version:
                    yield networks.get(bits >> shift)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A section as calls ask it: the policies of each plane, those of single tokens beside them, and the lists."""

    policies: dict[str, tuple[Policy, ...]]
    of_tokens: dict[tuple[str, str], tuple[Policy, ...]]
    allow: Entries
    deny: Entries


_sections: OrderedDict[str, tuple[Mapping[str, Any], Compiled]] = OrderedDict()


def compiled_for(organization_id: str, section: Mapping[str, Any]) -> Compiled:
    """The section compiled, once for as long as the organization keeps this very one."""
    known = _sections.get(organization_id)
    if known is not None and known[0] is section:
        return known[1]
    compiled = compile_section(section)
    _sections[organization_id] = (section, compiled)
    _sections.move_to_end(organization_id)
    if len(_sections) > REMEMBERED_SECTIONS:
        _sections.popitem(last=False)
    return compiled


def compile_section(section: Mapping[str, Any]) -> Compiled:
    policies: dict[str, list[Policy]] = {}
    of_tokens: dict[tuple[str, str], list[Policy]] = {}
    shares_subjects = section.get("shares_subjects", True)
    many = sum(map(_has_many_subjects, section.get("policies", ())))
    for raw in section.get("policies", ()):
        policy = _policy(raw, MOST_SUBJECTS // many if shares_subjects and _has_many_subjects(raw) else 0)
        for plane in raw["planes"]:
            for token in raw.get("tokens", ()):
                of_tokens.setdefault((plane, token), []).append(policy)
            if "tokens" not in raw:
                policies.setdefault(plane, []).append(policy)
    return Compiled(
        {plane: tuple(found) for plane, found in policies.items()},
        {place: tuple(found) for place, found in of_tokens.items()},
        Entries(section.get("allow", ())),
        Entries(section.get("deny", ())),
    )


def _has_many_subjects(raw: Mapping[str, Any]) -> bool:
    return set(raw["subject"]) != {"organization"} and "tokens" not in raw


def _policy(raw: Mapping[str, Any], most_subjects: int) -> Policy:
    algorithm = Algorithm(raw["algorithm"])
    if algorithm is Algorithm.LEASES and most_subjects:
        most_subjects = max(1, most_subjects // raw["limit"])  # each place takes memory as a state does
    return Policy(
        id=raw["id"],
        name=raw["name"],
        subject=tuple(raw["subject"]),
        header=raw["header"],
        quantity=raw["quantity"],
        algorithm=algorithm,
        limit=raw["limit"],
        window_ms=raw["window_ms"],
        burst=raw["burst"],
        is_shadow=raw["is_shadow"],
        away=Away(raw["away"]),
        is_of_plan=raw.get("is_of_plan", False),
        routes=Routes(raw["routes"]),
        models=frozenset(raw["models"]),
        begins_at=raw.get("begins_at") or 0.0,
        ends_at=raw.get("ends_at") or float("inf"),
        most_subjects=most_subjects,
    )


def _entry(raw: Mapping[str, Any]) -> Entry:
    return Entry(
        raw["subject"], raw.get("header", ""), raw["value"], raw.get("reason", ""), raw.get("ends_at") or float("inf")
    )
