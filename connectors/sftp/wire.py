"""One SFTP connection. The only module that imports paramiko. Paths are bytes here: servers promise no encoding."""

from __future__ import annotations

import contextlib
import errno
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paramiko
from paramiko.sftp import CMD_NAME, SFTPError

from migrator.errors import (
    AbsentError,
    AccessError,
    InputError,
    RefusedError,
    RetryError,
    UnknownOutcomeError,
    VendorError,
)

from .names import PART

CONNECT_SECONDS, ANSWER_SECONDS, STATUS_SECONDS = 20, 120, 5
PIECE_BYTES = 2**18
WINDOW_BYTES = 2**24  # that a server may send before we have read it
ASKED_AHEAD = 64  # pieces of a file on their way at once
PORT = 22
TYPES = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}


@dataclass(frozen=True)
class Server:
    """Where a server listens, and how it is known: by a fingerprint, or by the user's own list of known hosts."""

    host: str
    port: int
    fingerprint: str = ""

    @classmethod
    def at(cls, url: str, fingerprint: str = "") -> Server:
        """Return the server of ``sftp://host[:port]``. Raises InputError for another address."""
        parts = urlsplit(url)
        if parts.scheme != "sftp" or not parts.hostname:
            raise InputError(f"'{url}' is not the address of a server", remedy="write sftp://files.example.com")
        return cls(parts.hostname, parts.port or PORT, fingerprint)


@dataclass(frozen=True)
class Login:
    """Who signs in: with a key from a file (``secret`` opens it), or with a password."""

    user: str
    key_file: str = ""
    secret: str | None = None


@dataclass(frozen=True)
class Entry:
    """One name in a folder. ``mtime``: seconds since 1970."""

    name: bytes
    type: str  # file, folder, link or other
    mode: int
    mtime: int
    size: int


