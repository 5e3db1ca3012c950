"""Calls of ISPConfig's remote API: every answer is HTTP 200, a refusal too, and a session is in every body."""

from __future__ import annotations

import re
import threading
from typing import Any

from migrator.errors import AccessError, ForbiddenError, RefusedError, UnknownOutcomeError, VendorError
from migrator.http import Client

# json.php tells a fault by its text alone, not by its code (interface/lib/classes/json_handler.inc.php).
EXPIRED = re.compile(r"session is expired|session_?id is empty", re.I)
NO_LOGIN = re.compile(r"login failed|login is not allowed|blocked", re.I)
NO_RIGHT = re.compile(r"do not have the permissions", re.I)


class Api:
    """One remote user's session, opened at the first call and again when it has expired."""

    def __init__(self, client: Client, user: str, password: str) -> None:
        self._client, self._user, self._password = client, user, password
        self._session, self._lock = "", threading.Lock()

    def login(self, expired: str = "") -> str:
        """Return the session, a new one in place of the ``expired``. Raises AccessError."""
        with self._lock:
            if not self._session or self._session == expired:
                asked = {"username": self._user, "password": self._password, "client_login": False}
                told = self._client.ask("?login", asked)
                code, message, answer = _told("login", told)
                if code != "ok" or not answer:
                    raise AccessError(f"login: {message or 'refused'}; check the remote user, its password and its IPs")
                self._session = str(answer)
            return self._session

    def read(self, method: str, **params: Any) -> Any:
        """Return the answer of a function that changes nothing. Raises ForbiddenError, RefusedError, VendorError."""
        return self._call(method, params, asks=True)

    def write(self, method: str, **params: Any) -> Any:
        """Return the answer of a function that writes. Raises as ``read``; UnknownOutcomeError where none came."""
        return self._call(method, params, asks=False)

    def _call(self, method: str, params: dict[str, Any], *, asks: bool) -> Any:
        session = self.login()
        for last in (False, True):
            body = {"session_id": session, **params}
            way = self._client.ask if asks else self._post
            code, message, answer = _told(method, way(f"?{method}", body), wrote=not asks)
            if code == "ok":
                return answer
            if not last and EXPIRED.search(message):  # nothing was done
                session = self.login(session)
                continue
            break
        if NO_RIGHT.search(message):
            raise ForbiddenError(f"{method}: {message} Allow it to the remote user", answer=message[:4000])
        said = re.sub(r"\s*<br\s*/?>\s*", " ", message).strip() or code
        raise RefusedError(f"{method}: {said}", status=200, answer=message[:4000])

    def _post(self, path: str, body: Any) -> Any:
        return self._client.write("POST", path, json=body)


def _told(method: str, response: Any, *, wrote: bool = False) -> tuple[str, str, Any]:
    try:
        answer = response.json()
        code, message = str(answer["code"]), str(answer.get("message") or "")
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        if wrote:
            raise UnknownOutcomeError(f"{method}: an unreadable answer") from err
        raise VendorError(f"{method}: no answer of ISPConfig's json.php; check the account's address") from err
    if code == "remote_fault" and NO_LOGIN.search(message):
        raise AccessError(f"{method}: {message}; check the remote user, its password and its IPs")
    return code, message, answer.get("response")
