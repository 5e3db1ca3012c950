"""One call over a session of `requests`, without the preparing that a call of ours does not need. Only `http` uses it.

An ordinary call (an address of plain characters, parameters, JSON) took 1.2 ms of CPU, four tenths of it to prepare
the request and to find the connections of the host anew (requests 2.34, 2026-11-27), and a load of 100,000 tickets is
500,000 calls. What goes over the wire is the same; whatever is not ordinary, `requests` does as ever.
"""

from __future__ import annotations

import json as json_
import re
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlencode

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.cookies import extract_cookies_to_jar, get_cookie_header
from requests.structures import CaseInsensitiveDict

# An address that `requests` would leave as it is: no escapes, no dots to go up by, no user, no capitals in the host.
PLAIN = re.compile(
    r"https?://[a-z0-9][a-z0-9.-]*(?::[0-9]+)?(?:/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)+/?(?:\?[A-Za-z0-9_.~&=+,:-]+)?"
)
MOST_POOLS = 64


class Adapter(HTTPAdapter):
    """Finds the connections to a host it knows without working out all that tells two hosts apart."""

    def __init__(self, *args: Any, **how: Any) -> None:
        self._pools: dict[tuple[str, Any], Any] = {}
        super().__init__(*args, **how)

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """Return the host's pool of connections. One that was let go of meanwhile is made anew."""
        if proxies or cert:
            return super().get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
        key = "/".join((request.url or "").split("/", 3)[:3]), verify
        pool = self._pools.get(key)
        if pool is None or pool.pool is None:
            if len(self._pools) >= MOST_POOLS:
                self._pools.clear()
            pool = self._pools[key] = super().get_connection_with_tls_context(request, verify)
        return pool


def call(
    session: requests.Session,
    method: str,
    url: str,
    *,
    params: Any = None,
    json: Any = None,
    data: Any = None,
    files: Any = None,
    headers: Any = None,
    auth: AuthBase | None,
    timeout: tuple[float, float],
    allow_redirects: bool,
) -> requests.Response:
    """Make one call and read its answer. Raises what ``requests.Session.request`` raises."""
    ordinary = data is None and not files and not headers
    request = plainly(session, method, url, params, json) if ordinary else None
    if request is not None:
        request = auth(request) if auth else request
        response = session.get_adapter(url).send(
            request, timeout=timeout, verify=True if session.verify is None else session.verify
        )
        if "Set-Cookie" in response.headers:
            extract_cookies_to_jar(session.cookies, request, response.raw)  # type: ignore[no-untyped-call]
        if not (allow_redirects and response.is_redirect):
            _ = response.content  # read here: a body that breaks off is this call's fault
            return response
        response.close()
    return session.request(
        method,
        url,
        params=params,
        json=json,
        data=data,
        files=files,
        headers=headers,
        auth=auth,
        timeout=timeout,
        allow_redirects=allow_redirects,
    )


def plainly(
    session: requests.Session, method: str, url: str, params: Any, json: Any
) -> requests.PreparedRequest | None:
    """Return the request as ``session`` would prepare it, but for its credentials; None where it is not ordinary."""
    own = session.trust_env or session.auth or session.params or session.proxies or session.cert
    if own or any(session.hooks.values()) or not PLAIN.fullmatch(url):
        return None
    if params and (query := _query(params)) is None:
        return None
    request = requests.PreparedRequest()
    request.method, request.body, request.hooks = method, None, {}
    request.url = f"{url}{'&' if '?' in url else '?'}{query}" if params and query else url
    request.headers = CaseInsensitiveDict(cast("Mapping[str, str]", session.headers))
    if json is not None:
        try:
            request.body = json_.dumps(json, allow_nan=False).encode()
        except (TypeError, ValueError):
            return None
        request.headers["Content-Length"] = str(len(request.body))
        request.headers.setdefault("Content-Type", "application/json")
    elif method not in ("GET", "HEAD"):
        request.headers["Content-Length"] = "0"
    cookies = get_cookie_header(session.cookies, request) if session.cookies else None  # type: ignore[no-untyped-call]
    if cookies:
        request.headers["Cookie"] = cookies
    return request


def _query(params: Any) -> str | None:
    if not isinstance(params, Mapping):
        return None
    told = [(name, value) for name, value in params.items() if value is not None]
    if not all(isinstance(name, str) and isinstance(value, str | int) for name, value in told):
        return None
    return urlencode(told)
