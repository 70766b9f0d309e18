"""The features that the code asks about. Whatever else stands in the table is of a feature that is gone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flag:
    """One feature; `percentage` of the organizations have it until an operator says otherwise."""

    name: str
    title: str
    description: str
    percentage: int = 100


KNOWN = {
    flag.name: flag
    for flag in (
        Flag(
            "datasets.fetch",
            "Datasets from a URL",
            "A dataset's file is fetched from an address that somebody gives. Uploads are not affected.",
        ),
        Flag(
            "console.sample",
            "Sample project",
            "An organization may have the sample project built: data, a training run, a model and an endpoint.",
        ),
    )
}
