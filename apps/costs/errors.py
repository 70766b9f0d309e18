from __future__ import annotations

from apps.core.errors import DomainError


class PriceExists(DomainError):
    code = "price_exists"
    status = 409
    detail = "There is a price of {model} from {day} on already. Change that one."


class PriceInvalid(DomainError):
    code = "price_invalid"
    status = 422
    detail = "{reason}"


class TooManyPrices(DomainError):
    code = "too_many_prices"
    status = 409
    detail = "There are {limit} prices already, which is the most. Delete one that is not needed."
