"""One client: what is safe is repeated, what is in doubt never is, and the secret goes to nobody else."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from requests.auth import HTTPBasicAuth
from werkzeug.wrappers import Request, Response

from migrator.errors import (
    AbsentError,
    AccessError,
    RefusedError,
    RetryError,
    StoppedError,
    UnknownOutcomeError,
    VendorError,
)
from migrator.http import Bearer, Client, mended
from migrator.migration import Account
from migrator.pacer import Limit, Pacer
from migrator.testing.sandbox import Clock, Routes, Sandbox, mount

SECRET = "s3cr3t-T0ken"
routes = Routes()
Answer = Callable[[Request], Response]


@routes("GET", "/things")
@routes("POST", "/things")
@routes("GET", "/file")
def _answer(box: Sandbox, request: Request) -> Response:
    box.state["times"].append(box.clock.monotonic())
    answer: Answer = box.state["answer"]
    return answer(request)


class Desk:
    """An account of one endpoint, its clock, and a client."""

    def __init__(
        self, answer: Answer = lambda _: Response("{}"), *, host: str = "vendor.example", auth: Any = None, **apps: Any
    ) -> None:
        self.box = Sandbox("tiny", routes, clock=Clock(), host=host)
        self.box.state |= {"answer": answer, "times": []}
        clock = self.box.clock
        pacer = Pacer([Limit("all", 10_000)], monotonic=clock.monotonic, sleep=clock.sleep)
        self.client = Client(
            f"http://{host}", auth or HTTPBasicAuth("user", SECRET), pacer, mount(self.box, **apps), clock.sleep
        )
        self.start = clock.monotonic()

    @property
    def waited(self) -> float:
        return self.box.clock.monotonic() - self.start

    @property
    def arrived(self) -> int:
        return len(self.box.state["times"])


def after(*statuses: int, headers: dict[str, str] | None = None) -> Answer:
    """Answer with these statuses, then with 200."""
    left = list(statuses)

    def answer(request: Request) -> Response:
        return Response("{}", left.pop(0), headers=headers) if left else Response('{"id": 1}')

    return answer


# ---- again, or not --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", ["0", "1", "7", "59.5", "60", "61", "700.0"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_too_many_calls_wait_exactly_as_long_as_the_vendor_says(method: str, seconds: str) -> None:
    desk = Desk(after(429, headers={"Retry-After": seconds}))
    answer = desk.client.read("/things") if method == "GET" else desk.client.write("POST", "/things", json={})
    assert answer.json() == {"id": 1}
    assert desk.waited == pytest.approx(float(seconds), abs=1e-5)
    assert desk.arrived == 2


@pytest.mark.parametrize("said", [None, "soon", "-5", "nan", "inf", "Sun, 01 Nov 2026 00:00:05 GMT"])
def test_a_pause_that_says_nothing_sensible_is_short_and_ends(said: str | None) -> None:
    desk = Desk(after(429, headers={} if said is None else {"Retry-After": said}))
    desk.client.read("/things")
    assert 0.5 <= desk.waited <= 60


def test_a_pause_holds_everybody_back() -> None:
    desk = Desk(after(429, headers={"Retry-After": "30"}))
    desk.client.pacer.observe({})
    with pytest.raises(RetryError):
        desk.client._once("GET", "/things")
    desk.client.read("/things")
    assert desk.waited == pytest.approx(30, abs=1e-5)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_a_read_is_repeated_after_a_fault_of_the_vendor(status: int) -> None:
    desk = Desk(after(status, status))
    assert desk.client.read("/things").json() == {"id": 1}
    assert desk.arrived == 3
    assert desk.waited > 0


def test_reading_ends_when_the_vendor_stays_away() -> None:
    desk = Desk(after(*[500] * 100))
    with pytest.raises(VendorError):
        desk.client.read("/things")
    assert desk.arrived == desk.client.attempts


@pytest.mark.parametrize("how", ["500", "502", "503", "reset", "unanswered", "timeout"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_write_without_a_usable_answer_is_in_doubt_and_sent_once(method: str, how: Any) -> None:
    desk = Desk()
    seen: list[str] = []
    desk.box.watchers.append(lambda when, name: seen.append(name) if when == "before" else None)
    desk.box.fault(how)
    with pytest.raises(UnknownOutcomeError):
        desk.client.write(method, "/things", json={"a": 1})
    assert seen == [f"{method} /things"]


@pytest.mark.parametrize("how", ["reset", "unanswered", "timeout", "500"])
def test_a_read_is_repeated_after_a_broken_connection(how: Any) -> None:
    desk = Desk(after())
    desk.box.fault(how)
    assert desk.client.read("/things").json() == {"id": 1}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_write_answered_with_another_address_is_not_taken_as_done(status: int) -> None:
    desk = Desk(after(status, headers={"Location": "http://vendor.example/login"}))
    with pytest.raises(VendorError):
        desk.client.write("POST", "/things", json={})
    assert desk.arrived == 1


def test_a_host_that_cannot_be_reached_was_never_written_to() -> None:
    desk = Desk()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    client = Client(
        f"http://127.0.0.1:{port}", None, desk.client.pacer, requests.Session(), desk.box.clock.sleep, attempts=3
    )
    with pytest.raises(RetryError, match="POST /things"):
        client.write("POST", "/things", json={})
    assert client.calls == 3


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, RefusedError), (409, RefusedError), (422, RefusedError), (404, AbsentError), (410, AbsentError)],
)
def test_a_refusal_carries_the_vendors_answer(status: int, error: type[RefusedError]) -> None:
    desk = Desk(lambda _: Response('{"why": "no"}', status))
    with pytest.raises(error) as caught:
        desk.client.write("POST", "/things", json={})
    assert (caught.value.status, caught.value.answer) == (status, '{"why": "no"}')
    assert desk.arrived == 1


# ---- secrets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", [HTTPBasicAuth("user", SECRET), Bearer(SECRET)], ids=["basic", "bearer"])
@pytest.mark.parametrize("status", [401, 403, 400, 404, 500, 429])
def test_no_error_shows_the_secret_even_when_the_vendor_repeats_it(auth: Any, status: int) -> None:
    desk = Desk(lambda request: Response(f"no: {request.headers.get('Authorization')}", status), auth=auth)
    desk.client.attempts = 2
    shown = []
    for call in (lambda: desk.client.read("/things"), lambda: desk.client.write("POST", "/things", json={})):
        with pytest.raises((VendorError, AccessError)) as caught:
            call()
        shown.append(f"{caught.value} {caught.value!r}")
    hidden = (SECRET, base64.b64encode(f"user:{SECRET}".encode()).decode())
    assert not any(word in text for word in hidden for text in shown)


@pytest.mark.parametrize(
    "auth", [HTTPBasicAuth("user", SECRET), HTTPBasicAuth(b"user", SECRET.encode()), Bearer(SECRET)]
)  # type: ignore[arg-type]
def test_no_client_or_credential_shows_the_secret(auth: Any) -> None:
    client = Desk(auth=auth).client
    assert not any(
        SECRET in show(thing) for show in (repr, str) for thing in (client, auth, client.session, [auth], {"a": client})
    )


@pytest.mark.parametrize(
    ("auth", "header"), [(Bearer(SECRET), f"Bearer {SECRET}"), (HTTPBasicAuth("u", "p"), "Basic dTpw")]
)
def test_the_account_gets_its_credentials(auth: Any, header: str) -> None:
    seen = []
    desk = Desk(lambda request: seen.append(request.headers.get("Authorization")) or Response("{}"), auth=auth)  # type: ignore[func-returns-value]
    desk.client.read("/things")
    assert seen == [header]


def test_an_address_of_the_vendors_public_host_is_asked_of_our_account() -> None:
    desk = Desk(lambda request: Response(request.full_path))
    assert desk.client.read("https://elsewhere.example/things?page=2").text == "/things?page=2"


# ---- attachments ----------------------------------------------------------------------------------------------------


class Elsewhere:
    """A foreign host that keeps what it was sent."""

    def __init__(self, body: bytes = b"bytes", **headers: str) -> None:
        self.asked: list[dict[str, str]] = []
        self.body, self.headers = body, headers

    def __call__(self, environ: Any, start: Any) -> Any:
        self.asked.append(dict(Request(environ).headers))
        response = Response(self.body, headers={"Set-Cookie": "theirs=1", **self.headers})
        return response(environ, start)


def to(url: str, status: int = 302) -> Answer:
    return lambda _: Response("", status, headers={"Location": url})


def fetched(desk: Desk, url: str = "http://vendor.example/file", most: int = 10**6) -> bytes:
    return b"".join(desk.client.download(url, most_bytes=most))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_foreign_host_gets_neither_credentials_nor_cookies(
    status: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "netrc").write_text("machine cdn.example login x password y\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    cdn = Elsewhere()
    desk = Desk(to("http://cdn.example/a?sig=1", status), **{"cdn.example": cdn})
    desk.client.session.cookies.set("session", SECRET, domain="vendor.example", path="/")
    assert fetched(desk) == b"bytes"
    assert len(cdn.asked) == 1
    assert not {"Authorization", "Cookie"} & set(cdn.asked[0])
    assert SECRET not in str(cdn.asked)


def test_the_accounts_own_host_gets_the_credentials_again_on_the_way_back() -> None:
    seen: list[Any] = []

    def answer(request: Request) -> Response:
        seen.append(request.headers.get("Authorization"))
        return to("http://vendor.example/file?again")(request) if len(seen) == 1 else Response("x")

    assert fetched(Desk(answer)) == b"x"
    assert seen[0] is not None
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://cdn.example/a",
        "gopher://x/",
        "data:text/plain,x",
        "http+unix://x/",
        "//",
        "https://[bad",
        "http://[::1",
    ],
)
def test_only_web_addresses_are_fetched(url: str) -> None:
    with pytest.raises(RefusedError):
        fetched(Desk(to("http://cdn.example/"), **{"cdn.example": Elsewhere()}), url)


def test_a_redirect_to_a_file_of_this_machine_is_refused() -> None:
    with pytest.raises(RefusedError, match="scheme 'file'"):
        fetched(Desk(to("file:///etc/passwd")))


PRIVATE = [
    "127.0.0.1",
    "localhost",
    "10.1.2.3",
    "192.168.0.1",
    "172.16.0.1",
    "169.254.169.254",
    "0.0.0.0",
    "100.64.0.1",
    "[::1]",
    "[fd00::1]",
    "[fe80::1]",
    "[::ffff:127.0.0.1]",
    "2130706433",
    "127.1",
]


@pytest.mark.parametrize("host", PRIVATE)
def test_an_address_in_a_private_network_is_refused(host: str) -> None:
    inside = Elsewhere()
    with pytest.raises(RefusedError, match="private network"):
        fetched(Desk(to(f"http://{host}/latest/meta-data"), **{host: inside}))
    assert inside.asked == []


def test_an_account_inside_a_private_network_may_serve_its_own() -> None:
    inside = Elsewhere()
    assert (
        fetched(Desk(to("http://10.0.0.2/a"), host="127.0.0.1", **{"10.0.0.2": inside}), "http://127.0.0.1/file")
        == b"bytes"
    )


def test_from_an_encrypted_account_nothing_goes_on_in_the_clear() -> None:
    desk = Desk(to("http://cdn.example/a"), **{"cdn.example": Elsewhere()})
    desk.client.base_url = "https://vendor.example"
    with pytest.raises(RefusedError, match="scheme 'http'"):
        fetched(desk, "https://vendor.example/file")


def test_an_endless_redirect_ends() -> None:
    desk = Desk(to("http://vendor.example/file"))
    with pytest.raises(RefusedError, match="circle"):
        fetched(desk)
    assert desk.arrived < 20


def test_an_endless_redirect_of_a_read_ends_as_an_error_of_the_vendor() -> None:
    with pytest.raises(VendorError):
        Desk(to("http://vendor.example/things")).client.read("/things")


def test_a_token_in_a_header_of_its_own_follows_nobody_to_another_host() -> None:
    elsewhere = Elsewhere()
    token = Bearer(SECRET, "", "Api-Access-Token")
    desk = Desk(to("http://other.example/things"), auth=token, **{"other.example": elsewhere})
    with pytest.raises(VendorError, match="another address"):
        desk.client.read("/things")
    assert elsewhere.asked == []


@pytest.mark.parametrize(("declared", "sent"), [("10", b"12345"), ("4", b"")])
def test_a_body_shorter_than_declared_is_noticed(declared: str, sent: bytes) -> None:
    class Short(Elsewhere):
        def __call__(self, environ: Any, start: Any) -> Any:
            start("200 OK", [("Content-Length", declared)])
            return [sent]

    with pytest.raises(VendorError, match="cut short"):
        fetched(Desk(to("http://cdn.example/a"), **{"cdn.example": Short()}))


def test_an_attachment_larger_than_allowed_is_left() -> None:
    with pytest.raises(RefusedError, match="larger than 3 bytes"):
        fetched(Desk(lambda _: Response(b"12345")), most=3)


@pytest.mark.parametrize(("status", "error"), [(404, AbsentError), (403, RefusedError), (401, RefusedError)])
def test_an_attachment_that_cannot_be_had_says_why(status: int, error: type[RefusedError]) -> None:
    with pytest.raises(error):
        fetched(Desk(after(status)))


def test_an_attachment_is_fetched_again_after_a_fault() -> None:
    assert fetched(Desk(after(503, 429))) == b'{"id": 1}'


# ---- what a real socket does ----------------------------------------------------------------------------------------


@contextmanager
def wire(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Answer one connection after another with these bytes, and hang up."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in answers:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    asked.append(connection.recv(65536))
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
        server.close()


def plain_client(url: str, auth: Any = None) -> Client:
    clock = Clock()
    return Client(
        url, auth, Pacer([], monotonic=clock.monotonic, sleep=clock.sleep), requests.Session(), clock.sleep, attempts=2
    )


SHORT = b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{"id":'
GZIP = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\nwrong"
CHUNK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nab"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


@pytest.mark.parametrize(
    "broken", [SHORT, GZIP, CHUNK, b"", b"nonsense\r\n\r\n"], ids=["short", "gzip", "chunk", "nothing", "nonsense"]
)
def test_a_broken_answer_to_a_write_leaves_it_in_doubt_and_sent_once(broken: bytes) -> None:
    with wire(broken, GOOD) as (url, asked):
        with pytest.raises(UnknownOutcomeError):
            plain_client(url).write("POST", "/things", json={})
        assert len(asked) == 1


@pytest.mark.parametrize(
    "broken", [SHORT, GZIP, CHUNK, b"", b"nonsense\r\n\r\n"], ids=["short", "gzip", "chunk", "nothing", "nonsense"]
)
def test_a_broken_answer_to_a_read_is_asked_for_again(broken: bytes) -> None:
    with wire(broken, GOOD) as (url, asked):
        assert plain_client(url).read("/things").json() == {}
        assert len(asked) == 2


@pytest.mark.parametrize("broken", [SHORT, CHUNK], ids=["short", "chunk"])
def test_a_connection_lost_in_the_middle_of_an_attachment_is_the_vendors_fault(broken: bytes) -> None:
    with wire(broken) as (url, _), pytest.raises(VendorError):
        b"".join(plain_client(url).download(f"{url}/file", most_bytes=1000))


def test_a_right_missing_for_one_write_puts_that_record_aside_and_not_the_run() -> None:
    desk = Desk(lambda request: Response('{"code": "access_denied"}', 403))
    with pytest.raises(RefusedError, match="lacks the right"):
        desk.client.write("POST", "/things", json={})
    with pytest.raises(AccessError):
        desk.client.read("/things")


# ---- the quota ------------------------------------------------------------------------------------------------------


def test_a_read_waits_as_long_as_a_vendor_out_of_service_asks() -> None:
    desk = Desk(after(503, headers={"Retry-After": "120"}))
    desk.client.read("/things")
    assert desk.waited == pytest.approx(120, abs=1e-5)


def test_a_pause_told_as_a_date_is_waited_out() -> None:
    said = {"Retry-After": "Sun, 01 Nov 2026 00:00:45 GMT", "Date": "Sun, 01 Nov 2026 00:00:15 GMT"}
    desk = Desk(after(429, headers=said))
    desk.client.read("/things")
    assert desk.waited == pytest.approx(30, abs=1e-5)


def test_every_worker_keeps_a_connection_of_its_own() -> None:
    adapter = Client("http://vendor.example", None, Pacer([])).session.get_adapter("https://vendor.example")
    most = next(each.le for each in Account.model_fields["workers"].metadata if hasattr(each, "le"))
    assert adapter._pool_maxsize >= most  # type: ignore[attr-defined]


def test_calls_side_by_side_are_all_counted() -> None:
    desk = Desk()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: desk.client.read("/things"), range(400)))
    assert desk.client.calls == 400


def test_a_stopped_run_does_not_sit_out_the_pause_before_the_next_attempt() -> None:
    desk = Desk(after(*[500] * 100))
    desk.client.pacer.cancelled = lambda: desk.arrived >= 3
    with pytest.raises(StoppedError):
        desk.client.read("/things")
    assert desk.arrived == 3


def test_the_query_decides_what_a_call_costs() -> None:
    desk = Desk()
    limit = Limit("account", 100, costs={r"^GET /things[?].*include=": 3})
    desk.client.pacer.limits = [limit]
    desk.client.read("/things", {"page": 1, "include": "stats"})
    desk.client.read("/things?include=stats")
    desk.client.read("/things", {"page": 2})
    assert limit.used == 7


@pytest.mark.parametrize("how", ["reset", "timeout", "500"])
def test_a_call_without_an_answer_is_given_back_to_the_pacer(how: Any) -> None:
    desk = Desk()
    desk.box.fault(how)
    with pytest.raises(UnknownOutcomeError):
        desk.client.write("POST", "/things", json={})
    assert desk.client.pacer.limits[0].on_the_way == 0


def test_a_foreign_hosts_pause_is_not_the_accounts() -> None:
    def busy(environ: Any, start: Any) -> Any:
        return Response("", 429, headers={"Retry-After": "3000"})(environ, start)

    desk = Desk(to("http://cdn.example/a"), **{"cdn.example": busy})
    desk.client.attempts = 1
    with pytest.raises(RetryError):
        fetched(desk)
    desk.client.pacer.acquire("GET /things")
    assert desk.waited < 1


# ---- what is no text ------------------------------------------------------------------------------------------------


def told(body: bytes) -> tuple[bytes, int]:
    """Return what a client makes of an answer of JSON, and how many it mended."""
    desk = Desk(lambda _: Response(body, content_type="application/json"))
    return desk.client.read("/things").content, desk.client.mended


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (rb'{"a": "cut \ud83d"}', '{"a": "cut \N{REPLACEMENT CHARACTER}"}'),
        (rb'{"a": "\uDE00 late"}', '{"a": "\N{REPLACEMENT CHARACTER} late"}'),
        (rb'{"a": "\ud83d\ud83d\ude00"}', '{"a": "\N{REPLACEMENT CHARACTER}\N{GRINNING FACE}"}'),
        (b'{"a": "\xff"}', '{"a": "\N{REPLACEMENT CHARACTER}"}'),
    ],
)
def test_half_an_emoji_is_mended_and_counted_and_does_not_end_the_reading(body: bytes, wanted: str) -> None:
    content, mended_answers = told(body)
    assert (json.loads(content), mended_answers) == (json.loads(wanted), 1)
    assert msgspec.json.decode(content) == json.loads(wanted)


@pytest.mark.parametrize("body", [rb'{"a": "\ud83d\ude00"}', rb'{"a": "C:\\ud83d"}', rb'{"a": "\u00fc\n"}'])
def test_what_is_text_stays_as_it_came(body: bytes) -> None:
    assert told(body) == (body, 0)


@given(st.text(alphabet=st.characters()), st.booleans())
def test_whatever_a_vendor_escapes_is_text_afterwards(text: str, ascii_only: bool) -> None:
    made = mended(json.dumps({"a": text}, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"))
    kept = json.loads(made)["a"]
    assert kept == text if text.isprintable() else kept.encode()
    assert msgspec.json.decode(made)["a"] == kept
