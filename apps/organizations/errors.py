from apps.core.errors import DomainError


class OrganizationHeaderNeeded(DomainError):
    code = "organization_header_needed"
    status = 400
    detail = "You belong to several organizations. Name one in the header `Modelyard-Organization: <slug>`."


class OrganizationNotYours(DomainError):
    code = "organization_not_yours"
    status = 404
    detail = "You belong to no organization with the address that the header `Modelyard-Organization` names."


class OrganizationMissing(DomainError):
    code = "organization_missing"
    status = 404
    detail = "You belong to no organization yet. Found one, or accept an invitation, then call again."


class PersonalCallNeeded(DomainError):
    code = "personal_call_needed"
    status = 403
    detail = "An API token belongs to one organization. Sign in, or call with an access token of /api/v1/auth/token/."


class SlugTaken(DomainError):
    code = "slug_taken"
    status = 409
    detail = "The address `{slug}` is taken. Choose another one."


class MemberExists(DomainError):
    code = "member_exists"
    status = 409
    detail = "{email} is already a member."


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


class ExpiryTooFar(DomainError):
    code = "expiry_too_far"
    status = 422
    detail = (
        "A token lives {days} days at most, and one that a token makes no longer than that one. Choose an earlier end."
    )


class MembershipNeeded(DomainError):
    code = "membership_needed"
    status = 422
    detail = "A personal token acts for a member, and you are none. Make a token of the organization."


class NotItsPerson(DomainError):
    code = "not_its_person"
    status = 403
    detail = "Only the person that a personal token acts for may have its new secret. You may revoke it."


class TokenEnded(DomainError):
    code = "token_ended"
    status = 409
    detail = "The token is {status} and stays so. Make a new one."


class NetworkInvalid(DomainError):
    code = "network_invalid"
    status = 422
    detail = "`{network}` is no network. Write it like 203.0.113.0/24 or 2001:db8::/32, or a single address."


class NetworkNotHeld(DomainError):
    code = "network_not_held"
    status = 403
    detail = "The token that makes this call works in some networks only, and cannot give more than these."


class TooManyTokens(DomainError):
    code = "too_many_tokens"
    status = 409
    detail = "There are {limit} usable tokens. Revoke those that nobody needs."


class TooManyNetworks(DomainError):
    code = "too_many_networks"
    status = 422
    detail = "A token takes {limit} networks at most. Name wider ones."


class AddressNotAllowed(DomainError):
    code = "address_not_allowed"
    status = 403
    detail = "This token may not be used from {address}. Call from a network of its list, or have this one added."


class UnknownScope(DomainError):
    code = "unknown_scope"
    status = 422
    detail = "There is no scope `{scope}`. Choose among: {known}."


class ConfirmationMismatch(DomainError):
    code = "confirmation_mismatch"
    status = 422
    detail = "Type `{name}` to confirm."


class PersonNeeded(DomainError):
    code = "person_needed"
    status = 403
    detail = "Only a person who is a member can do this. Sign in, or use a personal token."


class AlreadyYours(DomainError):
    code = "already_yours"
    status = 409
    detail = "The organization is yours already. Choose another member."


class TooManyOrganizations(DomainError):
    code = "too_many_organizations"
    status = 409
    detail = "You own {limit} organizations, and can found no more. Hand one over first."


class HeirInactive(DomainError):
    code = "heir_inactive"
    status = 409
    detail = "This member's account was switched off, so nobody could act for it. Choose another member."


class SecondFactorMissing(DomainError):
    code = "second_factor_missing"
    status = 409
    detail = "Set up two-factor for your own account first; otherwise you would lock yourself out."


class ActingReadOnly(DomainError):
    code = "acting_read_only"
    status = 403
    detail = "You look at this organization as {person} and change nothing here. End it first."


class ActingEnded(DomainError):
    code = "acting_ended"
    status = 403
    detail = "Your time as {person} is over. Start again in the console if you still have a reason."


class OrganizationSuspended(DomainError):
    code = "organization_suspended"
    status = 403
    detail = "This organization is suspended: {because}. Nothing of it is lost; ask the operator of this installation."
    page = "organizations/suspended.html"


class UnknownPlan(DomainError):
    code = "unknown_plan"
    status = 422
    detail = "There is no plan “{plan}”."


class OrganizationClosed(DomainError):
    code = "organization_closed"
    status = 403
    detail = (
        "This organization is closed and will be erased after {day}, as an owner asked. Until then an owner can "
        "reopen it."
    )
    page = "organizations/closed.html"


class HoldOver(DomainError):
    code = "hold_over"
    status = 410
    detail = "The {days} days to take the deletion back are over. The organization is being erased."


class SecondFactorRequired(DomainError):
    code = "second_factor_required"
    status = 403
    detail = "{organization} requires two-factor. Set it up for your account, then come back."
    page = "organizations/second_factor_required.html"


class InvitationPending(DomainError):
    code = "invitation_pending"
    status = 409
    detail = "{email} has an open invitation. Send it again, or revoke it first."


class TooManyInvitations(DomainError):
    code = "too_many_invitations"
    status = 409
    detail = "{limit} invitations are open or were revoked within a day. Wait until some are accepted."


class InvitedTooOften(DomainError):
    code = "invited_too_often"
    status = 429
    detail = "{email} was sent {limit} mails within the hour. Try again later."
    headers = {"Retry-After": "3600"}


class InvitationNotOpen(DomainError):
    """An invitation that cannot be accepted, told on a page of its own."""

    page = "organizations/invitation_refused.html"


class InvitationNotValid(InvitationNotOpen):
    code = "invitation_not_valid"
    status = 404
    detail = "This link is not valid. It may have been replaced by a newer one: use the link of the latest mail."


class InvitationExpired(InvitationNotOpen):
    code = "invitation_expired"
    status = 410
    detail = "This invitation has expired. Ask for a new one."


class InvitationRevoked(InvitationNotOpen):
    code = "invitation_revoked"
    status = 410
    detail = "This invitation was taken back. Ask for a new one if you think that is a mistake."


class InvitationUsed(InvitationNotOpen):
    code = "invitation_used"
    status = 410
    detail = "This invitation was used already. If it was you, the organization is in your list."


class InvitationWaits(InvitationNotOpen):
    code = "invitation_waits"
    status = 409
    detail = "This organization takes nobody in at present. Ask whoever invited you, and open the link again later."


class InviterLost(InvitationNotOpen):
    code = "inviter_lost"
    status = 409
    detail = "Whoever invited you may not give this role any more. Ask for a new invitation."


class InvitationForAnother(DomainError):
    code = "invitation_for_another"
    status = 403
    detail = "This invitation is for another address than those you have verified."


class AlreadyMember(InvitationNotOpen):
    code = "already_member"
    status = 409
    detail = "You are a member of this organization already."


class OnlyOwner(DomainError):
    code = "only_owner"
    status = 409
    detail = "You are the only owner of {organizations}. Make somebody else an owner there first."


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


class ProjectNameTaken(DomainError):
    code = "project_name_taken"
    status = 409
    detail = "There is already a project “{name}”. Choose another name."
