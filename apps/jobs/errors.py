from apps.core.errors import DomainError


class UnknownKind(DomainError):
    code = "unknown_kind"
    status = 400
    detail = "There is no kind of job called {kind}."


class KindNotOpen(DomainError):
    code = "kind_not_open"
    status = 422
    detail = "Jobs of the kind {kind} are not submitted by themselves: they begin with {started_by}."


class TimeLimitTooLong(DomainError):
    code = "time_limit_too_long"
    status = 422
    detail = "A job of the kind {kind} runs for {limit_s} s at most."


class RunAtTooFar(DomainError):
    code = "run_at_too_far"
    status = 422
    detail = "A job can be planned {days} days ahead at most."


class KindNotOutside(DomainError):
    code = "kind_not_outside"
    status = 409
    detail = "Jobs of the kind {kind} are done by our own workers. Choose another name for a kind of your own."


class AttemptOver(DomainError):
    """What whoever works on a job outside is told once it is no longer theirs."""

    code = "lease_lost"
    status = 409
    detail = (
        "Attempt {attempt} is over: the job is {status}, at attempt {current}. Its lease ended or somebody else ended "
        "it, so that nothing more of this attempt is taken. Stop its work."
    )


class JobAlreadyFinished(DomainError):
    code = "job_already_finished"
    status = 409
    detail = "The job has already ended ({status}). There is nothing left to cancel."


class JobNotRetryable(DomainError):
    code = "job_not_retryable"
    status = 409
    detail = "Only a job that failed, died or was cancelled can be retried; this one is {status}."


class JobNotRunning(DomainError):
    code = "job_not_running"
    status = 409
    detail = "Only a running job can be taken from its worker; this one is {status}."


class QueueDrained(DomainError):
    code = "queue_drained"
    status = 409
    detail = "The queue {queue} is drained already. Resume it first to give another reason."


class QueueNotDrained(DomainError):
    code = "queue_not_drained"
    status = 409
    detail = "The queue {queue} is not drained."


class JobNotDead(DomainError):
    code = "job_not_dead"
    status = 409
    detail = "Only a job in the dead set can be discarded; this one is {status}."


class DependencyUnknown(DomainError):
    code = "dependency_unknown"
    status = 400
    detail = "There is no job {missing} to wait for. Name jobs of this organization by their id."


class DependencyEndedBadly(DomainError):
    code = "dependency_ended_badly"
    status = 409
    detail = "It would wait for {label} ({id}), which is {status}. Retry that one first."


class DependencyFailed(DomainError):
    """The end of a job that waited for one that did not succeed."""

    code = "dependency_failed"
    status = 409
    detail = "It waited for {label} ({id}), which ended as {status}. Retry that one, and this one waits for it again."


class JobTimedOut(DomainError):
    code = "job_timed_out"
    status = 504
    detail = "The job was stopped after its time limit of {seconds} s. Give it less to do, or raise the limit."


class JobCancelled(Exception):
    """Raised inside a handler when somebody asked for the job to stop."""


class JobInterrupted(Exception):
    """Raised inside a handler whose worker is being stopped: another worker begins the job anew."""


class LeaseLost(Exception):
    """Raised inside a handler whose job has been given to another worker: whatever it still does is refused."""
