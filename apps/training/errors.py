"""Why a run is refused before it starts. What only its data can tell is refused by `planning` inside its job."""

from apps.core.errors import DomainError


class DatasetNotReady(DomainError):
    code = "dataset_not_ready"
    status = 422
    detail = "Version {number} of “{dataset}” is {status}. Choose a version that is ready."


class TargetNotAColumn(DomainError):
    code = "target_not_a_column"
    status = 422
    detail = "There is no column “{target}” in version {number} of “{dataset}”. Its columns are: {columns}."


class NoCandidateSucceeded(DomainError):
    code = "no_candidate_succeeded"
    status = 422
    detail = "None of the candidates could be trained. The first one said: {reason}"
