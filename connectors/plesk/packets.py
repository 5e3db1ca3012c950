"""Packets of Plesk's XML API: built as trees, never as text, and read as what a hostile server may have sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError, tostring

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from migrator.connector import Native
from migrator.errors import RefusedError, VendorError

UNFIT = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, 2.2


@dataclass(frozen=True)
class Result:
    """What became of one object: a packet is answered 200 whatever became of those in it."""

    ok: bool
    code: int
    said: str
    node: Element

    def refusal(self, what: str) -> RefusedError:
        """Return the error to put a record aside with."""
        return RefusedError(f"{what}: {self.said or 'refused'} ({self.code})", status=self.code, answer=self.said)


def el(tag: str, *content: Element | str | int | bool | None) -> Element:
    """Return an element; what is None is left out. Raises RefusedError for a character that XML cannot carry."""
    made = Element(tag)
    for one in content:
        if isinstance(one, Element):
            made.append(one)
        elif isinstance(one, bool):
            made.text = "true" if one else "false"
        elif one is not None:
            text = str(one)
            if unfit := UNFIT.search(text):
                raise RefusedError(f"{tag}: XML cannot carry the character U+{ord(unfit[0]):04X}")
            made.text = text
    return made


def operation(operator: str, name: str, *content: Element | None) -> tuple[str, Element]:
    """Return one thing that is asked: the operator, and its operation."""
    made = Element(name)
    made.extend(one for one in content if one is not None)
    return operator, made


Operation = tuple[str, Element]


def packet(operations: Sequence[Operation]) -> bytes:
    """Return the packet that asks for these, in this order; those of one operator that follow each other share it."""
    root = Element("packet")
    for operator, one in operations:
        last = root[-1] if len(root) else None
        if last is None or last.tag != operator:
            last = Element(operator)
            root.append(last)
        last.append(one)
    body: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return body


def read(content: bytes) -> Element:
    """Return an answer's packet. Raises ValueError for what is no packet, or was cut off; VendorError for XML that
    brings a document type of its own, which no answer of Plesk's has.
    """
    try:
        root: Element = fromstring(content, forbid_dtd=True)
    except DefusedXmlException as err:
        raise VendorError("Plesk answered with a document type, which no answer of its API has") from err
    except (ParseError, LookupError, UnicodeError) as err:
        raise ValueError(f"no XML ({err})") from err
    if root.tag != "packet":
        raise ValueError(f"<{root.tag}> in place of <packet>")
    return root


def whole(root: Element) -> Result | None:
    """Return why a packet as a whole was refused, None where it was carried out."""
    system = root.find("system")
    return _result(system) if system is not None and system.findtext("status") == "error" else None


def answers(root: Element, asked: Sequence[Operation]) -> list[list[Result]]:
    """Return the results of each operation in the order they were asked; fewer where the answer holds fewer.

    Raises ValueError where the answer is to something else.
    """
    found: list[list[Result]] = []
    said = ((operator.tag, one) for operator in root for one in operator)
    for (operator, wanted), (tag, one) in zip(asked, said, strict=False):
        if (operator, wanted.tag) != (tag, one.tag):
            raise ValueError(f"an answer to {tag}/{one.tag} in place of {operator}/{wanted.tag}")
        found.append([_result(result) for result in _results(one)])
    return found


def _results(node: Element) -> Iterator[Element]:
    """Yield the results of an operation: ``mail/update`` holds them one level further down."""
    for one in node:
        if one.tag == "result":
            yield one
        elif one.tag in ("add", "set", "remove"):
            yield from one.findall("result")


def _result(node: Element) -> Result:
    code = node.findtext("errcode") or "0"
    said = (node.findtext("errtext") or "").strip()[:4000]
    return Result(node.findtext("status") == "ok", int(code) if code.isdecimal() else 0, said, node)


def plain(node: Element) -> Native:
    """Return an element's inner ones as a record: properties by their names, what comes twice as a list."""
    made: Native = {}
    for one in node:
        if one.tag == "property":
            made[one.findtext("name") or ""] = one.findtext("value") or ""
            continue
        value = plain(one) if len(one) else (one.text or "")
        if one.tag in made:
            made[one.tag] = [*made[one.tag], value] if isinstance(made[one.tag], list) else [made[one.tag], value]
        else:
            made[one.tag] = value
    return made
