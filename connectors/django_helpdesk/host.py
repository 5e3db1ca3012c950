"""The host project's own command: ``dumpdata`` and ``loaddata`` carried out, and the folder of its attachments."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from migrator.connector import Child
from migrator.errors import AccessError, RefusedError, UnknownOutcomeError, VendorError

from .shape import FIELDS, Native

COMMAND_SECONDS = 3600
SAFE_ENDINGS = {
    ".txt",
    ".asc",
    ".pdf",
    ".doc",
    ".docx",
    ".odt",
    ".jpg",
    ".jpeg",
    ".png",
    ".gif",
    ".eml",
    ".csv",
    ".zip",
}
Row = dict[str, Any]


class Host:
    """The host project's command. ``user_model``: AUTH_USER_MODEL, where the project has one of its own."""

    def __init__(self, command: str, media: str, user_model: str = "auth.user") -> None:
        self.command, self.media, self.user_model = shlex.split(command), Path(media), user_model

    def dump(self) -> Iterator[tuple[str, int, Native]]:
        """Yield (model, number, fields) of everything that is read; nothing secret is among the fields."""
        models = [self.user_model if name == "user" else f"helpdesk.{name}" for name in FIELDS]
        with tempfile.TemporaryFile() as errors:
            ran = self._start(["dumpdata", "--format=jsonl", *models], stdout=subprocess.PIPE, stderr=errors)
            assert ran.stdout is not None
            with ran, ran.stdout:
                for line in ran.stdout:
                    held = json.loads(line)
                    model = "user" if held["model"] == self.user_model else held["model"].removeprefix("helpdesk.")
                    fields = held["fields"]
                    yield model, held["pk"], {name: fields[name] for name in FIELDS[model] if name in fields}
            if ran.returncode:
                errors.seek(0)
                raise VendorError(f"dumpdata ended with {ran.returncode}: {_last(errors.read().decode())}")

    def raw(self, model: str, numbers: Sequence[str]) -> dict[str, Native]:
        """Return rows as they stand now, by their numbers, with every column: only to be put back by ``load``."""
        found: dict[str, Native] = {}
        with tempfile.TemporaryFile() as errors:
            words = ["dumpdata", "--format=jsonl", model, "--pks", ",".join(map(str, numbers))]
            ran = self._start(words, stdout=subprocess.PIPE, stderr=errors)
            said, _ = ran.communicate(timeout=COMMAND_SECONDS)
            if ran.returncode:
                errors.seek(0)
                raise VendorError(f"dumpdata ended with {ran.returncode}: {_last(errors.read().decode())}")
        for line in said.splitlines():
            held = json.loads(line)
            found[str(held["pk"])] = held["fields"]
        return found

    def load(self, rows: Sequence[Row]) -> None:
        """Put rows in, all or none. Raises RefusedError with the answer, UnknownOutcomeError where it was killed."""
        text = json.dumps(list(rows), ensure_ascii=False).encode()
        with self._held(alone=False) as held:
            self._load(text, held)

    def wait(self) -> None:
        """Wait until no ``loaddata`` of an earlier, killed run is under way: what is not there then never comes."""
        with self._held(alone=True):
            pass

    @contextmanager
    def _held(self, *, alone: bool) -> Iterator[int]:
        """Hold the lock that says that a ``loaddata`` runs. The command inherits it, and outlives us with it."""
        import fcntl

        said = json.dumps([self.command, str(self.media), os.getuid()])
        path = Path(tempfile.gettempdir(), f"migrator-{hashlib.sha256(said.encode()).hexdigest()[:24]}.lock")
        lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield lock
        finally:
            os.close(lock)

    def _load(self, text: bytes, lock: int) -> None:
        ran = self._start(
            ["loaddata", "--format=json", "-"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=(lock,),
        )  # fmt: skip
        try:
            _, said = ran.communicate(text, COMMAND_SECONDS)
        except subprocess.TimeoutExpired as err:
            ran.kill()
            ran.communicate()
            raise UnknownOutcomeError(f"loaddata took more than {COMMAND_SECONDS} s") from err
        except BaseException:
            ran.kill()
            ran.communicate()
            raise
        if ran.returncode < 0:
            raise UnknownOutcomeError(f"loaddata was ended by signal {-ran.returncode}")
        if ran.returncode:
            raise RefusedError("loaddata refused the records; none is written", answer=_last(said.decode()))

    def _start(self, words: Sequence[str], **pipes: Any) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1"}
        try:
            return subprocess.Popen([*self.command, *words], env=environment, **pipes)
        except OSError as err:
            raise AccessError(f"the command {self.command[0]} cannot be run: {err.strerror}") from err

    def store(self, child: Child, key: str) -> str:
        """Put a file's bytes under MEDIA_ROOT and return the name there: the same again for the same file.

        The name cannot be guessed by who does not know the bytes, and never ends as what a browser would run.
        """
        assert child.blob is not None
        name = PurePosixPath(str(child.payload["filename"])).name
        stem = re.sub(r"[^\w.-]", "_", name)[-80:].strip(".") or "file"
        if PurePosixPath(stem).suffix.lower() not in SAFE_ENDINGS:
            stem = stem.replace(".", "_")
        place = hashlib.sha256(f"{child.blob.name}:{key}:{child.id}".encode()).hexdigest()
        inside = PurePosixPath("helpdesk", "attachments", place[:2], place[2:], stem)
        target = self.media / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.part")
        shutil.copyfile(child.blob, partial)
        partial.replace(target)
        return str(inside)

    def bytes_of(self, name: str) -> Iterator[bytes]:
        """Yield a file's bytes. Raises RefusedError for a name that leads out of MEDIA_ROOT, or to nothing."""
        root = self.media.resolve()
        path = (root / name).resolve()
        if not path.is_relative_to(root) or not path.is_file():
            raise RefusedError("attachment: there is no such file in MEDIA_ROOT", status=404)
        with path.open("rb") as file:
            while chunk := file.read(1 << 16):
                yield chunk


def _last(text: str) -> str:
    """Return what a command said last."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:2000] if lines else "nothing was said"
