"""One client for every vendor: sessions, credentials, the pacer; answers become errors by what may be done next."""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit
from urllib.request import getproxies

import msgspec
import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from migrator.errors import (
    AbsentError,
    AccessError,
    ForbiddenError,
    MigratorError,
    RefusedError,
    RetryError,
    UnknownOutcomeError,
    VendorError,
)
from migrator.pacer import Call, Pacer, date

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = (10, 60)  # to connect, between bytes
ATTEMPTS = 8
LONGEST_PAUSE_SECONDS = 60.0
# A pair of surrogates, one alone, or any other escape: read from the left, so that an escaped backslash begins nothing.
ESCAPES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)
POOL = 64  # connections kept open to a host: more than an account may have workers (migration.Account)


class Bearer(AuthBase):
    """``Authorization: Bearer …`` (or another scheme, or header); the token is not shown by ``repr``."""

    def __init__(self, token: str, scheme: str = "Bearer", header: str = "Authorization") -> None:
        self._token, self._scheme, self._header = token, scheme, header
        self.stays = header != "Authorization"  # requests takes only that one off on the way to another host

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the token into the request."""
        request.headers[self._header] = f"{self._scheme} {self._token}".lstrip()
        return request


def pooled() -> requests.Session:
    """Return a session that keeps a connection for every worker; with requests' ten, the others connect anew."""
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_connections=16, pool_maxsize=POOL))
    if not getproxies():
        # Read once: requests looks through the environment at every call, which costs more than the call itself.
        session.trust_env = False
        session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    return session


