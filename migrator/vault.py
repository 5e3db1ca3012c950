"""The key of a workspace, and what is sealed with it: secrets of the customer, from their staging to the call that
writes them.

AES-SIV (RFC 5297): the same secret is always the same sealed text, so that records are compared, counted and followed
as if it stood there; without the key nobody can open it, make one, or try a guess. Its scheme stays readable, bound to
it. Beside ``signing`` the only module that imports cryptography.
"""

from __future__ import annotations

import html
import json
import os
import re
import secrets
import tempfile
import threading
import weakref
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from migrator.disk import secret_kept
from migrator.errors import AccessError, InputError, WorkspaceError
from migrator.seals import SEALED_TEXT, changed, scheme, telling

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

NOTE = "key.json"  # in the workspace: which key it is, never the key
KEY_BYTES = 64  # AES-256-SIV
NAMES_IT = b"migrator: which key this is"
HEAD = b"migrator sealed bytes 1\n"
MOST_BYTES = 2**24  # of a file that is sealed, in memory: keys and certificates take some thousand
HIDDEN = "⟦secret⟧"
PIECE = 12  # characters of a secret that say something of it
LookUp = Callable[[str, str], str]  # (env: or keyring: place, what it is) to the secret


class Vault:
    """What seals and opens in one workspace. The key is looked up, or made, when it is first needed.

    ``where``: env:NAME, keyring:SERVICE/USER or file:PATH, as migration.yaml names it; without it the key lies in a
    file of its own in the person's folder of data, outside the workspace. Safe from any thread.
    """

    def __init__(self, folder: Path, where: str | None, look_up: LookUp) -> None:
        self._folder, self._where, self._look_up = folder, where, look_up
        self._lock = threading.Lock()
        self._known: AESSIV | None = None
        self._files: dict[Path, Path] = {}

    # ---- sealing and opening ----------------------------------------------------------------------------------------

    def seal(self, text: str) -> str:
        """Return a secret sealed; what is sealed with this key already stays as it is."""
        if not text or (SEALED_TEXT.fullmatch(text) and self._opens(text)):
            return text
        called = scheme(text) if not SEALED_TEXT.fullmatch(text) else "UNKNOWN"
        held = self._key().encrypt(text.encode("utf-8", "surrogatepass"), [called.encode()])
        return f"⟦sealed {called} {held[:4].hex()} {urlsafe_b64encode(held).decode().rstrip('=')}⟧"

    def open(self, text: str) -> str:
        """Return the secret behind a sealed text; any other text as it is. Raises WorkspaceError for another key's."""
        found = SEALED_TEXT.fullmatch(text)
        if not found:
            return text
        opened = self._opened(found)
        if opened is None:
            raise WorkspaceError(
                f"the secret {found[2]} was sealed with another key than {self._folder} has, or was changed; "
                "extract again, then plan again"
            )
        return opened

    def _opens(self, text: str) -> bool:
        found = SEALED_TEXT.fullmatch(text)
        return bool(found and self._opened(found) is not None)

    def _opened(self, found: re.Match[str]) -> str | None:
        from cryptography.exceptions import InvalidTag

        try:
            held = urlsafe_b64decode(found[3] + "=" * (-len(found[3]) % 4))
            return self._key().decrypt(held, [found[1].encode()]).decode("utf-8", "surrogatepass")
        except (InvalidTag, ValueError):
            return None

    def sealed(self, body: bytes, paths: Sequence[str]) -> bytes:
        """Return a record with every text at ``paths`` (through lists), below them, and under a telling key, sealed."""
        record = json.loads(body)
        self.sealed_in(record, paths)
        telling(record, self.seal)
        return json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass")

    def sealed_in(self, record: Any, paths: Sequence[str]) -> None:
        """Seal every text at ``paths`` of a record, in it."""
        for path in paths:
            changed(record, path.split("."), self.seal)

    def opened_in(self, record: Any, paths: Sequence[str]) -> list[str]:
        """Open every sealed text at ``paths`` of a record, in it; return what was opened."""
        opened: list[str] = []

        def change(text: str) -> str:
            clear = self.open(text)
            opened.append(clear)
            return clear

        for path in paths:
            changed(record, path.split("."), change)
        return opened

    def seal_bytes(self, data: bytes) -> bytes:
        """Return a file's bytes sealed."""
        return HEAD + self._key().encrypt(data, [HEAD])

    def file(self, sealed: Path) -> Path:
        """Return where a sealed file can be read, open, as long as this process lives: in memory where there is a way.

        Raises WorkspaceError for another key's.
        """
        with self._lock:
            known = self._files.get(sealed)
        return known or self._files.setdefault(sealed, self._held(self.bytes_of(sealed)))

    def bytes_of(self, sealed: Path) -> bytes:
        """Return what a sealed file holds. Raises WorkspaceError for another key's."""
        from cryptography.exceptions import InvalidTag

        held = sealed.read_bytes()
        try:
            if not held.startswith(HEAD):
                raise ValueError(HEAD)
            return self._key().decrypt(held[len(HEAD) :], [HEAD])
        except (InvalidTag, ValueError):
            raise WorkspaceError(f"{sealed} was sealed with another key, or was changed; extract again") from None

    def _held(self, data: bytes) -> Path:
        if hasattr(os, "memfd_create"):
            handle = os.memfd_create("sealed")
            weakref.finalize(self, os.close, handle)
            place = Path(f"/proc/{os.getpid()}/fd/{handle}")
        else:
            handle, name = tempfile.mkstemp(prefix="migrator-")
            os.close(handle)
            weakref.finalize(self, os.unlink, name)
            place = Path(name)
        place.write_bytes(data)
        return place

    # ---- the key ----------------------------------------------------------------------------------------------------

    def _key(self) -> AESSIV:
        with self._lock:
            if self._known is None:
                self._known = self._found()
            return self._known

    def _found(self) -> AESSIV:
        noted = self._noted()
        if self._where and not self._where.startswith("file:"):
            key, place = _read(self._look_up(self._where, "the workspace's key"), self._where), self._where
        else:
            file = self._file(noted)
            if file is None or (noted is None and not file.exists()):
                key, file = _made(file)
            else:
                key = self._in_file(file, noted)
            place = f"file:{file}"
        called = _called(key)
        if noted not in (None, called):
            raise AccessError(
                f"{self._folder}: its secrets are sealed with the key {noted}, and {place} holds the key {called}; "
                f"name the right one under `key:` in migration.yaml. {_KEPT}"
            )
        if noted is None:
            _written(self._folder / NOTE, {"key": called, "in": place, "at": _now()})
        return key

    def _noted(self) -> str | None:
        """Return which key the workspace was sealed with, None where nothing is sealed yet."""
        file = self._folder / NOTE
        try:
            return str(json.loads(file.read_text(encoding="utf-8"))["key"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as err:
            raise WorkspaceError(f"{file} cannot be read: it says which key the workspace is sealed with") from err

    def _file(self, noted: str | None) -> Path | None:
        """Return the file of the key; None where it is to be made in the person's folder."""
        if self._where:
            return (self._folder / Path(self._where.removeprefix("file:")).expanduser()).resolve()
        return keys_folder() / noted if noted else None

    def _in_file(self, file: Path, noted: str | None) -> AESSIV:
        try:
            return _read(file.read_text(encoding="ascii").strip(), str(file))
        except (OSError, UnicodeDecodeError) as err:
            why = err.strerror if isinstance(err, OSError) else "it holds something else"
            raise AccessError(
                f"{self._folder}: its secrets are sealed with the key {noted}, which is not in {file} ({why}); put it "
                f"back there, or say where it is: `key: file:PATH` or `key: env:NAME` in migration.yaml. {_KEPT}"
            ) from err


_KEPT = "Nothing is lost meanwhile; if the key is gone for good, see 'The key' in the manual"


def hidden(text: str, plain: Iterable[str]) -> str:
    """Return a text without these secrets and without pieces of them, as they are, or as JSON, HTML, an address or
    base64 write them: a vendor's answer may hold what was sent, and be cut anywhere."""
    parts = {form for one in plain if one for form in _forms(one)}
    pieces = {form[at : at + PIECE] for form in parts if len(form) >= PIECE for at in range(len(form) - PIECE + 1)}
    hides = bytearray(len(text))
    for at in range(len(text) - PIECE + 1):
        if text[at : at + PIECE] in pieces:
            hides[at : at + PIECE] = b"x" * PIECE
    for form in (form for form in parts if len(form) < PIECE):
        for found in re.finditer(re.escape(form), text):
            hides[found.start() : found.end()] = b"x" * len(form)
    kept = ((hide, "".join(text[at] for at, _ in some)) for hide, some in groupby(enumerate(hides), key=lambda x: x[1]))
    return "".join(HIDDEN if hide else said for hide, said in kept)


def _forms(secret: str) -> set[str]:
    data = secret.encode("utf-8", "surrogatepass")
    forms = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], html.escape(secret)}
    forms |= {form.replace("/", "\\/") for form in forms}  # as PHP writes JSON
    forms |= {quote(data), quote(data, safe=""), quote_plus(data)}
    for shift in range(3):  # wherever it begins in what is encoded
        encoded = b64encode(bytes(shift) + data).decode()[(0, 2, 3)[shift] :]
        whole = encoded.rstrip("=")[: len(encoded) - 4 if encoded.endswith("=") else None]
        forms |= {whole, whole.replace("+", "-").replace("/", "_")}
    return forms - {""}


