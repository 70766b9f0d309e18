from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.datasets import errors
from apps.datasets.models import Column, Dataset, DatasetVersion
from apps.datasets.services import Source
from apps.organizations.api.serializers.projects import LabelField

MAX_ROWS = 1000
MAX_OFFSET = 1_000_000


class HistogramSerializer(serializers.Serializer):
    """`counts[i]` values lie from `edges[i]` up to, but not including, `edges[i + 1]`; the last bin includes it."""

    edges = serializers.ListField(help_text="Numbers, or ISO 8601 texts for dates and times.")
    counts = serializers.ListField(child=serializers.IntegerField())


class TopValueSerializer(serializers.Serializer):
    value = serializers.JSONField()
    count = serializers.IntegerField()


class TextLengthSerializer(serializers.Serializer):
    minimum = serializers.IntegerField()
    mean = serializers.FloatField()
    maximum = serializers.IntegerField()


class ColumnSerializer(serializers.ModelSerializer):
    quantiles = serializers.DictField(source="profile.quantiles", help_text="By share: 0.05, 0.25, 0.5, 0.75, 0.95.")
    histogram = HistogramSerializer(source="profile.histogram", allow_null=True)
    top = TopValueSerializer(source="profile.top", many=True, help_text="The most common values, up to ten.")
    length = TextLengthSerializer(source="profile.length", allow_null=True, help_text="In characters.")

    class Meta:
        model = Column
        fields = [
            "position",
            "name",
            "kind",
            "missing_count",
            "distinct_count",
            "is_distinct_estimated",
            "minimum",
            "maximum",
            "mean",
            "std",
            "quantiles",
            "histogram",
            "top",
            "length",
            "warnings",
        ]


class DatasetVersionSerializer(serializers.ModelSerializer):
    """A version with the state of the job that reads it."""

    status = serializers.CharField(help_text="pending, ready or failed.")
    progress = serializers.FloatField(source="job.progress", default=None, help_text="0 to 1.")
    step = serializers.CharField(source="job.step", default="")
    source_url = serializers.CharField(source="source_address")

    class Meta:
        model = DatasetVersion
        fields = [
            "id",
            "dataset",
            "number",
            "status",
            "error_code",
            "error_message",
            "job",
            "progress",
            "step",
            "content_hash",
            "source_name",
            "source_url",
            "source_size_bytes",
            "parquet_size_bytes",
            "row_count",
            "column_count",
            "created_by_label",
            "created_at",
            "ready_at",
        ]
        read_only_fields = fields


class DatasetVersionDetailSerializer(DatasetVersionSerializer):
    columns = ColumnSerializer(many=True)

    class Meta(DatasetVersionSerializer.Meta):
        fields = [*DatasetVersionSerializer.Meta.fields, "columns"]
        read_only_fields = fields


class DatasetSerializer(serializers.ModelSerializer):
    version_count = serializers.IntegerField(read_only=True)
    size_bytes = serializers.IntegerField(read_only=True, help_text="What all its versions' files take.")
    latest_version = DatasetVersionSerializer(read_only=True, allow_null=True)

    class Meta:
        model = Dataset
        fields = [
            "id",
            "name",
            "description",
            "project",
            "version_count",
            "size_bytes",
            "latest_version",
            "created_by_label",
            "created_at",
        ]


class AcceptedDatasetSerializer(DatasetSerializer):
    job = serializers.UUIDField(source="latest_version.job_id", help_text="The job that reads the file.")

    class Meta(DatasetSerializer.Meta):
        fields = [*DatasetSerializer.Meta.fields, "job"]


class NewVersionSerializer(serializers.Serializer):
    """Either a file, as `multipart/form-data`, or the `url` that it is fetched from."""

    file = serializers.FileField(required=False, allow_empty_file=True)
    url = serializers.CharField(required=False, max_length=2000)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """`source` stands for the one of both that was given."""
        given: list[Source] = [attrs.pop(name) for name in ("file", "url") if name in attrs]
        if len(given) != 1:
            raise errors.SourceMissing(field="file")
        return {**attrs, "source": given[0]}


class NewDatasetSerializer(NewVersionSerializer):
    name = serializers.CharField(max_length=80)
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True, default="")
    project = LabelField()


class DatasetChangesSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=80, required=False)
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    project = LabelField()


class RowsQuerySerializer(serializers.Serializer):
    offset = serializers.IntegerField(min_value=0, max_value=MAX_OFFSET, default=0, help_text="Rows to skip.")
    limit = serializers.IntegerField(min_value=1, max_value=MAX_ROWS, default=100, help_text="Rows to return.")


class RowsSerializer(serializers.Serializer):
    columns = serializers.ListField(child=serializers.CharField())
    rows = serializers.ListField(child=serializers.ListField(), help_text="One list for each row, in `columns`' order.")
    offset = serializers.IntegerField()
    row_count = serializers.IntegerField(help_text="How many rows the version has.")
