from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from apps.core.api.views import ModelApi
from apps.organizations import services
from apps.organizations.api.filters import InvitationFilter
from apps.organizations.api.serializers import members as serializers
from apps.organizations.models import Invitation


class InvitationApi(ModelApi):
    """Invitations. The link is in the mail to the invited person and nowhere else."""

    permission_area = "members"
    queryset = Invitation.objects.select_related("invited_by__user")
    serializer_class = serializers.InvitationSerializer
    filterset_class = InvitationFilter

    @extend_schema(request=serializers.NewInvitationSerializer, responses={201: serializers.InvitationSerializer})
    def create(self, request: Request) -> Response:
        form = serializers.NewInvitationSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        row = services.invite_member(**form.validated_data, by=self.actor)
        location = reverse("invitation-detail", args=[row.pk])
        return Response(self.get_serializer(row).data, status.HTTP_201_CREATED, headers={"Location": location})

    @extend_schema(request=None, responses=serializers.InvitationSerializer)
    @action(detail=True, methods=["post"])
    def resend(self, request: Request, pk: str) -> Response:
        """Mail a new link; the old one stops working."""
        return Response(self.get_serializer(services.resend_invitation(self.get_object(), by=self.actor)).data)

    @extend_schema(request=None, responses=serializers.InvitationSerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: str) -> Response:
        return Response(self.get_serializer(services.revoke_invitation(self.get_object(), by=self.actor)).data)
