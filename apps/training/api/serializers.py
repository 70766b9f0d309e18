from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.datasets.models import DatasetVersion
from apps.organizations.api.serializers.projects import LabelField
from apps.registry.enums import TaskName
from apps.training.enums import MAX_FOLDS, MIN_FOLDS, Candidate
from apps.training.models import PlannedColumn, TrainingRun, Trial, TrialScore
from apps.training.services import NewRun


class TrialScoreSerializer(serializers.ModelSerializer):
    class Meta:
        model = TrialScore
        fields = ["metric", "mean", "std", "low", "high", "folds"]


class TrialSerializer(serializers.ModelSerializer):
    scores = TrialScoreSerializer(many=True)

    class Meta:
        model = Trial
        fields = ["id", "algorithm", "status", "rank", "fit_seconds", "error_code", "error_message", "scores"]


class PlannedColumnSerializer(serializers.ModelSerializer):
    class Meta:
        model = PlannedColumn
        fields = ["name", "kind", "is_used", "reason"]


class TrainingRunSerializer(serializers.ModelSerializer):
    """A run with the state of its job. In lists `trials` and `columns` are left out."""

    status = serializers.CharField(read_only=True)
    dataset = serializers.UUIDField(source="dataset_version.dataset_id")
    progress = serializers.FloatField(source="job.progress")
    step = serializers.CharField(source="job.step")
    error_code = serializers.CharField(source="job.error_code")
    error_message = serializers.CharField(source="job.error_message")
    started_at = serializers.DateTimeField(source="job.started_at", allow_null=True)
    finished_at = serializers.DateTimeField(source="job.finished_at", allow_null=True)

    class Meta:
        model = TrainingRun
        fields = [
            "id",
            "name",
            "model_name",
            "status",
            "progress",
            "step",
            "error_code",
            "error_message",
            "dataset",
            "dataset_version",
            "target",
            "task",
            "candidates",
            "folds",
            "seed",
            "project",
            "job",
            "model_version",
            "created_at",
            "started_at",
            "finished_at",
        ]


class TrainingRunDetailSerializer(TrainingRunSerializer):
    trials = TrialSerializer(many=True)
    columns = PlannedColumnSerializer(many=True)

    class Meta(TrainingRunSerializer.Meta):
        fields = [*TrainingRunSerializer.Meta.fields, "trials", "columns"]


class NewTrainingRunSerializer(serializers.Serializer):
    dataset_version: serializers.PrimaryKeyRelatedField[DatasetVersion] = serializers.PrimaryKeyRelatedField(
        queryset=DatasetVersion.objects.select_related("dataset")
    )
    target = serializers.CharField(max_length=200, trim_whitespace=False)
    name = serializers.CharField(max_length=80)
    model_name = serializers.CharField(max_length=80, required=False, help_text="The run's name unless given.")
    task = serializers.ChoiceField(choices=TaskName.choices, required=False, help_text="Follows from the target.")
    candidates = serializers.MultipleChoiceField(choices=Candidate.choices, required=False, allow_empty=False)
    folds = serializers.IntegerField(min_value=MIN_FOLDS, max_value=MAX_FOLDS, default=5)
    seed = serializers.IntegerField(min_value=0, max_value=2**31 - 1, default=0)
    project = LabelField()

    def new_run(self) -> NewRun:
        values: dict[str, Any] = {**self.validated_data}
        return NewRun(**values)
