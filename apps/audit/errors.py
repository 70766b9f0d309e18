from apps.core.errors import DomainError


class RetentionOutOfBounds(DomainError):
    code = "retention_out_of_bounds"
    status = 422
    detail = "The trail is kept for {shortest} to {longest} days. Choose a number between."


class RetentionRemoves(DomainError):
    code = "retention_removes"
    status = 409
    detail = "{count} entries are older than {days} days and would be removed for good. Confirm that they shall go."
