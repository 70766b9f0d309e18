from apps.core.errors import DomainError


class TooManyTries(DomainError):
    code = "too_many_tries"
    status = 429
    detail = "These were too many tries in a short time. Wait {wait}, then try again."
