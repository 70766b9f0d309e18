from __future__ import annotations

import json
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache

from apps.core import http, paging
from apps.core.forms import submit, submit_edit
from apps.core.http import Request
from apps.notifications.models import Delivery, WebhookEndpoint
from apps.notifications.services import webhooks as services
from apps.notifications.webhooks import secrets
from apps.notifications.webhooks.enums import DeliveryStatus
from apps.notifications.webhooks.forms import EndpointForm, NewEndpointForm, SecretRotationForm


@http.page("webhooks.read", methods=["GET", "HEAD"])
def webhook_list(request: Request) -> HttpResponse:
    failed = Count("deliveries", filter=Q(deliveries__status=DeliveryStatus.FAILED))
    endpoints = WebhookEndpoint.objects.annotate(delivery_count=Count("deliveries"), failed_count=failed)
    context = {"page": paging.newest_first(endpoints, request.GET.get("cursor", ""))}
    return render(request, "notifications/webhook_list.html", context)


@http.page("webhooks.write")
@never_cache
def webhook_create(request: Request) -> HttpResponse:
    form = NewEndpointForm(request.POST or None)
    if request.method == "POST" and (row := submit(form, partial(services.create_endpoint, by=request.actor))):
        return _show_secret(request, row)
    return render(request, "notifications/webhook_create.html", {"form": form}, status=422 if form.errors else 200)


@http.page("webhooks.read", methods=["GET", "HEAD"])
def webhook_detail(request: Request, endpoint_id: UUID) -> HttpResponse:
    return _detail(request, get_object_or_404(WebhookEndpoint, pk=endpoint_id), SecretRotationForm())


@http.page("webhooks.write")
def webhook_edit(request: Request, endpoint_id: UUID) -> HttpResponse:
    endpoint = get_object_or_404(WebhookEndpoint, pk=endpoint_id)
    form = EndpointForm(request.POST or None, row=endpoint)
    update = partial(services.update_endpoint, endpoint, by=request.actor)
    if request.method == "POST" and (updated := submit_edit(form, update)):
        return _go_to(request, updated)
    context = {"endpoint": endpoint, "form": form}
    return render(request, "notifications/webhook_edit.html", context, status=422 if form.errors else 200)


@http.page("webhooks.write", methods=["POST"])
@never_cache
def webhook_secret(request: Request, endpoint_id: UUID) -> HttpResponse:
    return _show_secret(request, get_object_or_404(WebhookEndpoint, pk=endpoint_id))


@http.page("webhooks.write", methods=["POST"])
@never_cache
def webhook_rotate(request: Request, endpoint_id: UUID) -> HttpResponse:
    endpoint, form = get_object_or_404(WebhookEndpoint, pk=endpoint_id), SecretRotationForm(request.POST)
    if rotated := submit(form, partial(services.rotate_secret, endpoint, by=request.actor)):
        return _show_secret(request, rotated)
    return _detail(request, endpoint, form, status=422)


@http.page("webhooks.write", methods=["POST"])
def webhook_test(request: Request, endpoint_id: UUID) -> HttpResponse:
    endpoint = get_object_or_404(WebhookEndpoint, pk=endpoint_id)
    delivery = services.send_test(endpoint, by=request.actor)
    return http.redirect(request, http.link(request.organization, "notifications:delivery-detail", delivery.pk))


@http.page("webhooks.write", methods=["POST"])
def webhook_disable(request: Request, endpoint_id: UUID) -> HttpResponse:
    endpoint = services.disable_endpoint(get_object_or_404(WebhookEndpoint, pk=endpoint_id), by=request.actor)
    messages.success(request, "Nothing more is sent to this endpoint.")
    return _go_to(request, endpoint)


@http.page("webhooks.write", methods=["POST"])
def webhook_enable(request: Request, endpoint_id: UUID) -> HttpResponse:
    endpoint = services.enable_endpoint(get_object_or_404(WebhookEndpoint, pk=endpoint_id), by=request.actor)
    messages.success(request, "Events are sent to this endpoint again.")
    return _go_to(request, endpoint)


@http.page("webhooks.write", methods=["POST"])
def webhook_delete(request: Request, endpoint_id: UUID) -> HttpResponse:
    endpoint = get_object_or_404(WebhookEndpoint, pk=endpoint_id)
    services.delete_endpoint(endpoint, by=request.actor)
    messages.success(request, "The webhook endpoint was deleted.")
    return http.redirect(request, http.link(request.organization, "notifications:webhook-list"))


@http.page("webhooks.read", methods=["GET", "HEAD"])
def delivery_detail(request: Request, delivery_id: UUID) -> HttpResponse:
    delivery = get_object_or_404(Delivery.objects.select_related("message", "endpoint"), pk=delivery_id)
    attempts = list(delivery.attempts.order_by("-number")[: paging.PAGE_SIZE])
    for attempt in attempts:
        attempt.delivery = delivery
    body = json.dumps(json.loads(delivery.message.body), indent=2, ensure_ascii=False)
    context = {"delivery": delivery, "attempts": attempts, "body": body}
    return render(request, "notifications/webhook_delivery.html", context)


@http.page("webhooks.write", methods=["POST"])
def delivery_resend(request: Request, delivery_id: UUID) -> HttpResponse:
    delivery = services.resend(get_object_or_404(Delivery, pk=delivery_id), by=request.actor)
    messages.success(request, "It is being sent again, with the same id.")
    return http.redirect(request, http.link(request.organization, "notifications:delivery-detail", delivery.pk))


def _detail(request: Request, endpoint: WebhookEndpoint, form: SecretRotationForm, status: int = 200) -> HttpResponse:
    deliveries: QuerySet[Delivery] = endpoint.deliveries.select_related("message")
    wanted = request.GET.get("status", "")
    counts = dict(endpoint.deliveries.order_by().values_list("status").annotate(Count("id")))
    shown = deliveries.filter(status=wanted) if wanted in DeliveryStatus.values else deliveries
    context: dict[str, Any] = {
        "endpoint": endpoint,
        "form": form,
        "is_readable": secrets.is_readable(endpoint),
        "page": paging.newest_first(shown, request.GET.get("cursor", "")),
        "statuses": [(value, label, counts[value]) for value, label in DeliveryStatus.choices if value in counts],
    }
    return render(request, "notifications/webhook_detail.html", context, status=status)


def _show_secret(request: Request, endpoint: WebhookEndpoint) -> HttpResponse:
    context = {"endpoint": endpoint, "secret": services.reveal_secret(endpoint, by=request.actor)}
    return render(request, "notifications/webhook_secret.html", context)


def _go_to(request: Request, endpoint: WebhookEndpoint) -> HttpResponse:
    return http.redirect(request, http.link(request.organization, "notifications:webhook-detail", endpoint.pk))