@dataclass
class Client:
    """Talks to one account. ``sleep``, ``session`` and ``now`` are arguments: tests neither wait nor leave the machine.

    ``heard``: the vendor's time in its last answer, and when that came by the pacer's ``monotonic``. ``mended``: how
    many answers held what is no text.
    """

    base_url: str
    auth: AuthBase | HTTPBasicAuth | None
    pacer: Pacer
    session: requests.Session = field(default_factory=pooled)
    sleep: Callable[[float], None] = time.sleep
    attempts: int = ATTEMPTS
    calls: int = 0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    heard: tuple[datetime, float] | None = None
    mended: int = 0
    _counting: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def read(self, path: str, params: Mapping[str, Any] | None = None) -> requests.Response:
        """GET, repeated while that is safe. ``path`` may be a whole address of the same account.

        Raises AccessError, AbsentError, RefusedError, or VendorError when the vendor stays out of reach.
        """
        return self._again(lambda: self._whole(self._once("GET", path, params=params)))

    def ask(self, path: str, question: Any = None, **how: Any) -> requests.Response:
        """POST a question, a search that a vendor takes no other way: it changes nothing and is repeated as a read is.

        ``how``: in place of a question in JSON, what ``write`` takes. Raises what ``read`` raises.
        """
        given = how or {"json": question}

        def once() -> requests.Response:
            try:
                return self._whole(self._once("POST", path, **given))
            except UnknownOutcomeError as err:
                raise RetryError(str(err)) from err
            except RefusedError as err:
                if err.status == 403:
                    raise ForbiddenError(str(err), answer=err.answer) from err
                raise

        return self._again(once)

    def write(self, method: str, path: str, **how: Any) -> requests.Response:
        """Carry out one write. Repeated only where the vendor says that nothing was done (429).

        Raises UnknownOutcomeError when no usable answer came: look the record up. Raises RefusedError with the answer.
        """
        return self._again(lambda: self._once(method, path, **how))

    def listen(self, path: str) -> None:
        """Ask once, whatever the answer is, for the vendor's time that comes with it."""
        with suppress(MigratorError):
            self._once("GET", path)

    def vendor_now(self) -> datetime:
        """Return the time by the vendor's clock, whatever ours does; by ours until the vendor has told its own."""
        if self.heard is None:
            return self.now()
        told, at = self.heard
        return told + timedelta(seconds=max(0.0, self.pacer.monotonic() - at))

    def _hear(self, headers: Mapping[str, str]) -> None:
        """Note the vendor's time. An answer kept by somebody on the way is older, which is on the safe side."""
        told = date(headers.get("Date", ""))
        if told is not None:
            self.heard = datetime.fromtimestamp(told, UTC), self.pacer.monotonic()

    def download(self, url: str, *, most_bytes: int) -> Iterator[bytes]:
        """Yield an attachment's bytes, following redirects; credentials go to the account's own host and nowhere else.

        Raises RefusedError for an address inside a private network (unless the account itself is there), AbsentError.
        """
        response = self._again(lambda: self._fetch(url))
        with response:
            total = 0
            chunks = response.iter_content(1 << 16)
            while True:
                try:  # around the network alone: what the caller does with a chunk is not the vendor's fault
                    chunk = next(chunks, None)
                except requests.RequestException as err:
                    raise RetryError(f"attachment cut short after {total} bytes: {type(err).__name__}") from err
                if chunk is None:
                    break
                total += len(chunk)
                if total > most_bytes:
                    raise RefusedError(f"attachment larger than {most_bytes} bytes", status=200)
                yield chunk
            declared = response.headers.get("Content-Length")
            if (
                declared
                and declared.isdigit()
                and "Content-Encoding" not in response.headers
                and total != int(declared)
            ):
                raise RetryError(f"attachment cut short: {total} of {declared} bytes")

    def _fetch(self, url: str) -> requests.Response:
        own = urlsplit(self.base_url)
        for _ in range(6):
            try:
                here = urlsplit(url)
            except ValueError as err:
                raise RefusedError(f"attachment address that is none: {url[:80]}") from err
            if here.scheme not in ("https", own.scheme):
                raise RefusedError(f"attachment address with scheme '{here.scheme}'")
            mine = (here.scheme, here.netloc) == (own.scheme, own.netloc)
            if not mine and _private(here.hostname or "") and not _private(own.hostname or ""):
                raise RefusedError(f"attachment address in a private network: {here.hostname}")
            call = self.pacer.acquire(f"GET {here.path}", here.query) if mine else None
            self._count()
            try:
                response = self.session.request(
                    "GET",
                    url,
                    auth=self.auth if mine else _nobody,
                    allow_redirects=False,
                    stream=True,
                    timeout=TIMEOUT_SECONDS,
                )
            except requests.RequestException as err:
                self.pacer.observe({}, call=call)
                if "NameResolutionError" in repr(err):
                    raise RefusedError(f"attachment at {here.hostname}: there is no such host") from err
                raise RetryError(f"attachment at {here.hostname}: {type(err).__name__}") from err
            if mine:
                self._hear(response.headers)
                self.pacer.observe(response.headers, call=call)
            if response.is_redirect:
                url = urljoin(url, response.headers["Location"])
                response.close()
                continue
            if response.status_code in (401, 403):
                raise RefusedError(f"attachment at {here.hostname}: not allowed", status=response.status_code)
            self._judge(response, "GET", f"attachment at {here.hostname}", call)
            return response
        raise RefusedError("attachment address redirects in a circle")

    def _once(
        self,
        method: str,
        path: str,
        *,
        params: Any = None,
        json: Any = None,
        data: Any = None,
        files: Any = None,
        headers: Any = None,
        auth: AuthBase | None = None,
    ) -> requests.Response:
        url = path if path.startswith(("http://", "https://")) else self.base_url.rstrip("/") + path
        if urlsplit(url)[:2] != urlsplit(self.base_url)[:2]:
            # Vendors hand out absolute addresses of their public host even behind a proxy or a sandbox.
            parts = urlsplit(url)
            url = urlsplit(self.base_url)._replace(path=parts.path, query=parts.query).geturl()
        name = f"{method} {urlsplit(url).path}"
        query = urlsplit(url).query
        if params and self.pacer.counts_credits:
            query = "&".join(part for part in (query, urlencode(params, doseq=True)) if part)
        call = self.pacer.acquire(name, query)
        self._count()
        try:
            response = self.session.request(
                method,
                url,
                params=params,
                json=json,
                data=data,
                files=files,
                headers=headers,
                auth=auth or self.auth,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=method == "GET" and not getattr(auth or self.auth, "stays", False),
            )
        except requests.ConnectTimeout as err:
            self.pacer.observe({}, name, call)
            raise RetryError(f"{name}: no connection") from err
        except requests.TooManyRedirects as err:
            self.pacer.observe({}, name, call)
            raise VendorError(f"{name}: redirected in a circle") from err
        except requests.RequestException as err:  # a broken body too: the call may have been carried out before it
            self.pacer.observe({}, name, call)
            if method != "GET" and not _never_sent(err):
                raise UnknownOutcomeError(f"{name}: {type(err).__name__}, the answer never came") from err
            raise RetryError(f"{name}: {type(err).__name__}") from err
        self._hear(response.headers)
        self.pacer.observe(response.headers, name, call)
        log.debug("call", extra={"call": name, "status": response.status_code})
        self._judge(response, method, name, call)
        return response

    def _whole(self, response: requests.Response) -> requests.Response:
        """Return an answer that is as whole as it says. Raises RetryError for JSON that somebody on the way cut off."""
        if "json" in response.headers.get("Content-Type", "") and response.content:
            path = urlsplit(response.url).path
            content = mended(response.content)
            try:
                msgspec.json.decode(content, type=msgspec.Raw)
            except msgspec.MsgspecError as err:
                raise RetryError(f"GET {path}: the answer is not the JSON it should be ({err})") from err
            if content != response.content:
                log.warning("answer mended", extra={"call": f"GET {path}"})
                response._content = content
                with self._counting:
                    self.mended += 1
        return response

    def _judge(self, response: requests.Response, method: str, name: str, call: Call | None) -> None:
        status = response.status_code
        after = self.pacer.retry_after(response.headers) if status in (429, 503) else None
        if 300 <= status < 400 and method != "GET":
            raise UnknownOutcomeError(
                f"{name}: {status}, another address in place of an answer; check the account's address"
            )
        if 300 <= status < 400 and getattr(self.auth, "stays", False):
            raise VendorError(f"{name}: {status}, another address in place of an answer; check the account's address")
        if status < 400:
            return
        if status == 429:
            if call:  # a foreign host's pause is not the account's
                self.pacer.hold(after if after is not None else 1.0, call)
            raise RetryError(f"{name}: 429, too many calls", after=after, throttled=True)
        if after is not None and call:  # 503: the vendor as a whole, not one endpoint
            self.pacer.hold(after)
        if status >= 500 or status == 408:
            if method == "GET":
                raise RetryError(f"{name}: {status}", after=after)
            raise UnknownOutcomeError(f"{name}: {status}, which may follow a write that was carried out")
        answer = response.text[:4000]
        if status == 401 or (status == 403 and method == "GET"):
            what = "the credentials were refused" if status == 401 else "the account lacks the right"
            said = f"{name}: {what} ({status}); check the secrets and the role, then `migrator check`"
            raise ForbiddenError(said, answer=answer) if status == 403 else AccessError(said)
        kind = AbsentError if status in (404, 410) else RefusedError
        right = ", the account lacks the right" if status == 403 else ""  # for this write: others may still go
        raise kind(f"{name}: refused ({status}{right})", status=status, answer=answer)

    def _count(self) -> None:
        with self._counting:
            self.calls += 1

    def _again(self, call: Callable[[], requests.Response]) -> requests.Response:
        for attempt in Retrying(
            retry=retry_if_exception_type(RetryError),
            wait=_pause,
            stop=stop_after_attempt(self.attempts),
            sleep=lambda seconds: self.pacer.pause(seconds, self.sleep),
            reraise=True,
        ):
            with attempt:
                return call()
        raise VendorError("no attempt was made")  # unreachable: tenacity re-raises the last error


