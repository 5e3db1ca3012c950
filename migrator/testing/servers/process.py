"""A server's process: started, waited for, its log kept, stopped by its id with everything it started.

It does not outlive us either: a watcher beside it ends it as soon as we are gone, however that came about.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

POLL_SECONDS = 0.05
STOP_SECONDS = 10.0
# A shell that is told the group's id and then waits for the word that all is over, or the pipe's end, which is ours.
# Not PR_SET_PDEATHSIG: it goes by the thread that started the process, and is gone once that changes its user.
# A number that another process has by now is left alone. When a process was started is the 20th word after its name,
# which it may change, and which may hold anything (Starman's master does both).
WATCHER = """
born() {
    read -r line 2>/dev/null < "/proc/$1/stat" || return
    set -- ${line##*) }
    echo "${20}"
}
read -r id || exit 0
was=$(born "$id")
read -r over && exit 0
now=$(born "$id")
[ -z "$now" ] || [ "$now" = "$was" ] || exit 0
kill -TERM "-$id" 2>/dev/null
for second in 1 2 3; do
    sleep 1
    kill -0 "-$id" 2>/dev/null || exit 0
done
kill -KILL "-$id" 2>/dev/null
"""


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def until(true: Callable[[], object], *, seconds: float, what: str) -> None:
    """Ask until ``true()`` holds. Raises AssertionError after ``seconds``, naming ``what`` was waited for."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not after {seconds:.0f} s")
        time.sleep(POLL_SECONDS)


class Process:
    """A process group of its own, running from construction on; a context manager that stops it.

    ``ready`` is asked until it holds (an OSError counts as no); the output goes to ``log``.
    Raises RuntimeError with the end of the log where the process ends first or ``seconds`` pass.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        ready: Callable[[], bool] = lambda: True,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        seconds: float = 60.0,
    ) -> None:
        self.command, self.log = [str(word) for word in command], log
        self._watcher = _watcher()
        try:
            with log.open("ab") as written:
                self._ran = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=written,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **(environment or {})},
                    cwd=folder,
                    start_new_session=True,
                )
        except OSError:
            self._tell("", last=True)
            raise
        self.id = self._ran.pid
        self._tell(f"{self.id}\n")
        atexit.register(self.stop)
        self._wait(ready, seconds)

    def _wait(self, ready: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):
                if ready():
                    return
            if not self.running or time.monotonic() > end:
                how = f"not ready after {seconds:.0f} s" if self.running else f"ended with {self._ran.returncode}"
                self.stop()
                raise RuntimeError(f"{self.command[0]} {how}:\n{self.tail()}")
            time.sleep(POLL_SECONDS)

    @property
    def running(self) -> bool:
        """Tell whether the process itself still runs."""
        return self._ran.poll() is None

    def tail(self, most: int = 4000) -> str:
        """Return the end of the log, at most so many bytes."""
        return self.log.read_bytes()[-most:].decode(errors="replace") if self.log.is_file() else ""

    def wait(self, seconds: float) -> int:
        """Return the exit code (negative: the signal). Raises subprocess.TimeoutExpired."""
        return self._ran.wait(seconds)

    def stop(self, *, how: signal.Signals = signal.SIGTERM) -> None:
        """End the whole group: asked first, made to after ten seconds. Stopping twice harms nothing."""
        atexit.unregister(self.stop)
        self._signal(how)
        try:
            self._ran.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        self._signal(signal.SIGKILL)  # children that outlive their parent
        self._ran.wait(STOP_SECONDS)
        self._tell("over\n", last=True)

    def _tell(self, line: str, *, last: bool = False) -> None:
        """Tell the watcher something; the ``last`` word is that there is nothing left to watch."""
        pipe = self._watcher.stdin
        assert pipe is not None
        with contextlib.suppress(OSError, ValueError):
            pipe.write(line.encode())
            pipe.flush()
        if last:
            pipe.close()
            self._watcher.wait(STOP_SECONDS)

    def _signal(self, how: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.id, how)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _watcher() -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        ["/bin/sh", "-c", WATCHER], stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True
    )
