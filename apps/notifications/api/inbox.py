from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.preconditions import UNCONDITIONAL
from apps.core.api.views import ApiView, ModelApi
from apps.notifications import queries, services
from apps.notifications.catalogue import EVENTS
from apps.notifications.enums import Channel
from apps.notifications.models import Notification, Preference


class NotificationSerializer(serializers.ModelSerializer):
    class Meta:
        model = Notification
        fields = ["id", "created_at", "event", "title", "text", "subject_id", "number", "read_at"]


class ReadCountSerializer(serializers.Serializer):
    read_count = serializers.IntegerField(help_text="How many were unread until now.")


class EventPreferenceSerializer(serializers.Serializer):
    event = serializers.CharField()
    words = serializers.CharField(help_text="What the event is, in words.")
    inbox = serializers.BooleanField()
    mail = serializers.BooleanField()
    mail_is_optional = serializers.BooleanField()


class PreferenceChangeSerializer(serializers.Serializer):
    event = serializers.ChoiceField(choices=sorted(EVENTS))
    channel = serializers.ChoiceField(choices=Channel.choices)
    is_on = serializers.BooleanField()


class PreferenceSerializer(serializers.ModelSerializer):
    class Meta:
        model = Preference
        fields = ["id", "event", "channel", "is_on"]


class NotificationApi(ModelApi):
    """One's own inbox in the organization, newest first. A token of the organization has none."""

    permission_area = "notifications"
    queryset = Notification.objects.all()
    serializer_class = NotificationSerializer
    filterset_fields = {"event": ["exact"], "read_at": ["isnull"]}

    def get_queryset(self) -> QuerySet[Notification]:
        if getattr(self, "swagger_fake_view", False):
            return Notification.objects.none()
        return Notification.objects.of(self.actor.user_id)

    @extend_schema(request=None, responses=NotificationSerializer)
    @action(detail=True, methods=["post"])
    def read(self, request: Request, pk: str) -> Response:
        """Note that it has been read."""
        return Response(self.get_serializer(services.mark_read(self.get_object(), by=self.actor)).data)

    @extend_schema(operation_id="notifications_read_all", request=None, responses=ReadCountSerializer)
    @action(detail=False, methods=["post"], url_path="read")
    def read_all(self, request: Request) -> Response:
        """Note that all of one's inbox has been read."""
        return Response({"read_count": services.mark_all_read(by=self.actor)})


class PreferenceApi(ApiView):
    """What one is told of in the organization, by inbox and by mail."""

    permission_area = "notifications"

    @extend_schema(responses=EventPreferenceSerializer(many=True))
    def get(self, request: Request) -> Response:
        return Response(EventPreferenceSerializer(self._preferences(), many=True).data)

    @extend_schema(request=PreferenceChangeSerializer, responses=PreferenceSerializer, extensions={UNCONDITIONAL: True})
    def patch(self, request: Request) -> Response:
        """Turn one channel of one event on or off."""
        form = PreferenceChangeSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        given = form.validated_data
        (row,) = services.set_preferences({(given["event"], given["channel"]): given["is_on"]}, by=self.actor)
        return Response(PreferenceSerializer(row).data)

    def _preferences(self) -> list[dict[str, Any]]:
        events = queries.offered_events(self.actor)
        wishes = queries.wishes_of(services.owner_of_inbox(self.actor), events)
        return [
            {
                "event": event.name,
                "words": event.words,
                "inbox": wishes[event.name, Channel.INBOX],
                "mail": wishes[event.name, Channel.MAIL],
                "mail_is_optional": event.mail_is_optional,
            }
            for event in events
        ]
