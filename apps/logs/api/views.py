from apps.core.api.views import ModelApi
from apps.logs.api.filters import CallRecordFilter
from apps.logs.api.serializers import CallRecordSerializer
from apps.logs.models import CallRecord


class CallApi(ModelApi):
    """Calls through the data plane, newest first; refused ones included."""

    permission_area = "calls"
    queryset = CallRecord.objects.all()
    serializer_class = CallRecordSerializer
    filterset_class = CallRecordFilter
