from apps.core.errors import DomainError


class OrganizationHeaderNeeded(DomainError):
    code = "organization_header_needed"
    status = 400
    detail = "You belong to several organizations. Name one in the header `Modelyard-Organization: <slug>`."


class SlugTaken(DomainError):
    code = "slug_taken"
    status = 409
    detail = "The address `{slug}` is taken. Choose another one."


class MemberExists(DomainError):
    code = "member_exists"
    status = 409
    detail = "{email} is already a member."


class NoSuchPerson(DomainError):
    code = "no_such_person"
    status = 422
    detail = "Nobody has signed up as {email}. Ask them to sign up first, then add them."


class LastOwner(DomainError):
    code = "last_owner"
    status = 409
    detail = "The last owner can neither leave nor lose the role. Make somebody else an owner first."


class RoleAboveOwn(DomainError):
    code = "role_above_own"
    status = 403
    detail = "You cannot give or take a role that can do more than your own."


class ScopeNotHeld(DomainError):
    code = "scope_not_held"
    status = 403
    detail = "A token cannot do more than its maker: you do not have `{scope}`."


class ExpiryPast(DomainError):
    code = "expiry_past"
    status = 422
    detail = "The token would have expired already. Choose a time that is still to come."


class UnknownScope(DomainError):
    code = "unknown_scope"
    status = 422
    detail = "There is no scope `{scope}`. Choose among: {known}."


class IdempotencyKeyReused(DomainError):
    code = "idempotency_key_reused"
    status = 422
    detail = "This Idempotency-Key was used for another request. Use a new key for new content."


class IdempotencyKeyInFlight(DomainError):
    code = "idempotency_key_in_flight"
    status = 409
    detail = "A request with this Idempotency-Key is still running. Try again in a moment."
    headers = {"Retry-After": "1"}


class IdempotencyKeyInvalid(DomainError):
    code = "idempotency_key_invalid"
    status = 400
    detail = "An Idempotency-Key is 1 to 200 visible ASCII characters."


class RequestTooLarge(DomainError):
    code = "body_too_large"
    status = 413
    detail = "The body is larger than what is taken here. Send less at a time."


class RequestUnreadable(DomainError):
    code = "parse_error"
    status = 400
    detail = "The body is not what its Content-Type says: {reason}"
