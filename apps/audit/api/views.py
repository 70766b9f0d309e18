from apps.audit.api.serializers import AuditEntrySerializer
from apps.audit.models import AuditEntry
from apps.core.api.views import ModelApi


class AuditApi(ModelApi):
    """The trail of who did what, newest first."""

    permission_area = "audit"
    queryset = AuditEntry.objects.all()
    serializer_class = AuditEntrySerializer
    filterset_fields = ["action", "actor_id", "subject_id", "subject_type", "request_id"]
