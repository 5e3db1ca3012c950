"""Znuny's own Perl, on its own machine: one process that is told what to do in JSON, a line each (``desk.pl``)."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from migrator.connector import Native
from migrator.errors import RefusedError, UnknownOutcomeError, VendorError

SCRIPT = Path(__file__).with_name("desk.pl")
WAIT_SECONDS = 5.0


class Console:
    """Runs ``perl`` (which may be ``ssh znuny@desk perl``) with the libraries of the Znuny in ``home``."""

    def __init__(self, home: str, perl: str = "perl") -> None:
        self._command = [*shlex.split(perl)]
        for library in (home, f"{home}/Kernel/cpan-lib", f"{home}/Custom"):
            self._command += ["-I", library]
        self._command.append("-")
        self._calling = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, deed: str, **words: Any) -> Any:
        """Have something done and return what came of it.

        Raises RefusedError with Znuny's own words, UnknownOutcomeError where the process ended in between.
        """
        line = json.dumps({"deed": deed, **words}).encode() + b"\n"
        with self._calling:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(line)
                process.stdin.flush()
                answer: Native = json.loads(process.stdout.readline())
            except (OSError, ValueError) as err:
                self._process = None
                _end(process)
                raise UnknownOutcomeError(f"{deed}: Znuny's Perl ended before it answered") from err
        if "error" in answer:
            raise RefusedError(f"{deed}: refused by Znuny", answer=str(answer["error"]).strip()[:4000])
        return answer["ok"]

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Native]:
        """Return rows of Znuny's database, every value as text."""
        try:
            found = self.ask("rows", sql=sql.replace("%s", "?"), values=[_text(value) for value in values])
        except UnknownOutcomeError as err:
            raise VendorError(str(err)) from err
        return list(found)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        try:
            process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            assert process.stdin is not None
            process.stdin.write(SCRIPT.read_bytes() + b"\n__END__\n")
            process.stdin.flush()
        except OSError as err:
            raise VendorError(f"{self._command[0]}: Znuny's Perl cannot be started ({err})") from err
        weakref.finalize(self, _end, process)
        self._process = process
        return process


def _text(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int) else str(value)


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if pipe:
                pipe.close()
    try:
        process.wait(WAIT_SECONDS)  # its input has ended, so does it
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(WAIT_SECONDS)
