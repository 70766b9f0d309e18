from django_filters import rest_framework as filters

from apps.jobs.enums import Status
from apps.training.models import TrainingRun


class TrainingRunFilter(filters.FilterSet):
    status = filters.ChoiceFilter(field_name="job__status", choices=Status.choices)
    dataset = filters.UUIDFilter(field_name="dataset_version__dataset_id")

    class Meta:
        model = TrainingRun
        fields = ["name", "dataset_version", "status", "dataset", "project"]
