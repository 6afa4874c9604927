"""The console's errors: a status, a code, and a sentence that says what to do, never what the inside looks like."""

from collections.abc import Mapping

import msgspec

from gateway.core.errors import GatewayError

CODES = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    426: "upgrade_required",
    429: "too_many_attempts",
    500: "internal_error",
    503: "unavailable",
}


class Refusal(Exception):
    """A request that is not served."""

    def __init__(
        self, status: int, message: str, path: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """``path``: the field or parameter that is wrong."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.path = path
        self.headers = headers or {}

    @property
    def code(self) -> str:
        """What programs tell refusals apart by."""
        return CODES[self.status]

    @property
    def body(self) -> "Failure":
        """What the client reads."""
        return Failure(Problem(self.code, self.message, self.path))

    @staticmethod
    def of(error: "Refusal | GatewayError") -> "Refusal":
        """Return a failure of the layers below as one of ours."""
        return error if isinstance(error, Refusal) else Refusal(error.status, error.message)


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong."""

    code: str
    message: str
    path: str = ""
    """The field or parameter that is wrong."""


class Failure(msgspec.Struct, frozen=True):
    """The body of every answer that is an error."""

    error: Problem


def not_found(what: str) -> Refusal:
    """Return the answer for what is not there, or not for this caller: the two are not told apart."""
    return Refusal(404, f"There is no such {what}.")
