"""Dataset versions made of real CSV text by the real job, and the work that jobs wait for."""

from __future__ import annotations

from django.core.files.uploadedfile import SimpleUploadedFile

from apps.core.actors import Actor
from apps.datasets import services
from apps.datasets.models import DatasetVersion
from tests.working import run_all


def ready_version(name: str, content: str, by: Actor) -> DatasetVersion:
    """The first version of dataset `name`, read from CSV text. Needs the tenant in scope."""
    file = SimpleUploadedFile(f"{name}.csv", content.encode(), content_type="text/csv")
    version = services.create_dataset(name, file, by=by)
    run_all("data")
    version.refresh_from_db()
    assert version.is_ready, version.error_message
    return version


def plants_csv() -> str:
    """Three classes that two numbers and a colour tell apart well, with an identifier, a note and a constant."""
    rows = [
        f"P-{number:03},{kind},{4 + index * 2 + number % 5 * 0.3:.1f},{1 + index * 0.7 + number % 3 * 0.2:.1f},"
        f"{('white', 'blue', 'red')[index]},seen by the pond on walk {number * 7 % 89} of the year,garden"
        for number, (index, kind) in enumerate(
            (index, kind) for _ in range(20) for index, kind in enumerate(("fern", "iris", "rose"))
        )
    ]
    return "\n".join(["plant_id,species,height,width,colour,note,place", *rows])


def houses_csv() -> str:
    """A price that follows the area and the district, with a gap here and there."""
    rows = [
        f"{40 + number % 50},{'' if number % 11 == 0 else number % 5 + 1},{('north', 'south')[number % 2]},"
        f"{(40 + number % 50) * 3.1 + number % 2 * 20 + number % 7:.1f}"
        for number in range(80)
    ]
    return "\n".join(["area,rooms,district,price", *rows])
