"""An ordinary call is prepared as requests prepares it; what is not ordinary, requests prepares itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from migrator.exchange import call, plainly
from migrator.http import Bearer, pooled

pytestmark = pytest.mark.unit

BASE = "https://desk.example:8443"
ADDRESSES = st.one_of(
    st.lists(st.text("abC019-_.~", min_size=1, max_size=6), min_size=1, max_size=3).map(
        lambda some: "/" + "/".join(some)
    ),
    st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=12).map(lambda text: "/x" + text),
    st.sampled_from(["/a/../b", "/a/./b", "//a", "/a%2fb", "/é", "/a?b=c d", "/a?ids=1,2&x=[1]", "/a?", "/a#b", "/a/"]),
)
VALUES = st.one_of(st.none(), st.integers(), st.booleans(), st.text(max_size=6), st.lists(st.integers(), max_size=2))
PARAMS = st.one_of(st.none(), st.dictionaries(st.text("ab[]é _", min_size=1, max_size=3), VALUES, max_size=3))
BODIES = st.one_of(
    st.none(), st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=4), st.lists, max_leaves=4)
)


def session() -> requests.Session:
    made = requests.Session()
    made.trust_env = False
    made.headers["X-Version"] = "2"
    return made


@given(st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]), ADDRESSES, PARAMS, BODIES)
@settings(max_examples=250, deadline=None)
def test_an_ordinary_call_is_prepared_as_requests_does(method: str, path: str, params: Any, body: Any) -> None:
    ours = session()
    made = plainly(ours, method, BASE + path, params, body)
    if made is None:
        return
    theirs = ours.prepare_request(requests.Request(method, BASE + path, params=params, json=body))
    assert (made.method, made.url, dict(made.headers)) == (theirs.method, theirs.url, dict(theirs.headers))
    assert made.body == theirs.body or json.loads(made.body or b"0") == json.loads(theirs.body or b"0")


def test_what_help_desks_are_asked_is_ordinary() -> None:
    for path, params in (("/api/v2/tickets/1?include=conversations", {"page": 2}), ("/api/v2/users.json", None)):
        assert plainly(session(), "GET", BASE + path, params, None) is not None


@pytest.mark.parametrize("own", ["auth", "params", "proxies", "cert", "trust_env"])
def test_a_session_with_ways_of_its_own_keeps_them(own: str) -> None:
    ours = session()
    setattr(ours, own, {"proxies": {"https": "http://proxy.example"}, "params": {"a": "b"}}.get(own, ("a", "b")))
    assert plainly(ours, "GET", BASE + "/a", None, None) is None


@pytest.fixture
def desk() -> Iterator[tuple[str, list[tuple[str, str | None, str | None]]]]:
    """Yield the address of a server that sets a cookie and sends ``/old`` elsewhere, and what it was asked."""
    asked: list[tuple[str, str | None, str | None]] = []

    class Desk(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Cookie"], self.headers["Authorization"]))
            self.send_response(302 if self.path == "/old" else 200)
            self.send_header("Set-Cookie", "seen=1")
            self.send_header("Location", "/new")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Desk)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_cookies_come_back_redirects_are_followed_and_credentials_go_along(desk: Any) -> None:
    base, asked = desk
    with pooled() as ours:
        how: dict[str, Any] = {"auth": Bearer("secret"), "timeout": (5, 5)}
        assert call(ours, "GET", f"{base}/a", allow_redirects=True, **how).json() == {}
        assert call(ours, "GET", f"{base}/old", allow_redirects=False, **how).status_code == 302
        assert call(ours, "GET", f"{base}/old", allow_redirects=True, **how).url == f"{base}/new"
    assert asked[0] == ("/a", None, "Bearer secret")
    assert set(asked[1:]) == {("/old", "seen=1", "Bearer secret"), ("/new", "seen=1", "Bearer secret")}


def test_a_pool_that_was_let_go_of_is_made_anew(desk: Any) -> None:
    base, asked = desk
    with pooled() as ours:
        how: dict[str, Any] = {"auth": None, "timeout": (5, 5), "allow_redirects": True}
        call(ours, "GET", f"{base}/a", **how)
        ours.get_adapter(base).close()
        assert call(ours, "GET", f"{base}/b", **how).status_code == 200
    assert [path for path, _, _ in asked] == ["/a", "/b"]
