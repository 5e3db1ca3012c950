"""The kit of every vendor's sandbox: routes, store, clock, quotas, faults to order, and a log of what was asked.

A sandbox is a WSGI application, so it runs in process (``mount``) and over a socket (``serve``) alike. What a vendor
does is written in its own ``connectors/<vendor>/sandbox.py``; nothing here knows a vendor.
"""

from __future__ import annotations

import io
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import IO, Any, Literal, TypeVar, cast

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse
from werkzeug.exceptions import HTTPException
from werkzeug.http import http_date
from werkzeug.routing import Map, Rule
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import EnvironBuilder, run_wsgi_app
from werkzeug.wrappers import Request, Response

from migrator.testing.counting import Counted

Native = dict[str, Any]
Handler = Callable[..., Response]
R = TypeVar("R", bound=Exception)
How = Literal["429", "500", "502", "503", "reset", "unanswered", "timeout", "truncated", "garbled"]


class Clock:
    """A clock that tests wind by hand: ``sleep`` advances it at once. ``Clock(real=True)`` follows the machine's."""

    def __init__(self, start: str = "2026-11-01T00:00:00+00:00", *, real: bool = False) -> None:
        self._now, self.real, self._lock = datetime.fromisoformat(start), real, threading.Lock()

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC) if self.real else self._now

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        return time.monotonic() if self.real else self._now.timestamp()

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass: really, or by winding the clock forward."""
        if self.real:
            time.sleep(seconds)
        else:
            with self._lock:
                self._now += timedelta(seconds=max(0.0, seconds))


@dataclass
class Fault(Counted):
    """One fault to order: at the ``at``-th request from now (1 is the next), among those whose "METHOD /path" matches.

    ``reset``: the connection ends and nothing was done. ``unanswered``: done, but the connection ends before the
    answer. ``timeout``: as ``reset``, reported as a timeout in process. ``truncated``: done, and the connection ends
    within the body. ``garbled``: done, the body cut in half on the way by somebody who says that it is whole.
    """

    how: How


@dataclass(frozen=True)
class Exchange:
    """A request as it arrived and the status it got, for tests that check requests against a specification."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    status: int
    answer: bytes
    content_type: str  # of the request
    answer_headers: dict[str, str]


@dataclass
class Quota:
    """So many calls in a sliding minute, over the requests whose "METHOD /path" matches ``matching``."""

    per_minute: int
    matching: str = ""
    calls: list[float] = field(default_factory=list)

    def take(self, name: str, now: float, cost: int = 1) -> tuple[bool, int, float]:
        """Return (allowed, calls left in this minute, seconds until one is free again)."""
        if not re.search(self.matching, name):
            return True, self.per_minute, 0.0
        self.calls = [t for t in self.calls if t > now - 60]
        if len(self.calls) + cost > self.per_minute:
            return False, 0, (self.calls[0] + 60 - now) if self.calls else 60.0
        self.calls.extend([now] * cost)
        return True, self.per_minute - len(self.calls), 0.0


class Routes:
    """The endpoints of a vendor: ``@routes("GET", "/api/v2/groups/<int:id>")`` above ``def show(box, request, id)``."""

    def __init__(self) -> None:
        self.map = Map(strict_slashes=False)
        self.handlers: dict[str, Handler] = {}

    def __call__(self, method: str, path: str) -> Callable[[Handler], Handler]:
        """Register a handler for ``method`` and ``path`` (werkzeug's converters)."""

        def register(handler: Handler) -> Handler:
            name = f"{method} {path}"
            self.handlers[name] = handler
            self.map.add(Rule(path, endpoint=name, methods=[method]))
            return handler

        return register

    def answering(self, refusal: type[R], answer: Callable[[R], Response]) -> Routes:
        """Return the same endpoints, with a refusal raised anywhere below them turned into its answer."""

        def safe(handler: Handler) -> Handler:
            def safely(box: Sandbox, request: Request, **values: Any) -> Response:
                try:
                    return handler(box, request, **values)
                except refusal as refused:
                    return answer(refused)

            return safely

        safer = Routes()
        safer.map = self.map
        safer.handlers = {name: safe(handler) for name, handler in self.handlers.items()}
        return safer


