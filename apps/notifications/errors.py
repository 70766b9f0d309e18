from __future__ import annotations

from apps.core.errors import DomainError


class UnknownEvent(DomainError):
    code = "unknown_event"
    status = 422
    detail = "There is no event {event}. There are: {known}."


class MailNotOptional(DomainError):
    code = "mail_not_optional"
    status = 422
    detail = "Mails of the event {event} keep your account safe and cannot be turned off."


class InboxNeedsPerson(DomainError):
    code = "inbox_needs_person"
    status = 403
    detail = "An inbox belongs to a person. Use a personal token, or sign in."


class UnsubscribeLinkInvalid(DomainError):
    code = "unsubscribe_link_invalid"
    status = 404
    detail = "This link is not complete, or was changed. Open it again from the mail."
