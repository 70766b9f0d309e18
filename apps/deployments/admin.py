from django.contrib import admin

from apps.core.admin import ConsoleAdmin
from apps.deployments.models import Deployment, Replica


@admin.register(Deployment)
class DeploymentAdmin(ConsoleAdmin):
    list_display = ["name", "organization", "status", "replica_count", "is_stopped", "model_version", "created_at"]
    list_filter = ["status", "is_stopped"]
    search_fields = ["name", "organization__slug"]


@admin.register(Replica)
class ReplicaAdmin(ConsoleAdmin):
    list_display = ["deployment", "organization", "index", "status", "address", "restart_count", "changed_at"]
    list_filter = ["status"]
    search_fields = ["deployment__name", "organization__slug", "address"]
