from apps.core.errors import DomainError


class TooManyPolicies(DomainError):
    code = "too_many_policies"
    status = 409
    detail = "An organization has {limit} policies at most. Delete one that is not needed."


class PolicyNameTaken(DomainError):
    code = "policy_name_taken"
    status = 409
    detail = "There is already a policy called “{name}”. Choose another name."


class LimitOutOfBounds(DomainError):
    code = "limit_out_of_bounds"
    status = 422
    detail = "Give a whole number from 1 to {largest}."


class WindowOutOfBounds(DomainError):
    code = "window_out_of_bounds"
    status = 422
    detail = "Give a window from 1 second to 31 days, in whole seconds."


class PlacesOutOfBounds(DomainError):
    code = "places_out_of_bounds"
    status = 422
    detail = "At most {largest} calls at once can be counted. Give fewer, or limit requests instead."


class BurstUnfit(DomainError):
    code = "burst_unfit"
    status = 422
    detail = "A burst is of policies that let calls pass evenly. Leave it empty, or choose that way of counting."


class SubjectNeeded(DomainError):
    code = "subject_needed"
    status = 422
    detail = "Name at least one subject for each of which the policy counts, and each once: {subjects}."


class HeaderNeeded(DomainError):
    code = "header_needed"
    status = 422
    detail = "Name the header whose value is meant, such as x-customer: letters, digits and hyphens."


class HeaderUnfit(DomainError):
    code = "header_unfit"
    status = 422
    detail = "A header is named only together with the subject `header`. Add that subject, or leave this empty."


class HeaderSecret(DomainError):
    code = "header_secret"
    status = 422
    detail = "The values of `{header}` are secrets, which are not kept. Use the subject `token` or `user` instead."


class PlaneNeeded(DomainError):
    code = "plane_needed"
    status = 422
    detail = "Name at least one kind of calls that the policy limits, and each once: {planes}."


class PolicyNeverMet(DomainError):
    code = "policy_never_met"
    status = 422
    detail = "No such call tells its {untold}, so nothing would be limited. Choose other calls, or count otherwise."


class RouteInvalid(DomainError):
    code = "route_invalid"
    status = 422
    detail = (
        "`{route}` is no route. Write the path as the API reference does, such as /api/v1/jobs/, a method before it if "
        "it matters, or a * at its end for all that begin so."
    )


class TooManyNames(DomainError):
    code = "too_many_names"
    status = 422
    detail = "Name {limit} at most. Leave it empty for all."


class NameTooLong(DomainError):
    code = "name_too_long"
    status = 422
    detail = "`{name}` is longer than {limit} characters."


class TooManyEntries(DomainError):
    code = "too_many_entries"
    status = 409
    detail = "The lists hold {limit} entries at most. Remove one that is not needed, or name wider networks."


class EntryExists(DomainError):
    code = "entry_exists"
    status = 409
    detail = "“{value}” is on the lists already. Change that entry, or remove it first."


class EntryValueInvalid(DomainError):
    code = "entry_value_invalid"
    status = 422
    detail = "`{value}` is no {what}. {hint}"


class EntryEnded(DomainError):
    code = "entry_ended"
    status = 422
    detail = "Give a time that is still to come, or none."


class ReasonNeeded(DomainError):
    code = "reason_needed"
    status = 422
    detail = "Say why: the organization's people read it."


class UnknownPlanLimit(DomainError):
    code = "unknown_plan_limit"
    status = 422
    detail = "There is no such limit of a plan. Choose one of: {known}."


class OverrideEnded(DomainError):
    code = "override_ended"
    status = 422
    detail = "Choose a day from today on."


class SeenUnavailable(DomainError):
    code = "limits_not_readable"
    status = 503
    detail = "What limits did lately cannot be read right now. Policies still count; try again in a moment."
    headers = {"Retry-After": "5"}


class PolicyNotAsked(DomainError):
    code = "policy_not_asked"
    status = 404
    detail = (
        "No policy called “{policy}” counts now for what your own services ask about. Name one whose planes hold "
        "`check`."
    )


class PolicyUnfit(DomainError):
    code = "policy_unfit"
    status = 422
    detail = (
        "“{policy}” does not count this call. It counts {quantity} for each {subjects}: give a value of each, the "
        "quantity, and one of its routes and models."
    )


class ReservationInvalid(DomainError):
    code = "reservation_invalid"
    status = 422
    detail = "This is no reservation of yours, or it is older than a month. Send it as a check gave it."


class PlaceLost(DomainError):
    code = "place_lost"
    status = 409
    detail = (
        "The call's place came free, because it was settled or not extended in time. Ask for the call anew, and extend "
        "it before the policy's window is over."
    )
