from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from apps.core import formatting, http, paging, time_ranges
from apps.core.forms import submit, submit_edit
from apps.core.http import Request
from apps.ratelimits import queries, services
from apps.ratelimits.enums import EntryKind, Plane
from apps.ratelimits.forms import PRESETS, EntryEditForm, EntryForm, NewPolicyForm, PolicyForm
from apps.ratelimits.models import Entry, Policy


@http.page("limits.read", methods=["GET", "HEAD"])
def limit_list(request: Request) -> HttpResponse:
    policies = queries.policies()
    rows, limited = queries.rows(policies), queries.limited_now(policies)
    context = {
        "rows": rows if rows is not None else [queries.Row(policy) for policy in policies],
        "limited": limited,
        "has_own": any(isinstance(policy, Policy) for policy in policies),
        "is_readable": rows is not None and limited is not None,
        "refused_count": sum(row.counts.refused for row in rows or ()),
    }
    return render(request, "ratelimits/limit_list.html", context)


@http.page("limits.read", methods=["GET", "HEAD"])
def policy_detail(request: Request, policy_id: UUID) -> HttpResponse:
    policy = get_object_or_404(Policy, pk=policy_id)
    time_range, history = _history(request, policy)
    context = {
        "policy": policy,
        "row": queries.Row(policy),
        "planes": ", ".join(Plane(plane).label for plane in policy.planes),
        "longest": formatting.format_duration(policy.window_s * 1000),
        "history": history,
        **_ranges(time_range),
    }
    return render(request, "ratelimits/policy_detail.html", context)


@http.page("limits.read", methods=["GET", "HEAD"])
def plan_detail(request: Request) -> HttpResponse:
    shown = []
    for policy in queries.plan_policies():
        time_range, history = _history(request, policy)
        shown.append((queries.Row(policy), history))
    context = {"shown": shown, **_ranges(time_range)}
    return render(request, "ratelimits/plan_detail.html", context)


@http.page("limits.write")
def policy_create(request: Request) -> HttpResponse:
    _, given = PRESETS.get(request.GET.get("preset", ""), ("", {}))
    form = NewPolicyForm(request.POST or None, initial=given)
    if request.method == "POST" and (policy := submit(form, partial(services.create_policy, by=request.actor))):
        return _go_to(request, policy)
    context = {"form": form, "presets": [(name, title) for name, (title, _) in PRESETS.items()]}
    return render(request, "ratelimits/policy_create.html", context, status=422 if form.errors else 200)


@http.page("limits.write", methods=["POST"])
def policy_preview(request: Request) -> HttpResponse:
    """What the form says so far, in words."""
    # A policy's own length is offered by its form although it is none of the usual ones.
    chosen = {name: int(one) for name in ("window_s", "held_s") if (one := request.POST.get(name, "")).isdecimal()}
    form = NewPolicyForm(request.POST, initial=chosen)
    return render(request, "ratelimits/policy_words.html", {"form": form})


@http.page("limits.write")
def policy_edit(request: Request, policy_id: UUID) -> HttpResponse:
    policy = get_object_or_404(Policy, pk=policy_id)
    form = PolicyForm(request.POST or None, row=policy)
    update = partial(services.update_policy, policy, by=request.actor)
    if request.method == "POST" and (updated := submit_edit(form, update)):
        return _go_to(request, updated)
    context = {"policy": policy, "form": form}
    return render(request, "ratelimits/policy_edit.html", context, status=422 if form.errors else 200)


@http.page("limits.write", methods=["POST"])
def policy_enforce(request: Request, policy_id: UUID) -> HttpResponse:
    policy = _with_shadow(request, policy_id, is_shadow=False)
    messages.success(request, f"{policy.name} is enforced: what goes over it is refused from now on.")
    return _go_to(request, policy)


