"""What drills submit and ask."""

from __future__ import annotations

from typing import Any

from tests.drills.ground import Ground

Asked = dict[str, Any]


def job(kind: str, *, wishes: dict[str, Any] | None = None, **input: Any) -> Asked:
    return {"kind": f"drill.{kind}", "input": input, "wishes": wishes or {}}


def mixed(count: int) -> list[Asked]:
    """Some of every kind that ends by itself, well or badly."""
    kinds = [
        job("plain"),
        job("sleep", seconds=0.1),
        job("sleep", seconds=0.7),
        job("flaky", succeeds_at=2),
        job("useless"),
        job("flaky", succeeds_at=9, wishes={"max_attempts": 2}),
    ]
    return [kinds[number % len(kinds)] for number in range(count)]


def worker_of(ground: Ground, one: str) -> str:
    """Who runs this job, once somebody does."""
    query = "SELECT worker FROM jobs_job WHERE id = %s AND status = 'running'"
    ((worker,),) = ground.until(lambda: ground.rows(query, [one]), "The job did not begin")
    return str(worker)


def statuses(ground: Ground, jobs: list[str]) -> list[str]:
    """Of each job, in their order."""
    found = dict(ground.rows("SELECT id::text, status FROM jobs_job WHERE id = ANY (%s::uuid[])", [jobs]))
    return [found[one] for one in jobs]


def attempts(ground: Ground, jobs: list[str]) -> list[int]:
    found = dict(ground.rows("SELECT id::text, attempt FROM jobs_job WHERE id = ANY (%s::uuid[])", [jobs]))
    return [found[one] for one in jobs]


def now(ground: Ground) -> Any:
    """By the database's clock."""
    return ground.value("SELECT clock_timestamp()")


def until_ended(ground: Ground, jobs: list[str], count: int) -> None:
    """Until so many of these have ended."""
    query = "SELECT count(*) FROM jobs_job WHERE finished_at IS NOT NULL AND id = ANY (%s::uuid[])"
    ground.until(lambda: ground.value(query, [jobs]) >= count, f"Not even {count} jobs ended")


def seconds_until_running_again(ground: Ground, since: Any, one: str) -> float:
    """From a moment until the job's next attempt began."""
    query = """
        SELECT extract(epoch FROM min(created_at) - %s)::float FROM jobs_jobtransition
        WHERE job_id = %s AND status = 'running' AND created_at > %s
    """
    return float(ground.until(lambda: ground.value(query, [since, one, since]), "The job did not begin again"))


def seconds_until_next_end(ground: Ground, since: Any) -> float:
    query = "SELECT extract(epoch FROM min(finished_at) - %s)::float FROM jobs_job WHERE finished_at > %s"
    return float(ground.until(lambda: ground.value(query, [since] * 2), "No job ended any more"))
