"""Why a feature is refused, and what cannot be set."""

from apps.core.errors import DomainError


class UnknownFlag(LookupError):
    """The code asks about a flag that `known.py` does not declare: a mistake in the code, not of a person."""


class FeatureSwitchedOff(DomainError):
    code = "feature_switched_off"
    status = 403
    detail = "“{title}” is switched off for this organization. Ask the operator of this installation."


class WrongPercentage(DomainError):
    code = "wrong_percentage"
    status = 422
    detail = "Give a whole number from 0 to 100."


class FlagObsolete(DomainError):
    code = "flag_obsolete"
    status = 409
    detail = "Nothing asks about `{name}` any more, so that there is nothing to switch."
