from apps.core.errors import DomainError


class TooManyEndpoints(DomainError):
    code = "too_many_webhook_endpoints"
    status = 409
    detail = "An organization has {limit} webhook endpoints at most. Delete one that is not needed."


class CallbackEndpointFixed(DomainError):
    code = "callback_endpoint_fixed"
    status = 409
    detail = (
        "Each job brings the address of its callback along, so this endpoint has none to change or to test, and it "
        "stays. Disable it if no callback shall be sent."
    )


class EndpointDisabled(DomainError):
    code = "webhook_endpoint_disabled"
    status = 409
    detail = "This endpoint is disabled, so nothing is sent to it. Enable it first."


class SecretUnreadable(DomainError):
    code = "webhook_secret_unreadable"
    status = 409
    detail = "Its signing secret was sealed under another SECRET_KEY, so nothing can be signed with it. Rotate it."


class DeliveryBeingSent(DomainError):
    code = "webhook_delivery_being_sent"
    status = 409
    detail = "It is being sent right now. Wait for what the endpoint answers."