def keys_folder() -> Path:
    """Return the person's folder of keys (XDG's for data)."""
    data = os.environ.get("XDG_DATA_HOME", "")
    return (Path(data) if os.path.isabs(data) else Path.home() / ".local" / "share") / "migrator" / "keys"


def _made(file: Path | None) -> tuple[AESSIV, Path]:
    """Make a key, durable before anything is sealed with it; return it and its file."""
    text = secrets.token_hex(KEY_BYTES)
    key = _read(text, "")
    file = file or keys_folder() / _called(key)
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        secret_kept(file, f"{text}\n".encode())
    except OSError as err:
        raise WorkspaceError(
            f"the workspace's key cannot be kept in {file} ({err.strerror}); name a place that can, under `key:` in "
            "migration.yaml: file:PATH, env:NAME or keyring:SERVICE/USER"
        ) from err
    return key, file


def _read(text: str, where: str) -> AESSIV:
    """Return the key of 128 hexadecimal digits. Raises InputError, which shows nothing of it."""
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

    if not re.fullmatch(rf"[0-9a-fA-F]{{{2 * KEY_BYTES}}}", text):
        raise InputError(
            f"{where} holds no key of a workspace, which is {2 * KEY_BYTES} hexadecimal digits",
            remedy=f"`openssl rand -hex {KEY_BYTES}` makes one for a new workspace",
        )
    return AESSIV(bytes.fromhex(text))


def _called(key: AESSIV) -> str:
    """Return what a key is called: it tells keys apart, and nothing of them."""
    return key.encrypt(NAMES_IT, [])[:8].hex()


def _written(file: Path, note: dict[str, str]) -> None:
    part = file.with_suffix(".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8") as out:
            json.dump(note, out, indent=1)
            out.flush()
            os.fsync(out.fileno())
        part.replace(file)
    except OSError as err:
        raise WorkspaceError(f"{file} cannot be written: {err.strerror}") from err


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
