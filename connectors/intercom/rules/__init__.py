"""Intercom's dialect of rules: workflows as its export gives them, one by one; their steps are for people to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from migrator.rules.conditions import All, Condition, Event, Is, Lit, Opaque, path
from migrator.rules.natives import compact, kept, unknown
from migrator.rules.notebook import unwritten
from migrator.rules.rule import Action, Kind, PassPolicy, Rule, Unread
from migrator.rules.verdicts import Translation

__all__ = ["POLICY", "TITLE", "listed", "read", "write"]

TITLE = "Intercom"
POLICY = PassPolicy(order="none", visibility="current", changes="original", cascade="none")
READ = (
    "id",
    "title",
    "description",
    "state",
    "trigger_type",
    "target_channels",
    "targeting",
    "snapshot",
    "embedded_rules",
)
BOOKKEEPING = ("created_at", "updated_at")
CHANNELS = {
    "chat": "chat",
    "email": "email",
    "whatsapp": "whatsapp",
    "sms": "sms",
    "facebook": "facebook",
    "phone": "phone_inbound",
}
GRAPH = "a graph of Intercom's, whose form its specification leaves open: for a person to read"


def listed(document: Any) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """Yield (kind, workflow) of one export (``workflow``), or of a list of them."""
    for one in document if isinstance(document, list) else [document]:
        if isinstance(one, dict) and isinstance(one.get("workflow"), dict):
            yield "trigger", one["workflow"]
        elif isinstance(one, dict) and "trigger_type" in one:
            yield "trigger", one


def read(native: Mapping[str, Any], kind: Kind) -> Rule:
    """Return a workflow: when it starts and on which channels; targeting and steps as they stand."""
    known = {*READ, "preferred_devices", "attributes", *BOOKKEEPING}
    options = [(key, compact(native[key])) for key in ("preferred_devices", "attributes") if native.get(key)]
    return Rule(
        vendor="intercom",
        kind=kind,
        id=str(native.get("id", "")),
        name=str(native.get("title") or ""),
        description=str(native.get("description") or ""),
        active=None if "state" not in native else native["state"] == "live",
        when=All(of=tuple(_asked(native))),
        do=tuple(_steps(native)),
        options=tuple(options),
        unknown=unknown(native, known),
        kept=kept(native, BOOKKEEPING),
    )


def _asked(native: Mapping[str, Any]) -> Iterator[Condition]:
    trigger = str(native.get("trigger_type", ""))
    yield Event(kinds=({"inbound_conversation": "created"}.get(trigger, trigger),))
    channels = [str(one) for one in native.get("target_channels") or ()]
    if channels:
        yield Is(path=path("ticket.channel"), values=tuple(Lit(value=CHANNELS.get(one, one)) for one in channels))
    if native.get("targeting"):
        yield Opaque(text=compact(native["targeting"]), why=GRAPH)


def _steps(native: Mapping[str, Any]) -> Iterator[Action]:
    for key in ("snapshot", "embedded_rules"):
        if native.get(key) or key == "snapshot":
            yield Unread(name=key, text=compact(native.get(key)), why=GRAPH, hidden=True)


def write(source: Rule) -> Translation:
    """Say that nothing is written: Intercom's API takes no workflows."""
    why = "Intercom's API takes no workflows: to be made by hand"
    return unwritten(source, "intercom", why, click="Automation, Workflows")
