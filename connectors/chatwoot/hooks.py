"""Where Chatwoot's bodies are odd: an attribute needs a key and numbers for words, an inbox a channel; a contact is
wrapped in its answer (official Swagger file of 4.8.0)."""

from __future__ import annotations

import re
import zlib
from typing import Any

Native = dict[str, Any]

TYPES = ("text", "number", "currency", "percent", "link", "date", "list", "checkbox")
# Names of Chatwoot's own, which an attribute must not have (custom_attribute_definition.rb, STANDARD_ATTRIBUTES).
TAKEN = {
    "status", "priority", "assignee_id", "inbox_id", "team_id", "display_id", "campaign_id", "labels",
    "browser_language", "country_code", "referer", "created_at", "last_activity_at", "name", "email", "phone_number",
    "identifier", "city", "company_name", "blocked",
}  # fmt: skip


def attribute_key(title: str) -> str:
    """Return a name for an attribute in records: its title where that is a plain one, else made unlike all others."""
    key = re.sub(r"[^\w.-]+", "_", title.lower()).strip("_")[:200]
    plain = re.fullmatch(r"[^\W_]+( [^\W_]+)*", title)
    return key if plain and key not in TAKEN else f"{key}_{zlib.crc32(title.encode()):08x}".strip("_")


def _attribute(payload: Native, model: int) -> Native:
    body = {**payload, "attribute_model": model, "attribute_key": payload.get("attribute_key") or ""}
    title = str(payload.get("attribute_display_name") or "")
    if not re.fullmatch(r"[\w.-]+", str(body["attribute_key"])) or body["attribute_key"] in TAKEN:
        body["attribute_key"] = attribute_key(title)
    kind = payload.get("attribute_display_type", "text")
    body["attribute_display_type"] = TYPES.index(kind) if kind in TYPES else 0
    body["model"] = ("conversation_attribute", "contact_attribute")[model]  # to look it up by; Chatwoot drops it
    return body


def conversation_attribute(payload: Native) -> Native:
    """Return the body of ``POST custom_attribute_definitions`` for conversations."""
    return _attribute(payload, 0)


def contact_attribute(payload: Native) -> Native:
    """Return the body of ``POST custom_attribute_definitions`` for contacts."""
    return _attribute(payload, 1)


def inbox(payload: Native) -> Native:
    """Return the body of ``POST inboxes``: an API that assigns nobody, greets nobody and asks nobody for a rating."""
    still = dict.fromkeys(("greeting_enabled", "csat_survey_enabled", "enable_auto_assignment"), False)
    return {"name": payload["name"], "channel": {"type": "api"}, "lock_to_single_conversation": False, **still}


def contact(answer: Native) -> Native:
    """Return the contact an answer holds."""
    held = answer["payload"]
    return held.get("contact", held)  # type: ignore[no-any-return]
