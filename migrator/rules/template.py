"""Texts with placeholders as a tree: said text, a value, a block that repeats or asks. Escaping is the writer's."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from migrator.rules.conditions import Node


class Said(Node):
    """Text as it stands."""

    type: Literal["said"] = "said"
    text: str


class Var(Node):
    """A value: ``meaning`` in canonical words (``ticket.number``), or empty where only the vendor's name is known.

    ``name`` is the vendor's own, ``lead`` and ``trail`` the blanks inside its braces.
    """

    type: Literal["var"] = "var"
    meaning: str = ""
    name: str
    filters: tuple[str, ...] = ()
    lead: str = ""
    trail: str = ""


class Block(Node):
    """What asks or repeats: ``if``, ``for``, ``case`` …; ``written`` is the whole opening tag, ``end`` the closing."""

    type: Literal["block"] = "block"
    word: str
    written: str
    parts: tuple[Part, ...] = ()
    end: str = ""


Part: TypeAlias = Annotated[Said | Var | Block, Field(discriminator="type")]
Block.model_rebuild()


class Template(Node):
    """A text with placeholders."""

    parts: tuple[Part, ...] = ()
    html: bool = False


class Syntax(Node):
    """How a vendor writes placeholders: what opens and closes a value, and whether Liquid's blocks are known."""

    opens: str
    closes: str
    liquid: bool = False


HASHES = Syntax(opens="#{", closes="}")
BRACES = Syntax(opens="{{", closes="}}")
LIQUID = Syntax(opens="{{", closes="}}", liquid=True)

_WORD = re.compile(r"\{%-?\s*(\w*)")
_PAIRED = ("if", "unless", "for", "case", "capture", "comment", "raw", "tablerow", "ifchanged")


def parse(text: str, syntax: Syntax, meaning: Callable[[str], str], *, html: bool = False) -> Template:
    """Return the text as a tree; ``meaning`` tells what a vendor's name means, or the empty text."""
    value = f"{re.escape(syntax.opens)}.*?{re.escape(syntax.closes)}"
    pattern = re.compile(f"({value}|{{%.*?%}})" if syntax.liquid else f"({value})", re.DOTALL)
    pieces = [piece for piece in pattern.split(text) if piece]
    parts, rest = _parts(pieces, 0, "", syntax, meaning)
    assert rest == len(pieces)
    return Template(parts=tuple(parts), html=html)


def _parts(
    pieces: list[str], at: int, until: str, syntax: Syntax, meaning: Callable[[str], str]
) -> tuple[list[Part], int]:
    """Return the parts up to the tag that closes ``until``, and where that is."""
    parts: list[Part] = []
    while at < len(pieces):
        piece = pieces[at]
        if syntax.liquid and piece.startswith("{%"):
            word = _WORD.findall(piece)[0]
            if until and word == f"end{until}":
                return parts, at
            if word in _PAIRED:
                inside, end = _parts(pieces, at + 1, word, syntax, meaning)
                closing = pieces[end] if end < len(pieces) else ""
                parts.append(Block(word=word, written=piece, parts=tuple(inside), end=closing))
                at = min(end, len(pieces) - 1)
            else:
                parts.append(Block(word=word, written=piece))
        elif piece.startswith(syntax.opens) and piece.endswith(syntax.closes) and len(piece) > len(syntax.opens):
            parts.append(_var(piece[len(syntax.opens) : -len(syntax.closes)], syntax, meaning))
        else:
            parts.append(Said(text=piece))
        at += 1
    return parts, at


def _var(inside: str, syntax: Syntax, meaning: Callable[[str], str]) -> Var:
    name, *filters = inside.split("|") if syntax.liquid else [inside]
    bare = name.strip()
    lead = name[: len(name) - len(name.lstrip())]
    trail = name[len(name.rstrip()) :] if bare else ""
    return Var(meaning=meaning(bare), name=bare, filters=tuple(filters), lead=lead, trail=trail)


def write(template: Template, syntax: Syntax) -> str:
    """Return the text in the vendor's own names: the way back of ``parse``."""
    return "".join(_written(part, syntax) for part in template.parts)


def _written(part: Part, syntax: Syntax) -> str:
    if isinstance(part, Said):
        return part.text
    if isinstance(part, Var):
        inside = "|".join((f"{part.lead}{part.name}{part.trail}", *part.filters))
        return f"{syntax.opens}{inside}{syntax.closes}"
    return part.written + "".join(_written(each, syntax) for each in part.parts) + part.end
