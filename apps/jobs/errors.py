from apps.core.errors import DomainError


class JobAlreadyFinished(DomainError):
    code = "job_already_finished"
    status = 409
    detail = "The job has already ended ({status}). There is nothing left to cancel."


class JobNotRetryable(DomainError):
    code = "job_not_retryable"
    status = 409
    detail = "Only a job that failed, died or was cancelled can be retried; this one is {status}."


class JobTimedOut(DomainError):
    code = "job_timed_out"
    status = 504
    detail = "The job was stopped after its time limit of {seconds} s. Give it less to do, or raise the limit."


class JobCancelled(Exception):
    """Raised inside a handler when somebody asked for the job to stop."""


class LeaseLost(Exception):
    """Raised inside a handler whose job has been given to another worker: whatever it still does is refused."""
