from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from apps.core.api.views import ModelApi
from apps.organizations import services
from apps.organizations.api.serializers import projects as serializers
from apps.organizations.models import Project


class ProjectApi(ModelApi):
    """Projects: labels that group datasets, training runs, models and deployments."""

    permission_area = "projects"
    queryset = Project.objects.all()
    serializer_class = serializers.ProjectSerializer
    filterset_fields = ["name"]
    edited_fields = ("name", "description")

    @extend_schema(request=serializers.NewProjectSerializer, responses={201: serializers.ProjectSerializer})
    def create(self, request: Request) -> Response:
        form = serializers.NewProjectSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        project = services.create_project(**form.validated_data, by=self.actor)
        location = reverse("project-detail", args=[project.pk])
        return Response(self.get_serializer(project).data, status.HTTP_201_CREATED, headers={"Location": location})

    @extend_schema(request=serializers.ProjectChangesSerializer, responses=serializers.ProjectSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        form = serializers.ProjectChangesSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        project = services.update_project(self.get_object(), by=self.actor, **form.validated_data)
        return Response(self.get_serializer(project).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: str) -> Response:
        """Take the label away: what carried it stays, without it."""
        services.delete_project(self.get_object(), by=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)
