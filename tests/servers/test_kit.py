"""The kit itself: processes, and a proxy that does exactly the harm that was ordered."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from migrator.testing.servers import Process, Proxy, Unavailable, free_port, need, until

got: list[tuple[str, str, bytes]] = []


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(b"")

    def do_POST(self) -> None:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(body)

    def answer(self, body: bytes) -> None:
        got.append((self.command, self.path, body))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    got.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Proxy(f"http://127.0.0.1:{server.server_port}") as proxy:
            yield proxy
        server.shutdown()


def test_bodies_pass_unchanged_over_one_connection(proxy: Proxy) -> None:
    big = os.urandom(3 << 20)
    with requests.Session() as session:
        for body in (b"", b"x", big):
            assert session.post(f"{proxy.url}/a?b=c", data=body).content == body
        assert session.post(f"{proxy.url}/chunked", data=iter([b"one", big])).content == b"one" + big
    assert [(e.method, e.path, e.status) for e in proxy.exchanges[:2]] == [("POST", "/a?b=c", 200)] * 2
    assert len(got) == len(proxy.exchanges) == 4


@pytest.mark.parametrize(
    ("how", "reaches"),
    [("reset", 0), ("unanswered", 1), ("429", 0), ("500", 0), ("503", 0), ("failed", 1), ("truncated", 1)],
)
def test_each_harm_strikes_once_where_it_was_ordered(proxy: Proxy, how: str, reaches: int) -> None:
    proxy.order(how, at=2, matching="^POST ")  # type: ignore[arg-type]
    assert requests.get(f"{proxy.url}/", timeout=5).status_code == 200
    assert requests.post(f"{proxy.url}/", b"first", timeout=5).content == b"first"
    before = len(got)
    if how in ("reset", "unanswered", "truncated"):
        with pytest.raises(requests.ConnectionError if how != "truncated" else requests.RequestException):
            requests.post(f"{proxy.url}/", b"second", timeout=5)
    else:
        wanted = 500 if how == "failed" else int(how)
        assert requests.post(f"{proxy.url}/", b"second", timeout=5).status_code == wanted
    assert len(got) - before == reaches
    assert requests.post(f"{proxy.url}/", b"third", timeout=5).content == b"third"


def test_a_watcher_sees_the_moment_before_and_after(proxy: Proxy) -> None:
    moments: list[tuple[str, str, int]] = []
    proxy.watchers.append(lambda moment, name: moments.append((moment, name, len(got))))
    requests.post(f"{proxy.url}/here?x=1", b"body", timeout=5)
    until(lambda: len(moments) == 2, seconds=5, what="the second moment")
    assert moments == [("before", "POST /here", 0), ("after", "POST /here", 1)]


def test_a_process_is_waited_for_and_stopped_with_its_children(tmp_path: Path) -> None:
    port = free_port()
    script = (
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"import http.server; http.server.test(http.server.SimpleHTTPRequestHandler, port={port}, bind='127.0.0.1')"
    )

    def ready() -> bool:
        return requests.get(f"http://127.0.0.1:{port}", timeout=5).ok

    with Process([sys.executable, "-c", script], log=tmp_path / "log", folder=tmp_path, ready=ready) as process:
        assert process.running
        group = process.id
    assert not process.running

    def gone() -> bool:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        return all("Z" in Path(f"/proc/{id}/stat").read_text() for id in _members(group))

    until(gone, seconds=5, what="the group's end")


def _members(group: int) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getpgid(int(entry.name)) == group:
                    found.append(entry.name)
            except ProcessLookupError:
                continue
    return found


ENDED = """
import subprocess, sys, time
from pathlib import Path
from migrator.testing.servers import Process
child = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
child += "open('/proc/self/comm', 'w').write('a (new) name');"  # as servers give themselves
process = Process([sys.executable, "-c", child + "open('ready', 'w').close(); time.sleep(600)"], log=Path("log"),
                  folder=Path.cwd(), ready=Path("ready").exists)
print(process.id, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_ends_with_its_children_when_whoever_started_it_is_killed(
    tmp_path: Path, how: signal.Signals
) -> None:
    with subprocess.Popen([sys.executable, "-c", ENDED], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        group = int(parent.stdout.readline())
        assert len(_members(group)) == 2
        parent.send_signal(how)
        parent.wait(10)
    until(
        lambda: all("Z" in Path(f"/proc/{id}/stat").read_text() for id in _members(group)), seconds=10, what="its end"
    )


def test_a_process_that_ends_at_once_shows_its_log(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"ended with 3:\s+no such database"):
        Process(
            [sys.executable, "-c", "print('no such database', flush=True); raise SystemExit(3)"],
            log=tmp_path / "log",
            ready=lambda: False,
        )


def test_a_process_can_be_killed_outright(tmp_path: Path) -> None:
    process = Process([sys.executable, "-c", "import time; time.sleep(600)"], log=tmp_path / "log")
    process.stop(how=signal.SIGKILL)
    assert process.wait(5) == -signal.SIGKILL


def test_what_may_not_be_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIGRATOR_NO_APT", "1")
    with pytest.raises(Unavailable, match="no-such-package-anywhere"):
        need(["no-such-package-anywhere"])
    with pytest.raises(Unavailable, match="no-such-program-anywhere"):
        need(programs=["no-such-program-anywhere"])
