"""The errors that Juniro answers with. Pure Python, so that models may import it.

Each verb's own errors stand beside the verb; here are the ones that belong to no domain. The table of codes is in
docs/errors.md and in the OpenAPI document.
"""

from collections.abc import Iterable
from typing import Any


class Error(Exception):
    """An answer other than success: an HTTP `status`, a stable `code`, a message for people, and `details`.

    `details` is a list of `{"field", "message"}`; some errors add keys of their own (say the candidates of an
    ambiguous slug).
    """

    status = 500
    code = "INTERNAL_ERROR"
    message = "Something went wrong on our side."
    retry_after: int | None = None

    def __init__(self, message: str | None = None, *, details: Iterable[dict[str, Any]] = (), field: str | None = None):
        self.message = message or self.message
        self.details = list(details)
        if field:
            self.details.append({"field": field, "message": self.message})
        super().__init__(self.message)


class ValidationFailed(Error):
    status, code, message = 400, "VALIDATION_ERROR", "The request is not valid."


class MalformedRequest(Error):
    status, code, message = 400, "MALFORMED_REQUEST", "The request cannot be read: send JSON in UTF-8."


class Unauthorized(Error):
    status, code, message = 401, "UNAUTHORIZED", "Send an access token: Authorization: Bearer …"


class InvalidToken(Error):
    status, code, message = 401, "INVALID_TOKEN", "The access token is not valid."


class Forbidden(Error):
    status, code, message = 403, "FORBIDDEN", "You may not do this."


class FeatureDisabled(Error):
    status, code, message = 403, "FEATURE_DISABLED", "This feature is not available yet."


class NotFound(Error):
    status, code, message = 404, "NOT_FOUND", "There is nothing here."


class InvalidState(Error):
    status, code, message = 409, "INVALID_STATE", "This is not possible in the present state."


class PayloadTooLarge(Error):
    status, code, message = 413, "PAYLOAD_TOO_LARGE", "The request body may be 1 MiB at most."


class RateLimited(Error):
    status, code, message = 429, "RATE_LIMITED", "Too many requests. Try again shortly."

    def __init__(self, retry_after: int):
        super().__init__()
        self.retry_after = retry_after


class ServiceUnavailable(Error):
    status, code, message = 503, "SERVICE_UNAVAILABLE", "A part that this needs is out of reach. Try again shortly."
    retry_after = 5
