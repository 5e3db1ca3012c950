"""Calls of Plesk's XML API and of its gateway to the command line: an answer is HTTP 200, refusals are within."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from migrator.errors import AccessError, ForbiddenError, RefusedError, UnknownOutcomeError, VendorError
from migrator.http import Client

from . import packets
from .packets import Operation, Result

AGENT = "/enterprise/control/agent.php"
TRIES = 4  # at a reading call whose answer was cut off on the way
# docs.plesk.com, Reduced List of Error Codes, read 2026-11-27
STRANGER = {1001, 1010, 1011, 1012, 1029, 11003}
NOT_NOW = {1003, 1004, 1030}
FORBIDDEN, EXISTS, ABSENT = 1006, 1007, 1013


@dataclass(frozen=True)
class Api:
    """One user's way in. ``sign``: the headers of the XML API; ``rest``: those of the REST API."""

    client: Client
    sign: Mapping[str, str]
    rest: Mapping[str, str]

    def read(self, *asked: Operation) -> list[list[Result]]:
        """Return the results of operations that change nothing, one list for each.

        Raises AccessError, ForbiddenError, RefusedError; VendorError where no usable answer comes.
        """
        body, problem = packets.packet(asked), ""
        for attempt in range(TRIES):
            if attempt:
                self.client.sleep(float(attempt))
            answer = self.client.ask(AGENT, data=body, headers=self._headers)
            try:
                root = packets.read(answer.content)
                self._admitted(root)
                found = packets.answers(root, asked)
                if len(found) == len(asked):
                    return found
                problem = f"{len(found)} answers to {len(asked)} questions"
            except ValueError as err:
                problem = str(err)
        raise VendorError(f"no answer of Plesk's XML API: {problem}; check the account's address")

    def write(self, asked: Sequence[Operation]) -> list[list[Result] | None]:
        """Return the results of operations that write, None for those the answer does not speak of.

        Raises RefusedError for the packet as a whole, AccessError; UnknownOutcomeError where no usable answer came.
        """
        answer = self.client.write("POST", AGENT, data=packets.packet(asked), headers=self._headers)
        try:
            root = packets.read(answer.content)
            self._admitted(root)
            found: list[list[Result] | None] = [some or None for some in packets.answers(root, asked)]
        except ValueError as err:
            raise UnknownOutcomeError(f"POST {AGENT}: an unreadable answer ({err})") from err
        except VendorError as err:
            if isinstance(err, RefusedError):
                raise
            raise UnknownOutcomeError(f"POST {AGENT}: {err}") from err
        return found + [None] * (len(asked) - len(found))

    @property
    def _headers(self) -> dict[str, str]:
        return {"Content-Type": "text/xml", **self.sign}

    def _admitted(self, root: Any) -> None:
        """Raise what a packet that was not carried out at all means."""
        refused = packets.whole(root)
        if refused is None:
            return
        if refused.code in STRANGER:
            raise AccessError(f"Plesk: {refused.said} ({refused.code}); check the user, the secret and its address")
        if refused.code in NOT_NOW:
            raise AccessError(f"Plesk: {refused.said} ({refused.code}); its own administrator has to look at it")
        if refused.code == FORBIDDEN:
            raise ForbiddenError(f"Plesk: {refused.said} ({refused.code})", answer=refused.said)
        raise refused.refusal("the packet")

    def command(self, utility: str, *params: str, asks: bool = False) -> str:
        """Return what a command line utility printed. Raises RefusedError with what it complained of."""
        path, body = f"/api/v2/cli/{utility}/call", {"params": list(params)}
        way = self.client.ask if asks else self._post
        answer = way(path, json=body, headers=dict(self.rest))
        try:
            told = answer.json()
            code, printed, complaint = int(told["code"]), str(told["stdout"]), str(told.get("stderr") or "")
        except (ValueError, KeyError, TypeError) as err:
            problem = f"POST {path}: an unreadable answer"
            raise (VendorError(problem) if asks else UnknownOutcomeError(problem)) from err
        if code:
            said = (complaint or printed).strip()[:4000]
            raise RefusedError(f"{utility} {params[0]}: {said} (exit code {code})", status=code, answer=said)
        return printed

    def _post(self, path: str, **how: Any) -> Any:
        return self.client.write("POST", path, **how)
