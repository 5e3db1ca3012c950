"""A Help Scout, opened: a token that is asked for and renewed, and files that come as text (Mailbox API 2.0)."""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Callable, Iterator
from typing import Any

import requests
from requests.auth import AuthBase

from migrator.delivery import Deliverer
from migrator.errors import AccessError, RefusedError, RetryError, UnknownOutcomeError
from migrator.http import Client

EARLY_SECONDS = 300  # a token is renewed so long before it ends; it lives two days (developer.helpscout.com)


class _Plain(AuthBase):
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class Granted(AuthBase):
    """``Authorization: Bearer …`` with a token of the OAuth 2 flow for an account's own apps (client credentials)."""

    stays = False

    def __init__(self, client: Client, given: Callable[[str], str]) -> None:
        self._client, self._given = client, given
        self._token, self._ends, self._lock = "", 0.0, threading.Lock()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the token into the request; raises AccessError where the app is nobody's."""
        with self._lock:
            if not self._token or self._client.pacer.monotonic() > self._ends:
                self._ask()
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def _ask(self) -> None:
        form = {"grant_type": "client_credentials", "client_id": self._given("app_id")}
        form["client_secret"] = self._given("app_secret")
        try:
            told = self._client.write("POST", "/oauth2/token", data=form, auth=_Plain()).json()
        except UnknownOutcomeError as err:  # a second token does no harm
            raise RetryError("POST /oauth2/token: no answer") from err
        except RefusedError as err:
            raise AccessError("POST /oauth2/token: Help Scout refuses the App ID and App Secret") from err
        except ValueError as err:
            raise RetryError("POST /oauth2/token: the answer is not the JSON it should be") from err
        self._token = str(told["access_token"])
        self._ends = self._client.pacer.monotonic() + float(told.get("expires_in", 0)) - EARLY_SECONDS


class Connection(Deliverer):
    """One account."""

    def __init__(self, *of: Any, **how: Any) -> None:
        super().__init__(*of, **how)
        self.client.auth = Granted(self.client, self.given)

    def blob(self, url: str) -> Iterator[bytes]:
        """Yield an attachment's bytes: the API hands them over as base64 in JSON. Raises RefusedError where it is none."""
        held = self.client.read(url).json()
        try:
            yield base64.b64decode(held["data"], validate=True)
        except (KeyError, TypeError, binascii.Error) as err:
            raise RefusedError(f"attachment {url}: not the base64 it should be") from err
