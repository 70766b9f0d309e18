from apps.core.errors import DomainError


class TooManyTries(DomainError):
    code = "too_many_tries"
    status = 429
    detail = "These were too many tries in a short time. Wait {wait}, then try again."


class NoMailServer(DomainError):
    code = "no_mail_server"
    status = 409
    detail = "No mail server is set. Name one in EMAIL_URL, then send the mail again."


class MailNotResendable(DomainError):
    code = "mail_not_resendable"
    status = 409
    detail = "Only mails that failed or were kept are sent again. This one is {status}."
