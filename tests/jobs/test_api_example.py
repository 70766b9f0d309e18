"""What docs/jobs-api.md shows, run as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from apps.jobs.models import Job

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "jobs-api.md"


def test_the_worked_example_runs_as_it_is_written(live_server: Any, api_owner: Any, in_acme: Any) -> None:
    found = re.search(r"```bash\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    environment = {"PATH": os.environ["PATH"], "MODELYARD": live_server.url, "TOKEN": api_owner.token}
    script = f"set -euo pipefail\n{found[1]}"
    done = subprocess.run(
        ["bash", "-c", script], check=False, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    read, train = Job.objects.order_by("id")
    assert (read.status, train.status, train.waits_for) == ("pending", "pending", 1)
    assert (train.label, train.priority) == ("Train the churn model", 9)
    assert f"{read.pk}\n" in done.stdout, "the same job for the same key"
    assert "cancelled\npending\n" in done.stdout
    assert done.stdout.count('{"count":0,"remaining":0}') == 2
    assert '"secret":"whsec_' in done.stdout
