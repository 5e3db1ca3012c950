"""Znuny's web service (GenericInterface): a session, calls, and what its answers mean.

Every answer is 200; whether it is an error is said in its body (measured with 6.5.1, 2026-11-26, like all here).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import requests

from migrator.connector import Native
from migrator.errors import AbsentError, AccessError, ForbiddenError, RefusedError, UnknownOutcomeError, VendorError
from migrator.http import Client

TRIES = 4  # to sign in: a session too many harms nobody
AT_ONCE = 50  # tickets in one GET


class Interface:
    """Calls with a session that is opened when it is first needed, and again when it has run out."""

    def __init__(self, client: Client, user: str, password: str) -> None:
        self.client, self._user, self._password = client, user, password
        self._session = ""
        self._opening = threading.Lock()

    def signed_in(self) -> str:
        """Open a session if there is none and return its id. Raises AccessError."""
        with self._opening:
            if not self._session:
                self._session = self._open()
            return self._session

    def _open(self) -> str:
        body = {"UserLogin": self._user, "Password": self._password}
        for attempt in range(1, TRIES + 1):
            try:
                answer = self.client.write("POST", "/Session", json=body).json()
                break
            except (UnknownOutcomeError, ValueError) as err:
                if attempt == TRIES:
                    raise VendorError(f"POST /Session: no usable answer; tried {attempt} times") from err
                self.client.sleep(float(attempt))
        if not isinstance(answer, dict) or not answer.get("SessionID"):
            raise AccessError(
                "POST /Session: the credentials were refused; check the user and the password, then `migrator check`"
            )
        return str(answer["SessionID"])

    def _expired(self, session: str) -> None:
        with self._opening:
            if self._session == session:
                self._session = ""

    def read(self, route: str, params: Mapping[str, Any] | None = None) -> Native:
        """Return the answer to a GET. Raises AbsentError, ForbiddenError, RefusedError, AccessError."""
        for last in (False, True):
            session = self.signed_in()
            response = self.client.read(route, {**(params or {}), "SessionID": session})
            answer = _parsed(response)
            if answer is None:
                raise VendorError(f"GET {route}: the answer is not the JSON it should be")
            if not self._again(answer, session, last):
                return _judged(answer, f"GET {route}", reading=True)
        raise AssertionError("unreachable")

    def write(self, method: str, route: str, body: Native) -> Native:
        """Return the answer to a write. Raises RefusedError where nothing was done, UnknownOutcomeError."""
        for last in (False, True):
            session = self.signed_in()
            response = self.client.write(method, route, json={**body, "SessionID": session})
            answer = _parsed(response)
            if answer is None:
                raise UnknownOutcomeError(f"{method} {route}: {response.status_code}, with an unreadable answer")
            if not self._again(answer, session, last):
                return _judged(answer, f"{method} {route}", reading=False)
        raise AssertionError("unreachable")

    def _again(self, answer: Native, session: str, last: bool) -> bool:
        """Tell whether the session has run out, and the call (which did nothing) is worth repeating."""
        if not _code(answer).endswith(".AuthFail") or last:
            return False
        self._expired(session)
        return True

    # ---- tickets ----------------------------------------------------------------------------------------------------

    def search(self, **terms: Any) -> list[int]:
        """Return the ids of the tickets that fit, sorted. Terms within terms go in a body, which GET has none of."""
        wanted = {"Limit": 100_000_000, **terms}
        for attempt in range(1, TRIES + 1):
            try:
                found = self.write("POST", "/TicketSearch", wanted).get("TicketID") or []
                break
            except UnknownOutcomeError as err:  # it changes nothing
                if attempt == TRIES:
                    raise VendorError(f"{err}; tried {attempt} times") from err
                self.client.sleep(float(attempt))
        return sorted(int(id) for id in (found if isinstance(found, list) else [found]))

    def tickets(self, ids: Sequence[int | str], **how: Any) -> list[Native]:
        """Return the tickets that are there, up to ``AT_ONCE`` in one call; ``how``: what comes with them."""
        try:
            answer = self.read("/Ticket/" + ",".join(map(str, ids)), {"DynamicFields": 1, **how})
        except AbsentError:
            if len(ids) == 1:
                return []
            return [ticket for id in ids for ticket in self.tickets([id], **how)]  # one is gone: all were refused
        return list(answer["Ticket"])

    def histories(self, ids: Sequence[int | str]) -> list[Native]:
        """Return what was done to the tickets that are there, up to ``AT_ONCE`` in one call."""
        try:
            answer = self.read("/TicketHistory/" + ",".join(map(str, ids)))
        except (AbsentError, ForbiddenError):
            if len(ids) == 1:
                return []
            return [one for id in ids for one in self.histories([id])]
        return list((answer.get("Data") or {}).get("TicketHistory") or answer.get("TicketHistory") or ())


def _parsed(response: requests.Response) -> Native | None:
    try:
        answer = response.json()
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _code(answer: Native) -> str:
    error = answer.get("Error")
    return str(error.get("ErrorCode") or "") if isinstance(error, dict) else ""


def _judged(answer: Native, call: str, *, reading: bool) -> Native:
    """Return an answer that is none of an error."""
    error = answer.get("Error")
    if error is None:
        return answer
    code, said = _code(answer), json.dumps(error, ensure_ascii=False)[:4000]
    if code.endswith(".AuthFail"):
        raise AccessError(f"{call}: the session was refused; check the user and the password, then `migrator check`")
    if reading and code in ("TicketGet.AccessDenied", "TicketGet.NotValidTicketID"):
        raise AbsentError(f"{call}: there is no such ticket, or the agent may not see it", status=404, answer=said)
    if reading and code.endswith(".AccessDenied"):
        raise ForbiddenError(f"{call}: the agent lacks the right; give it ro on every group", answer=said)
    raise RefusedError(f"{call}: refused ({code or 'no reason given'})", status=200, answer=said)