class Sandbox:
    """A vendor's twin: a WSGI application over a store of native records.

    ``store[stream][id]`` is a native record. A vendor's module builds one by ``create(clock=…, plan=…)`` and fills it
    by ``seed(box, stream, bodies)``. ``admit(box, request, quotas)`` may return a refusal (401, 429); ``finish(box,
    request, response)`` adds the headers the vendor adds.
    """

    def __init__(
        self,
        vendor: str,
        routes: Routes,
        *,
        clock: Clock | None = None,
        first_id: int = 1,
        host: str = "sandbox.invalid",
        admit: Callable[[Sandbox, Request], Response | None] = lambda box, request: None,
        finish: Callable[[Sandbox, Request, Response], None] = lambda box, request, response: None,
        too_many: Callable[[Sandbox, float], Response] | None = None,
        quotas: Iterable[Quota] = (),
    ) -> None:
        self.vendor, self.routes, self.clock, self.host = vendor, routes, clock or Clock(), host
        self.admit, self.finish, self.too_many, self.quotas = admit, finish, too_many, list(quotas)
        self.store: dict[str, dict[Any, Native]] = defaultdict(dict)
        self.blobs: dict[str, bytes] = {}
        self.state: dict[str, Any] = {}  # whatever else a vendor keeps: jobs, uploads, recorded answers
        self.faults: list[Fault] = []
        self.exchanges: list[Exchange] = []
        self.keep_bodies = True
        self.watchers: list[Callable[[str, str], None]] = []  # called ("before"|"after", "METHOD /path")
        self._ids, self._lock = first_id, threading.RLock()

    @property
    def base_url(self) -> str:
        """Return the address in process; ``serve`` gives the one of a socket."""
        return str(self.state.get("served_at") or f"http://{self.host}")

    def next_id(self) -> int:
        """Return a new id, unique in this sandbox."""
        with self._lock:
            self._ids += 1
            return self._ids - 1

    def taken(self, id: int) -> None:
        """Give out only ids above this one from now on."""
        with self._lock:
            self._ids = max(self._ids, id + 1)

    def now(self) -> str:
        """Return the clock's time as vendors write it: ``2026-11-01T00:00:00Z``."""
        return self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def fault(self, how: How, *, at: int = 1, matching: str = "", times: int = 1) -> None:
        """Order a fault."""
        self.faults.append(Fault(how, at, matching, times))

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request (WSGI). A fault that ends the connection is raised as its exception."""
        request = Request(environ)
        name = f"{request.method} {request.path}"
        body = request.get_data(cache=True)
        for watch in self.watchers:
            watch("before", name)
        with self._lock:
            how = next((fault.how for fault in self.faults if fault.strikes(name)), None)
            if how in ("reset", "timeout"):
                raise TimeoutError(how) if how == "timeout" else ConnectionResetError(how)
            response = self._answer(request, name, how)
            response.headers.setdefault("Date", http_date(self.clock.now()))
            self.exchanges.append(
                Exchange(
                    request.method,
                    request.path,
                    dict(request.args),
                    dict(request.headers),
                    body if self.keep_bodies else b"",
                    response.status_code,
                    response.get_data() if self.keep_bodies else b"",
                    request.content_type or "",
                    dict(response.headers),
                )
            )
        for watch in self.watchers:
            watch("after", name)
        if how == "unanswered":
            raise ConnectionResetError("done but unanswered")
        if how in ("truncated", "garbled"):
            whole = response.get_data()
            response.set_data(whole[: len(whole) // 2])
            if how == "truncated":
                response.headers["Content-Length"] = str(len(whole))
                response.headers["Connection"] = "close"
        return response(environ, start_response)

    def _answer(self, request: Request, name: str, how: str | None) -> Response:
        if how in ("429", "500", "502", "503"):
            if how == "429" and self.too_many:
                return self.too_many(self, 1.0)
            return Response(f'{{"error": "ordered fault {how}"}}', int(how), content_type="application/json")
        refusal = self.admit(self, request)
        if refusal is None:
            for quota in self.quotas:
                allowed, _, wait = quota.take(name, self.clock.monotonic())
                if not allowed:
                    refusal = self.too_many(self, wait) if self.too_many else Response("too many", 429)
                    break
        if refusal is None:
            try:
                endpoint, values = self.routes.map.bind_to_environ(request.environ).match()
                refusal = self.routes.handlers[endpoint](self, request, **values)
            except HTTPException as error:
                refusal = Response('{"error": "not found"}', error.code or 404, content_type="application/json")
        self.finish(self, request, refusal)
        return refusal


class _Adapter(BaseAdapter):
    """A requests transport that calls WSGI applications in process, by host name."""

    def __init__(self, boxes: dict[str, Callable[..., Iterable[bytes]]]) -> None:
        super().__init__()
        self.boxes = boxes

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        host = (request.url or "").split("/")[2]
        if host not in self.boxes:
            raise requests.ConnectionError(f"no sandbox answers for {host}")
        body = request.body or b""
        environ = EnvironBuilder(
            path=(request.path_url or "/").split("?")[0],
            query_string=(request.url or "").partition("?")[2].partition("#")[0],
            base_url=f"http://{host}",
            method=request.method or "GET",
            headers=list(request.headers.items()),
            data=body.encode() if isinstance(body, str) else body,
        ).get_environ()
        try:
            chunks, status, headers = run_wsgi_app(self.boxes[host], environ, buffered=True)
        except TimeoutError as error:
            raise requests.ReadTimeout(str(error), request=request) from error
        except ConnectionError as error:
            raise requests.ConnectionError(str(error), request=request) from error
        file = cast("IO[bytes]", _Body(b"".join(chunks)))  # as much of a file as urllib3 asks of one
        raw = HTTPResponse(body=file, headers=dict(headers), status=int(status.split()[0]), preload_content=False)
        answer = requests.Response()
        answer.status_code, answer.reason, answer.url = raw.status, status[4:], request.url or ""
        answer.headers.update(headers)
        answer.request, answer.raw = request, raw
        return answer

    def close(self) -> None:
        """Nothing is held open."""


class _Body:
    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, amount: int | None = None) -> bytes:
        return self._file.read(amount if amount is not None else -1)

    def close(self) -> None:
        self._file.close()

    @property
    def closed(self) -> bool:
        return self._file.closed


def mount(*boxes: Sandbox, session: requests.Session | None = None, **hosts: Any) -> requests.Session:
    """Return a session that reaches each sandbox in process, at its ``base_url``; other hosts do not exist."""
    if session is None:
        session = requests.Session()
        session.trust_env = False  # as ours is where there is no proxy
    apps: dict[str, Any] = {box.host: box for box in boxes}
    for box in boxes:
        for alias, app in box.state.get("hosts", {}).items():  # foreign hosts a vendor redirects to
            apps[alias] = app
    apps.update(hosts)
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(apps))
    return session


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def make_environ(self) -> Any:
        """Return WSGI's environment, with the headers that have underscores, which werkzeug drops and vendors hear."""
        environ = super().make_environ()
        for name, value in self.headers.items():
            if "_" in name:
                environ.setdefault("HTTP_" + name.upper().replace("-", "_"), value)
        return environ

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing: the sandbox keeps its own log."""

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        """End the connection without an answer, as an ordered fault asks."""
        self.close_connection = True


@contextmanager
def serve(box: Any, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve a sandbox (any WSGI application) on loopback and yield its address, such as ``http://127.0.0.1:41234``."""
    server = make_server(host, port, box, threaded=True, request_handler=_Handler)
    server.daemon_threads = True  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
