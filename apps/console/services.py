from __future__ import annotations

from apps.core import tenancy
from apps.core.actors import Actor
from apps.jobs import services as jobs
from apps.jobs.models import Job
from apps.organizations import flags

SAMPLE_KIND = "console.sample_project"


def start_sample_project(*, by: Actor) -> Job:
    """Build the sample project in the current organization. While one is being built, that one is returned.

    Raises `FeatureSwitchedOff`.
    """
    flags.require("console.sample", tenancy.current_tenant_id())
    running = Job.objects.active().filter(kind=SAMPLE_KIND).first()
    return running or jobs.submit_job(
        SAMPLE_KIND, {"user_id": str(by.user_id)}, by=by, label="Build the sample project"
    )