def mended(content: bytes) -> bytes:
    """Return JSON with U+FFFD in place of what is no text: halves of a surrogate pair alone, bytes that are no UTF-8.

    Who cuts a text off after so many UTF-16 units leaves half an emoji, ``\\ud83d``, which no database takes for text.
    """
    if b"\\ud" in content or b"\\uD" in content:
        content = ESCAPES.sub(lambda found: rb"\ufffd" if found[1] else found[0], content)
    try:
        content.decode()
    except UnicodeDecodeError:
        return content.decode(errors="replace").encode()
    return content


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    after: float | None = getattr(error, "after", None)
    return min(LONGEST_PAUSE_SECONDS, after if after is not None else 0.5 * 2 ** (state.attempt_number - 1))


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Send nothing: not even what ~/.netrc holds for the host."""
    request.headers.pop("Authorization", None)
    return request


def _never_sent(err: Exception) -> bool:
    return "NewConnectionError" in repr(err) or "NameResolutionError" in repr(err)


def _private(host: str) -> bool:
    try:
        addresses = [ipaddress.ip_address(host)]
    except ValueError:
        try:
            addresses = [ipaddress.ip_address(info[4][0]) for info in socket.getaddrinfo(host, None)]
        except OSError:
            return False  # a host without an address cannot be reached at all
    return any(not a.is_global or a.is_multicast for a in addresses)
