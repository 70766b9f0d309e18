from apps.core.errors import DomainError


class ExportNotReady(DomainError):
    code = "export_not_ready"
    status = 409
    detail = "This export has no file: it is {status}. Wait until it is ready, or ask for another one."


class ExportExpired(DomainError):
    code = "export_expired"
    status = 410
    detail = "This export was removed after {days} days. Ask for another one."


class TooManyExports(DomainError):
    code = "too_many_exports"
    status = 409
    detail = "{limit} exports are kept already. Download one of them, or wait until the oldest one is removed."


class ProofNeeded(DomainError):
    code = "proof_needed"
    status = 403
    detail = "Prove who you are once more: open the page of this operation, or call with a token."


class ErasureIncomplete(Exception):
    """Something of an erased organization was found after all: a mistake of ours that the operator has to see."""
