from __future__ import annotations

from apps.core.errors import DomainError


class WrongAmount(DomainError):
    code = "wrong_amount"
    status = 422
    detail = "An amount is a whole number from 0 up, in the meter's unit; empty is unlimited."


class ReasonMissing(DomainError):
    code = "reason_missing"
    status = 422
    detail = "Say why: the organization reads it in its trail."


class EndPassed(DomainError):
    code = "end_passed"
    status = 422
    detail = "Choose an end that is still to come."
