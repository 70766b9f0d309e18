from apps.core.errors import DomainError


class CredentialsWrong(DomainError):
    """One answer for every way to be wrong, so that nobody learns who has an account."""

    code = "credentials_wrong"
    status = 401
    detail = "The email or the password is wrong, or the email has not been verified yet."
    headers = {"WWW-Authenticate": 'Bearer realm="modelyard"'}


class SecondFactorNeeded(DomainError):
    code = "second_factor_needed"
    status = 401
    detail = "This account has a second factor. Send its current code, or a recovery code, as `code`."
    headers = {"WWW-Authenticate": 'Bearer realm="modelyard"'}


class SecondFactorWrong(DomainError):
    code = "second_factor_wrong"
    status = 401
    detail = "The code is wrong, or was used before. Send the next one."
    headers = {"WWW-Authenticate": 'Bearer realm="modelyard"'}


class TooManyAttempts(DomainError):
    code = "too_many_attempts"
    status = 429
    detail = "There were too many attempts to sign in. Wait {seconds} seconds, then try again."

    def __init__(self, *, seconds: int) -> None:
        super().__init__(seconds=seconds)
        self.headers = {"Retry-After": str(seconds)}  # type: ignore[misc]


class AccessTokenInvalid(DomainError):
    code = "access_token_invalid"
    status = 401
    detail = "The access token has expired or was revoked. Get a new one with the refresh token, or sign in again."
    headers = {"WWW-Authenticate": 'Bearer realm="modelyard", error="invalid_token"'}


class RefreshTokenInvalid(DomainError):
    code = "refresh_token_invalid"
    status = 401
    detail = "The refresh token has expired or was revoked. Sign in again."
    headers = {"WWW-Authenticate": 'Bearer realm="modelyard", error="invalid_token"'}


class RefreshTokenReused(DomainError):
    code = "refresh_token_reused"
    status = 401
    detail = "The refresh token was used before, so two may hold it. All tokens of this sign-in are revoked; sign in."
    headers = {"WWW-Authenticate": 'Bearer realm="modelyard", error="invalid_token"'}
    keeps_changes = True
