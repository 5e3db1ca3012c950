"""OpenSRS's XML protocol (XCP): envelopes written and read with care, calls signed, refusals told apart."""

from __future__ import annotations

import hashlib
import re
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

import requests
from requests.auth import AuthBase

from migrator.connector import Native
from migrator.errors import AbsentError, AccessError, RefusedError, UnknownOutcomeError, VendorError
from migrator.http import Client

MOST_BYTES = 32 * 2**20  # of an answer
DEEPEST = 40  # elements within each other; the documented answers have 15
TRIES = 5  # of a question whose answer was cut on the way
HEAD = "<?xml version='1.0' encoding='UTF-8' standalone='no' ?>\n<!DOCTYPE OPS_envelope SYSTEM 'ops.dtd'>\n"
# XML 1.0 carries none of them; a CR would be read as LF
UNSPEAKABLE = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
NO_ACCESS = re.compile(r"authentication (?:error|fail)|invalid (?:username|ip)", re.IGNORECASE)
NOT_THERE = re.compile(r"not (?:found|exist|enabled|defined|registered|in this account)|no such|no dns zone", re.I)


def signature(content: bytes, key: str) -> str:
    """Return the signature over the exact bytes (domains.opensrs.guide, troubleshooting; read 2026-11-22)."""
    inner = hashlib.md5(content + key.encode(), usedforsecurity=False).hexdigest()
    return hashlib.md5(inner.encode() + key.encode(), usedforsecurity=False).hexdigest()


class Signed(AuthBase):
    """Signs what is sent, as it is sent; the key is not shown by ``repr`` and follows no redirect."""

    stays = True

    def __init__(self, user: str, key: str) -> None:
        self._user, self._key = user, key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put user and signature into the request."""
        body = request.body or b""
        content = body.encode() if isinstance(body, str) else bytes(body)
        request.headers["X-Username"] = self._user
        request.headers["X-Signature"] = signature(content, self._key)
        return request


def envelope(block: Native) -> bytes:
    """Return a message. Raises RefusedError for a text with characters that XML cannot carry."""
    inner = f"<header><version>0.9</version></header><body><data_block>{_data(block)}</data_block></body>"
    return f"{HEAD}<OPS_envelope>{inner}</OPS_envelope>".encode()


def _data(value: Any) -> str:
    if isinstance(value, dict):
        items = "".join(f"<item key={quoteattr(str(key))}>{_data(one)}</item>" for key, one in value.items())
        return f"<dt_assoc>{items}</dt_assoc>"
    if isinstance(value, list):
        items = "".join(f'<item key="{number}">{_data(one)}</item>' for number, one in enumerate(value))
        return f"<dt_array>{items}</dt_array>"
    text = str(int(value) if isinstance(value, bool) else value)
    if UNSPEAKABLE.search(text):
        raise RefusedError(f"{text[:80]!r} has characters that XML cannot carry")
    return escape(text)


class _Reader:
    """Builds what a message says, element by element; a list comes in the order of its numbers."""

    def __init__(self) -> None:
        self.block: Any = None
        self._open: list[str] = []
        self._held: list[dict[str, Any]] = []
        self._keys: list[str] = []
        self._values: list[Any] = []
        self._text: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._open.append(name)
        if len(self._open) > DEEPEST:
            raise VendorError(f"an answer with more than {DEEPEST} elements within each other")
        if name in ("dt_assoc", "dt_array"):
            self._held.append({})
        elif name == "item":
            self._keys.append(attributes.get("key", ""))
            self._values.append(None)
        self._text.clear()

    def end(self, name: str) -> None:
        self._open.pop()
        if name == "item":
            found = self._values.pop()
            self._held[-1][self._keys.pop()] = "".join(self._text) if found is None else found
        elif name in ("dt_assoc", "dt_array"):
            held = self._held.pop()
            # Keys are numbers: by their letters, 10 would come before 2 (as in a client that others wrote).
            made: Any = held if name == "dt_assoc" else [held[key] for key in sorted(held, key=int)]
            if self._values:
                self._values[-1] = made
            else:
                self.block = made
        self._text.clear()

    def text(self, said: str) -> None:
        self._text.append(said)

    def refuse(self, *_: Any) -> None:
        """Refuse entities: a few lines of them become gigabytes, or read a file."""
        raise VendorError("an answer with entities of its own, which OpenSRS does not send")


def opened(content: bytes) -> Native:
    """Return what a message says. Raises VendorError for what is none, or is made to harm."""
    if len(content) > MOST_BYTES:
        raise VendorError(f"an answer of {len(content)} bytes, more than {MOST_BYTES}")
    reader, parser = _Reader(), expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    parser.EntityDeclHandler = parser.SkippedEntityHandler = reader.refuse
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError, IndexError) as err:
        raise VendorError(f"the answer is not the XML it should be ({err})") from err
    if not isinstance(reader.block, dict):
        raise VendorError("an answer without a data block: is this the address of OpenSRS's XML API?")
    return reader.block


class Registrar:
    """The calls of one reseller. ``client`` signs them."""

    def __init__(self, client: Client, auth: Signed) -> None:
        self._client, self._auth = client, auth

    def ask(self, action: str, attributes: Native, *, object: str = "DOMAIN") -> Native:
        """Return the attributes of an answer; repeated while that is safe. Raises as ``write``, and VendorError."""
        content = _request(action, object, attributes)
        for attempt in range(1, TRIES + 1):
            answer = self._client.ask("/", data=content, headers={"Content-Type": "text/xml"}, auth=self._auth)
            try:
                block = opened(answer.content)
                break
            except VendorError:
                if attempt == TRIES:
                    raise
                self._client.sleep(float(attempt))
        return _attributes(action, block)

    def write(self, action: str, attributes: Native, *, object: str = "DOMAIN") -> Native:
        """Carry out one call. Raises RefusedError, AccessError; UnknownOutcomeError where nobody can tell."""
        content, headers = _request(action, object, attributes), {"Content-Type": "text/xml"}
        answer = self._client.write("POST", "/", data=content, headers=headers, auth=self._auth)
        try:
            block = opened(answer.content)
        except VendorError as err:
            raise UnknownOutcomeError(f"{action}: {err}") from err
        return _attributes(action, block)


def _request(action: str, object: str, attributes: Native) -> bytes:
    return envelope({"protocol": "XCP", "action": action, "object": object, "attributes": attributes})


def _attributes(action: str, block: Native) -> Native:
    if str(block.get("is_success")) == "1":
        found = block.get("attributes")
        return found if isinstance(found, dict) else {}
    code, said = str(block.get("response_code") or ""), str(block.get("response_text") or "no reason given")
    what = f"{action}: {said[:400]} ({code or 'no code'})"
    status = int(code) if code.isdecimal() and len(code) < 5 else 0
    if code == "401" or NO_ACCESS.search(said):
        raise AccessError(f"{what}; check user, key and the address OpenSRS lets in")
    kind = AbsentError if code == "404" or NOT_THERE.search(said) else RefusedError
    raise kind(what, status=status, answer=said[:4000])