@http.page("limits.write", methods=["POST"])
def policy_shadow(request: Request, policy_id: UUID) -> HttpResponse:
    policy = _with_shadow(request, policy_id, is_shadow=True)
    messages.success(request, f"{policy.name} is in shadow: it counts, and refuses nothing from now on.")
    return _go_to(request, policy)


@http.page("limits.write", methods=["POST"])
def policy_delete(request: Request, policy_id: UUID) -> HttpResponse:
    policy = get_object_or_404(Policy, pk=policy_id)
    services.delete_policy(policy, by=request.actor)
    messages.success(request, f"{policy.name} was deleted.")
    return http.redirect(request, http.link(request.organization, "ratelimits:limit-list"))


@http.page("limits.read", methods=["GET", "HEAD"])
def entry_list(request: Request) -> HttpResponse:
    entries = Entry.objects.lasting()
    kind = request.GET.get("kind", "")
    page = paging.newest_first(
        entries.filter(kind=kind) if kind in EntryKind.values else entries, request.GET.get("cursor", "")
    )
    context = {
        "page": page,
        "entries": list(zip(page.rows, queries.entry_names(page.rows), strict=True)),
        "kinds": [(value, label, entries.filter(kind=value).count()) for value, label in EntryKind.choices],
    }
    return render(request, "ratelimits/entry_list.html", context)


@http.page("limits.write")
def entry_create(request: Request) -> HttpResponse:
    form = EntryForm(request.POST or None, initial=request.GET.dict(), named=queries.choices())
    if request.method == "POST" and (entry := submit(form, partial(services.create_entry, by=request.actor))):
        [name] = queries.entry_names([entry])
        told = "may not call any more" if entry.kind == EntryKind.DENY else "is limited by no policy but the plan's"
        messages.success(request, f"{name} {told}.")
        return _go_to_lists(request)
    return render(request, "ratelimits/entry_create.html", {"form": form}, status=422 if form.errors else 200)


@http.page("limits.write")
def entry_edit(request: Request, limit_entry_id: UUID) -> HttpResponse:
    entry = get_object_or_404(Entry, pk=limit_entry_id)
    form = EntryEditForm(request.POST or None, row=entry)
    [name] = queries.entry_names([entry])
    update = partial(services.update_entry, entry, by=request.actor)
    if request.method == "POST" and (updated := submit_edit(form, update)):
        messages.success(request, f"{name} is on the list of those {updated.get_kind_display().lower()}.")
        return _go_to_lists(request)
    context = {"entry": entry, "name": name, "form": form}
    return render(request, "ratelimits/entry_edit.html", context, status=422 if form.errors else 200)


@http.page("limits.write", methods=["POST"])
def entry_delete(request: Request, limit_entry_id: UUID) -> HttpResponse:
    entry = get_object_or_404(Entry, pk=limit_entry_id)
    [name] = queries.entry_names([entry])
    services.delete_entry(entry, by=request.actor)
    messages.success(request, f"{name} was taken off the list.")
    return _go_to_lists(request)


def _with_shadow(request: Request, policy_id: UUID, *, is_shadow: bool) -> Policy:
    policy = get_object_or_404(Policy, pk=policy_id)
    return services.update_policy(policy, is_shadow=is_shadow, by=request.actor)


def _history(request: Request, policy: Policy | queries.PlanPolicy) -> tuple[time_ranges.TimeRange, Any]:
    time_range = queries.RANGES.get(request.GET.get("range", ""), time_ranges.HOUR)
    return time_range, queries.history(policy, time_range, timezone.localtime())


def _ranges(time_range: time_ranges.TimeRange) -> dict[str, Any]:
    return {"range": time_range, "ranges": queries.RANGES}


def _go_to(request: Request, policy: Policy) -> HttpResponse:
    return http.redirect(request, http.link(request.organization, "ratelimits:policy-detail", policy.pk))


def _go_to_lists(request: Request) -> HttpResponse:
    return http.redirect(request, http.link(request.organization, "ratelimits:entry-list"))
