"""What the exceptions of octoDNS's providers amount to, and words of theirs without our secrets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from migrator.errors import AccessError, MigratorError, RefusedError, RetryError, UnknownOutcomeError, VendorError

LATER = (429, 502, 503, 504)
LATER_WORDS = ("Throttling", "PriorRequestNotComplete", "ServiceUnavailable", "RateLimit")
BROKEN = ("ConnectionError", "Timeout", "HTTPClientError", "TimeoutError", "OSError", "EOFError")
MOST = 500  # characters of an answer


def hidden(text: str, secrets: Iterable[str]) -> str:
    """Return a text without the secrets in it: some providers put them into addresses, and errors show those."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "…")
    return text[:MOST]


def status(err: BaseException) -> int:
    """Return the HTTP status behind an exception of requests or botocore, else 0."""
    response: Any = getattr(err, "response", None)
    if isinstance(response, dict):
        return int((response.get("ResponseMetadata") or {}).get("HTTPStatusCode") or 0)
    return int(getattr(response, "status_code", 0) or 0)


def _words(err: BaseException, secrets: Iterable[str]) -> str:
    body = getattr(getattr(err, "response", None), "text", "")
    return hidden(f"{type(err).__name__}: {err}{f' ({body})' if isinstance(body, str) and body else ''}", secrets)


def _denied(err: BaseException, code: int) -> bool:
    return code in (401, 403) or "Unauthorized" in type(err).__name__ or "unauthorized" in str(err).lower()


def _broken(err: BaseException) -> bool:
    return not isinstance(err, FileNotFoundError) and any(one.__name__ in BROKEN for one in type(err).__mro__)


def judged_reading(err: Exception, what: str, secrets: Iterable[str]) -> MigratorError:
    """Return what an exception to a reading means."""
    code, said = status(err), f"octodns: {what}: {_words(err, secrets)}"
    if _denied(err, code):
        return AccessError(said)
    if code in LATER or code >= 500 or any(word in said for word in LATER_WORDS) or (not code and _broken(err)):
        return RetryError(said)
    return VendorError(said)


def judged_writing(err: Exception, what: str, secrets: Iterable[str]) -> MigratorError:
    """Return what an exception to a change means; whoever asks again looks first at what is there."""
    code, said = status(err), f"octodns: {what}: {_words(err, secrets)}"
    if _denied(err, code):
        return AccessError(said)
    if code == 429 or (code < 500 and any(word in said for word in LATER_WORDS)):
        return RetryError(said, throttled=True)
    if code >= 500 or (not code and _broken(err)):
        return UnknownOutcomeError(said)
    return RefusedError(said, status=code, answer=_words(err, secrets))
