from __future__ import annotations

from rest_framework import serializers

from apps.jobs.models import Job, JobLogLine, JobTransition


class JobSerializer(serializers.ModelSerializer):
    eta_seconds = serializers.SerializerMethodField(help_text="Time left at the pace so far; null when unknown.")

    class Meta:
        model = Job
        fields = [
            "id",
            "kind",
            "queue",
            "label",
            "status",
            "progress",
            "step",
            "eta_seconds",
            "attempt",
            "max_attempts",
            "input",
            "result",
            "error_code",
            "error_message",
            "subject_type",
            "subject_id",
            "created_by_label",
            "created_at",
            "run_at",
            "started_at",
            "finished_at",
            "heartbeat_at",
            "cancel_requested_at",
            "request_id",
        ]

    def get_eta_seconds(self, job: Job) -> float | None:
        return job.eta.total_seconds() if job.eta else None


class JobTransitionSerializer(serializers.ModelSerializer):
    class Meta:
        model = JobTransition
        fields = ["created_at", "status", "attempt", "worker", "reason"]


class JobDetailSerializer(JobSerializer):
    transitions = JobTransitionSerializer(many=True)

    class Meta(JobSerializer.Meta):
        fields = [*JobSerializer.Meta.fields, "traceback", "transitions"]


class JobLogLineSerializer(serializers.ModelSerializer):
    class Meta:
        model = JobLogLine
        fields = ["id", "created_at", "attempt", "level", "text", "fields"]
