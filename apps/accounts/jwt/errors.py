from apps.core.errors import DomainError, NotAuthenticated


class CredentialsWrong(NotAuthenticated):
    """One answer for every way to be wrong, so that nobody learns who has an account."""

    code = "credentials_wrong"
    detail = "The email or the password is wrong, or the email has not been verified yet."


class SecondFactorNeeded(NotAuthenticated):
    code = "second_factor_needed"
    detail = "This account has a second factor. Send its current code, or a recovery code, as `code`."


class SecondFactorWrong(NotAuthenticated):
    code = "second_factor_wrong"
    detail = "The code is wrong, or was used before. Send the next one."


class TooManyAttempts(DomainError):
    code = "too_many_attempts"
    status = 429
    detail = "There were too many attempts to sign in. Wait {seconds} seconds, then try again."

    def __init__(self, *, seconds: int) -> None:
        super().__init__(seconds=seconds)
        self.headers = {"Retry-After": str(seconds)}  # type: ignore[misc]


class TokenInvalid(NotAuthenticated):
    headers = {"WWW-Authenticate": 'Bearer realm="modelyard", error="invalid_token"'}  # RFC 6750, section 3.1


class AccessTokenInvalid(TokenInvalid):
    code = "access_token_invalid"
    detail = "The access token has expired or was revoked. Get a new one with the refresh token, or sign in again."


class RefreshTokenInvalid(TokenInvalid):
    code = "refresh_token_invalid"
    detail = "The refresh token has expired or was revoked. Sign in again."


class RefreshTokenReused(TokenInvalid):
    code = "refresh_token_reused"
    detail = "The refresh token was used before, so two may hold it. All tokens of this sign-in are revoked; sign in."
    keeps_changes = True
