from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.conf import settings

from apps.core.formatting import format_bytes
from apps.core.forms import EditForm
from apps.datasets.services import Source
from apps.organizations.forms.projects import ProjectField


class SourceForm(forms.Form):
    """A file, or the URL that one is fetched from. `source` in the cleaned data is the one that was given."""

    file = forms.FileField(
        required=False, allow_empty_file=True, label="File", widget=forms.FileInput(attrs={"accept": ".csv,.tsv,.txt"})
    )
    url = forms.CharField(
        required=False,
        max_length=2000,
        label="Or fetch it from a URL",
        widget=forms.URLInput(attrs={"placeholder": "https://example.com/customers.csv"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limit = format_bytes(settings.UPLOAD_MAX_BYTES)
        self.fields["file"].help_text = f"CSV in UTF-8 with a header line, up to {limit}."

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        file, url = given.pop("file", None), given.pop("url", "")
        if file is None and not url and not self.errors:
            self.add_error("file", "Choose a file, or give its URL.")
        if file is not None and url:
            self.add_error("url", "Give either a file or a URL, not both.")
        source: Source = url if file is None else file
        return {**given, "source": source}


class DatasetForm(SourceForm):
    name = forms.CharField(
        required=False, max_length=80, label="Name", help_text="The name of the file, if you leave this empty."
    )
    description = forms.CharField(
        required=False, max_length=2000, label="Description", widget=forms.Textarea(attrs={"rows": 2})
    )
    project = ProjectField()
    field_order = ("file", "url", "name", "description", "project")

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        source = given["source"]
        path = urlsplit(source).path if isinstance(source, str) else source.name
        given["name"] = given.get("name") or PurePosixPath(path).stem[:80] or "dataset"
        return given


class DescriptionForm(EditForm):
    name = forms.CharField(max_length=80)
    description = forms.CharField(required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 4}))
    project = ProjectField()