class _Known(paramiko.MissingHostKeyPolicy):
    """Lets in the server with the fingerprint that a person gave, and no other."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def missing_host_key(self, client: Any, hostname: str, key: paramiko.PKey) -> None:
        """Raise AccessError for a key that nobody vouched for."""
        if key.fingerprint == self.server.fingerprint:
            return
        raise AccessError(
            f"{self.server.host} shows the key {key.fingerprint} ({key.get_name()}), which "
            + ("is not the one in options.host_key" if self.server.fingerprint else "nobody has vouched for")
            + f"; ask who runs it, then set `options: {{host_key: {key.fingerprint}}}`"
        )


class _Bytes(paramiko.Message):
    """An answer whose names may be any bytes."""

    def get_text(self) -> str:
        """Return a name; bytes that are no UTF-8 are escaped as Python escapes them."""
        return self.get_string().decode("utf-8", "surrogateescape")


class _Sftp(paramiko.SFTPClient):
    """An SFTP client that lists names that are not UTF-8 too."""

    def _request(self, kind: Any, *args: Any) -> Any:
        answer, message = super()._request(kind, *args)  # type: ignore[misc]
        if answer == CMD_NAME:
            message.__class__ = _Bytes
        return answer, message


@dataclass(frozen=True)
class Running:
    """A program that runs at the server. Its complaints stay unread, in the window that both share."""

    channel: paramiko.Channel

    def read(self, size: int) -> bytes:
        """Return some of what it says, none at the end. Raises TimeoutError."""
        return self.channel.recv(size)

    def ended(self) -> int:
        """Return its exit status; -1 where it tells none in time, or goes on."""
        if not self.channel.closed and self.channel.recv_ready():
            return -1
        return self.channel.exit_status if self.channel.status_event.wait(STATUS_SECONDS) else -1


class Wire:
    """A signed-in connection. Raises AccessError, RetryError (out of reach) when it is made."""

    def __init__(self, server: Server, login: Login) -> None:
        self.server, self.broken = server, False
        self.ssh = paramiko.SSHClient()
        self.ssh.set_missing_host_key_policy(_Known(server))
        if not server.fingerprint:
            with contextlib.suppress(OSError):
                self.ssh.load_system_host_keys()
        how: dict[str, Any] = {"password": login.secret}
        if login.key_file:
            how = {"key_filename": str(Path(login.key_file).expanduser()), "passphrase": login.secret}
        try:
            self.ssh.connect(
                server.host, server.port, login.user, timeout=CONNECT_SECONDS, banner_timeout=CONNECT_SECONDS,
                auth_timeout=CONNECT_SECONDS, allow_agent=False, look_for_keys=False, **how,
            )  # fmt: skip
            transport = self.ssh.get_transport()
            assert transport is not None
            channel = transport.open_session(window_size=WINDOW_BYTES, timeout=CONNECT_SECONDS)
            channel.settimeout(ANSWER_SECONDS)
            channel.invoke_subsystem("sftp")
            self.sftp = _Sftp(channel)
        except AccessError:
            self.ssh.close()
            raise
        except (
            paramiko.AuthenticationException,
            paramiko.PasswordRequiredException,
            paramiko.BadHostKeyException,
        ) as err:
            self.ssh.close()
            raise AccessError(
                f"{server.host}: {login.user} may not sign in ({type(err).__name__}); check the key or the password"
            ) from err
        except (OSError, EOFError, paramiko.SSHException) as err:
            self.ssh.close()
            if login.key_file and isinstance(err, FileNotFoundError):
                raise AccessError(f"the key {login.key_file} is not there; see options.key_file") from err
            raise RetryError(f"{server.host}:{server.port}: {type(err).__name__}: {err}") from err

    def close(self) -> None:
        """End the connection."""
        self.ssh.close()

    @contextlib.contextmanager
    def asking(self, what: str, *, writes: bool = False) -> Iterator[None]:
        """Turn what goes wrong into our own errors; after a broken connection a write may have been carried out."""
        try:
            yield
        except (TimeoutError, EOFError, ConnectionError, paramiko.SSHException) as err:
            self._lost(what, err, writes)
        except SFTPError as err:
            raise RefusedError(f"{what}: {err}", answer=str(err)) from err
        except OSError as err:
            if err.errno == errno.ENOENT:
                raise AbsentError(f"{what}: there is no such file") from err
            if err.errno is None and "closed" in str(err).lower():
                self._lost(what, err, writes)
            raise RefusedError(f"{what}: {err}", answer=str(err)) from err

    def _lost(self, what: str, err: BaseException, writes: bool) -> None:
        self.broken = True
        said = f"{what}: the connection broke ({type(err).__name__}{f': {err}' if str(err) else ''})"
        raise (UnknownOutcomeError(said) if writes else RetryError(said)) from err

    # ---- reading ----------------------------------------------------------------------------------------------------

    def listed(self, folder: bytes) -> list[Entry]:
        """Return what lies in a folder, in the order of the names. Raises VendorError for a name that is a path."""
        with self.asking(f"list {folder!r}"):
            found = self.sftp.listdir_attr(folder)  # type: ignore[arg-type]  # bytes too: they go out as they are
        entries = []
        for one in found:
            name = one.filename.encode("utf-8", "surrogateescape")
            if not name or b"/" in name or b"\x00" in name or name in (b".", b".."):
                raise VendorError(f"{self.server.host}: {folder!r} lists {name!r}, which is no name of a file")
            entries.append(_entry(name, one))
        return sorted(entries, key=lambda entry: entry.name)

    def stat(self, path: bytes) -> Entry:
        """Return what lies at a path, a link itself. Raises AbsentError."""
        with self.asking(f"look at {path!r}"):
            return _entry(path.rpartition(b"/")[2], self.sftp.lstat(path))

    def target(self, path: bytes) -> bytes:
        """Return what a link points to."""
        with self.asking(f"read the link {path!r}"):
            found: str | bytes = self.sftp.readlink(path) or ""  # paramiko gives bytes where they are no UTF-8
            return found.encode("utf-8", "surrogateescape") if isinstance(found, str) else found

    def pieces(self, path: bytes, size: int) -> Iterator[bytes]:
        """Yield a file's bytes, many pieces on their way at once."""
        with self.asking(f"read {path!r}"):
            with self.sftp.open(path, "rb") as file:
                if size > PIECE_BYTES:
                    file.prefetch(size, ASKED_AHEAD)
                while piece := file.read(PIECE_BYTES):
                    yield piece

    def home(self) -> bytes:
        """Return where relative paths begin."""
        with self.asking("look for the folder of the login"):
            return self.sftp.normalize(".").encode("utf-8", "surrogateescape")

    @contextlib.contextmanager
    def running(self, command: str, given: bytes = b"") -> Iterator[Running]:
        """Run a command in the login's shell, with these bytes on its standard input.

        ``given`` is no more than what a server takes without being read from. Raises RefusedError where there is no
        shell, or it hangs; RetryError where the connection broke.
        """
        transport = self.ssh.get_transport()
        assert transport is not None
        try:
            channel = transport.open_session(window_size=WINDOW_BYTES, timeout=CONNECT_SECONDS)
            try:
                channel.settimeout(CONNECT_SECONDS)
                channel.exec_command(command)
                with contextlib.suppress(OSError):  # a program may end without having read: its status tells
                    channel.sendall(given)
                    channel.shutdown_write()
                yield Running(channel)
            finally:
                channel.close()
        except (OSError, EOFError, paramiko.SSHException) as err:
            if not transport.is_active():
                self._lost(f"run {command.partition(' ')[0]}", err, writes=False)
            raise RefusedError(f"{self.server.host}: the shell does not answer ({type(err).__name__}: {err})") from err

    # ---- writing ----------------------------------------------------------------------------------------------------

    def put(self, path: bytes, file: Path, *, mode: int, mtime: int | None, over: bool) -> None:
        """Write a file under another name, and give it its own when it is whole.

        What is there already is replaced where ``over``, else refused. Blocks of zeros are left out.
        """
        part = path + PART
        with self.asking(f"write {path!r}", writes=True), file.open("rb") as bytes_:
            with self.sftp.open(part, "wb") as out:
                out.set_pipelined(True)  # refusals show when it is closed
                size = written = 0
                while piece := bytes_.read(PIECE_BYTES):
                    size += len(piece)
                    if piece.strip(b"\0"):
                        out.seek(size - len(piece))
                        out.write(piece)
                        written = size
            if written < size:
                self.sftp.truncate(part, size)
            self.sftp.chmod(part, mode)
            if mtime is not None:
                self.sftp.utime(part, (mtime, mtime))
            if over:
                self.sftp.posix_rename(part, path)
            else:
                try:
                    self.sftp.rename(part, path)
                except OSError:
                    with contextlib.suppress(OSError):
                        self.sftp.remove(part)
                    raise

    def link(self, target: bytes, path: bytes) -> None:
        """Make a link."""
        with self.asking(f"link {path!r}", writes=True):
            self.sftp.symlink(target, path)

    def folder(self, path: bytes) -> bool:
        """Make a folder, unless there is one; tell whether it is new."""
        with self.asking(f"make the folder {path!r}", writes=True):
            try:
                self.sftp.mkdir(path)
            except OSError:
                if not stat.S_ISDIR(self.sftp.stat(path).st_mode or 0):
                    raise
                return False
        return True

    def touch(self, path: bytes) -> None:
        """Make an empty file."""
        with self.asking(f"write {path!r}", writes=True), self.sftp.open(path, "wb"):
            pass

    def dress(self, path: bytes, *, mode: int | None, mtime: int | None) -> None:
        """Set the permissions and the date of what is there."""
        with self.asking(f"set the permissions of {path!r}", writes=True):
            if mode is not None:
                self.sftp.chmod(path, mode)
            if mtime is not None:
                self.sftp.utime(path, (mtime, mtime))

    def remove(self, path: bytes, *, folder: bool) -> None:
        """Take a file, a link or an empty folder away."""
        with self.asking(f"remove {path!r}", writes=True):
            (self.sftp.rmdir if folder else self.sftp.remove)(path)


def _entry(name: bytes, one: paramiko.SFTPAttributes) -> Entry:
    mode = one.st_mode or 0
    return Entry(name, TYPES.get(stat.S_IFMT(mode), "other"), stat.S_IMODE(mode), one.st_mtime or 0, one.st_size or 0)
