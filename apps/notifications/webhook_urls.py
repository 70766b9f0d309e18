from django.urls import path

from apps.notifications.views import webhooks

webhook_paths = [
    path("webhooks/", webhooks.webhook_list, name="webhook-list"),
    path("webhooks/new/", webhooks.webhook_create, name="webhook-create"),
    path("webhooks/<uuid:endpoint_id>/", webhooks.webhook_detail, name="webhook-detail"),
    path("webhooks/<uuid:endpoint_id>/edit/", webhooks.webhook_edit, name="webhook-edit"),
    path("webhooks/<uuid:endpoint_id>/secret/", webhooks.webhook_secret, name="webhook-secret"),
    path("webhooks/<uuid:endpoint_id>/rotate/", webhooks.webhook_rotate, name="webhook-rotate"),
    path("webhooks/<uuid:endpoint_id>/test/", webhooks.webhook_test, name="webhook-test"),
    path("webhooks/<uuid:endpoint_id>/disable/", webhooks.webhook_disable, name="webhook-disable"),
    path("webhooks/<uuid:endpoint_id>/enable/", webhooks.webhook_enable, name="webhook-enable"),
    path("webhooks/<uuid:endpoint_id>/delete/", webhooks.webhook_delete, name="webhook-delete"),
    path("deliveries/<uuid:delivery_id>/", webhooks.delivery_detail, name="delivery-detail"),
    path("deliveries/<uuid:delivery_id>/resend/", webhooks.delivery_resend, name="delivery-resend"),
]
