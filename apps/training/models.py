"""Training runs: what was asked, what each candidate reached, which columns were used."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from apps.core import tenancy
from apps.core.formatting import format_significant
from apps.datasets.models import DatasetVersion
from apps.jobs.models import Job
from apps.organizations.models import Project
from apps.registry.enums import AlgorithmName, MetricName, TaskName
from apps.registry.models import ModelVersion
from apps.training.enums import MAX_FOLDS, MIN_FOLDS, Candidate, TrialStatus
from apps.training.querysets import TrainingRunQuerySet, TrialQuerySet


class TrainingRun(tenancy.TenantModel):
    """Candidates compared on one dataset version; the best becomes a model version. One run is one job."""

    name = models.CharField(max_length=80)
    model_name = models.CharField(max_length=80)
    dataset_version = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="training_runs")
    target = models.CharField(max_length=200)
    task = models.CharField(max_length=20, choices=TaskName.choices, blank=True)
    candidates = ArrayField(models.CharField(max_length=20, choices=Candidate.choices))
    folds = models.PositiveSmallIntegerField(
        default=5, validators=[MinValueValidator(MIN_FOLDS), MaxValueValidator(MAX_FOLDS)]
    )
    seed = models.PositiveIntegerField(default=0)
    project = models.ForeignKey(Project, null=True, blank=True, on_delete=models.SET_NULL, related_name="training_runs")
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="training_run")
    model_version = models.OneToOneField(
        ModelVersion, null=True, on_delete=models.SET_NULL, related_name="training_run"
    )

    objects: ClassVar[Any] = tenancy.TenantManager.from_queryset(TrainingRunQuerySet)()

    class Meta(tenancy.TenantModel.Meta):
        constraints = [
            models.CheckConstraint(
                condition=Q(folds__gte=MIN_FOLDS, folds__lte=MAX_FOLDS), name="training_run_folds_in_range"
            )
        ]
        indexes = [
            models.Index(fields=["organization", "-id"], name="training_run_newest"),
            models.Index(fields=["organization", "dataset_version", "-id"], name="training_run_by_dataset"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def status(self) -> str:
        """A run's status is its job's."""
        return self.job.status

    @property
    def left_s(self) -> float | None:
        """Seconds to its end at the pace so far; None while that is unknown."""
        return self.job.eta.total_seconds() if self.job.eta else None

    @property
    def best_trial(self) -> Trial | None:
        """The trial that won, of a row read `with_best_trial`."""
        return next(iter(self.best_trials), None)  # type: ignore[attr-defined]


class PlannedColumn(tenancy.TenantModel):
    """What a run does with one column of its dataset version, and why it leaves it out."""

    run = models.ForeignKey(TrainingRun, on_delete=models.CASCADE, related_name="columns")
    position = models.PositiveIntegerField()
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=20)
    is_used = models.BooleanField()
    reason = models.CharField(max_length=300, blank=True)

    class Meta(tenancy.TenantModel.Meta):
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "run", "name"], name="training_planned_column_once")
        ]

    def __str__(self) -> str:
        return self.name


class Trial(tenancy.TenantModel):
    """One candidate's cross-validation within a run. The baseline, which learns nothing, is one too."""

    run = models.ForeignKey(TrainingRun, on_delete=models.CASCADE, related_name="trials")
    position = models.PositiveSmallIntegerField()
    algorithm = models.CharField(max_length=40, choices=AlgorithmName.choices)
    status = models.CharField(max_length=12, choices=TrialStatus.choices, default=TrialStatus.PENDING)
    rank = models.PositiveSmallIntegerField(null=True)
    fit_seconds = models.FloatField(null=True)
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.TextField(blank=True)

    objects: ClassVar[Any] = tenancy.TenantManager.from_queryset(TrialQuerySet)()

    class Meta(tenancy.TenantModel.Meta):
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["organization", "run", "algorithm"], name="training_trial_once")]

    def __str__(self) -> str:
        return self.get_algorithm_display()

    @property
    def fit_ms(self) -> float | None:
        return None if self.fit_seconds is None else self.fit_seconds * 1000

    @property
    def is_baseline(self) -> bool:
        return self.algorithm == AlgorithmName.BASELINE

    @property
    def is_best(self) -> bool:
        return self.rank == 1

    @property
    def primary_score(self) -> TrialScore | None:
        """The score that decides which candidate wins."""
        return next((score for score in self.scores.all() if score.position == 0), None)


class TrialScore(tenancy.TenantModel):
    """One metric of a trial: its value in each fold, their mean, spread and 95 % interval."""

    trial = models.ForeignKey(Trial, on_delete=models.CASCADE, related_name="scores")
    position = models.PositiveSmallIntegerField()
    metric = models.CharField(max_length=40, choices=MetricName.choices)
    folds = ArrayField(models.FloatField())
    mean = models.FloatField()
    std = models.FloatField()
    low = models.FloatField()
    high = models.FloatField()

    class Meta(tenancy.TenantModel.Meta):
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "trial", "metric"], name="training_trial_score_once")
        ]

    def __str__(self) -> str:
        return self.get_metric_display()

    @property
    def margin(self) -> float:
        """How far the interval reaches from the mean, on its longer side: a bound may cut the other one."""
        return max(self.high - self.mean, self.mean - self.low)

    @property
    def interval(self) -> str:
        return f"{format_significant(self.low)} to {format_significant(self.high)}"
