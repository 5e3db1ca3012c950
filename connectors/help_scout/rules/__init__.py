"""Help Scout's dialect of rules: saved replies; workflows, of which the API tells that they are there, not what they do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from migrator.rules.conditions import All, Opaque
from migrator.rules.natives import kept, unknown
from migrator.rules.notebook import unwritten
from migrator.rules.rule import Comment, Kind, PassPolicy, Rule, Unread
from migrator.rules.template import Part, Said, Template, Var
from migrator.rules.verdicts import Translation

__all__ = ["POLICY", "TITLE", "listed", "read", "write"]

TITLE = "Help Scout"
# In their order; an automatic workflow acts once on a conversation (docs.helpscout.com/article/1399).
POLICY = PassPolicy(order="position", visibility="current", changes="original", cascade="none")
READ = ("id", "name", "status", "order", "type")
BOOKKEEPING = ("createdAt", "modifiedAt", "_links")
PLACEHOLDERS = {  # vendor data, rules/placeholders.json
    "customer.fullName": "requester.name",
    "customer.firstName": "requester.first_name",
    "customer.lastName": "requester.last_name",
    "customer.email": "requester.email",
    "conversation.number": "ticket.number",
    "subject": "ticket.subject",
    "user.fullName": "actor.name",
    "user.firstName": "actor.first_name",
    "user.email": "actor.email",
}
_VARIABLE = re.compile(r"(\{%.*?%\})", re.DOTALL)
HIDDEN = "Help Scout's API lists workflows without their conditions and actions"


def listed(document: Any) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """Yield (kind, workflow) of what ``GET /v2/workflows`` answers, or of a bare list."""
    some = document if isinstance(document, list) else (document.get("_embedded") or document).get("workflows") or []
    for one in some:
        yield ("macro" if one.get("type") == "manual" else "trigger"), one


def read(native: Mapping[str, Any], kind: Kind) -> Rule:
    """Return a saved reply, or a workflow by its name and place; what that asks and does is not handed out."""
    if kind == "macro" and "type" not in native:
        return _reply(native)
    return Rule(
        vendor="help_scout",
        kind=kind,
        id=str(native.get("id", "")),
        name=str(native.get("name") or ""),
        active=None if "status" not in native else native["status"] == "active",
        position=native.get("order"),
        when=All(of=(Opaque(text=json.dumps(str(native.get("type", ""))), why=HIDDEN),)),
        do=(Unread(name="actions", text="", why=HIDDEN, hidden=True),),
        unknown=unknown(native, (*READ, *BOOKKEEPING)),
        kept=kept(native, BOOKKEEPING),
    )


def _reply(native: Mapping[str, Any]) -> Rule:
    known = ("id", "name", "text", "chatText", "preview", "chatPreview", "mailboxId", "_links")
    text, chat = str(native.get("text") or ""), str(native.get("chatText") or "")
    return Rule(
        vendor="help_scout",
        kind="macro",
        id=str(native.get("id", "")),
        name=str(native.get("name") or ""),
        do=(Comment(public=True, body=_text(text or chat)),),
        options=(("chatText", json.dumps(chat)),) if text and chat else (),
        unknown=unknown(native, known),
        kept=kept(native, ("preview", "chatPreview", "mailboxId", "_links")),
    )


def _text(text: str) -> Template:
    """Return a text with its variables: ``{%customer.firstName,fallback=there%}``."""
    parts: list[Part] = []
    for piece in filter(None, _VARIABLE.split(text)):
        if not piece.startswith("{%"):
            parts.append(Said(text=piece))
            continue
        name, _, fallback = piece[2:-2].partition(",fallback=")
        filters = (f' default: "{fallback}"',) if fallback else ()
        parts.append(Var(meaning=PLACEHOLDERS.get(name.strip(), ""), name=name.strip(), filters=filters))
    return Template(parts=tuple(parts), html=True)


def write(source: Rule) -> Translation:
    """Say that nothing is written: workflows are made by hand."""
    why = "workflows there cannot be written through the API: to be made by hand"
    return unwritten(source, "help_scout", why, click="Manage, Workflows")
