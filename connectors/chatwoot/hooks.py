"""Where Chatwoot's bodies are odd: an attribute needs a key and numbers for words, an inbox a channel; a contact is
wrapped in its answer (official Swagger file of 4.8.0)."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import SplitResult, urlsplit

from migrator.connector import Cursor, Page, Raw
from migrator.declarative import Declarative
from migrator.seals import fingerprint

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


def made(answer: Native) -> Native:
    """Return the record an answer holds, under ``payload`` or bare: versions differ."""
    held = answer.get("payload", answer)
    return held.get("webhook", held)  # type: ignore[no-any-return]


# ---- rules -----------------------------------------------------------------------------------------------------------

AGENT = re.compile(r"agent:(\d+)")
MOST_PAGES = 1000
OWN = ("id", "account_id", "created_on", "files", "created_by", "updated_by")
Parents = Callable[[str], Iterable[str]]


def automation_rule(payload: Native) -> Native:
    """Return the body of ``POST automation_rules`` and ``POST macros``, with the numbers of its own agents."""
    body: Native = _numbered({key: value for key, value in payload.items() if key not in OWN})
    return body


def saved_filter(payload: Native) -> Native:
    """Return the body of ``POST custom_filters``."""
    return {"name": payload["name"], "filter_type": "conversation", "query": _numbered(payload["query"])}


def _numbered(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _numbered(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_numbered(one) for one in node]
    found = AGENT.fullmatch(node) if isinstance(node, str) else None
    return int(found[1]) if found else node


def webhooks(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield the webhooks, which lie two keys deep; older versions list them bare."""
    held = source.client.read("/webhooks").json()
    listed = held if isinstance(held, list) else (held.get("payload") or {}).get("webhooks") or []
    yield Page([_raw({**one, "url": unsecret(str(one.get("url") or ""))}) for one in listed], {}, done=True)


def hours(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield the working hours of inboxes that keep them."""
    names = ("id", "name", "timezone", "working_hours")
    listed = source.client.read("/inboxes").json().get("payload") or []
    kept = [{name: one.get(name) for name in names} for one in listed if one.get("working_hours_enabled")]
    yield Page([_raw(one) for one in kept], {}, done=True)


def automation_rules(source: Declarative, stream: str, start: Cursor | None, parents: Parents) -> Iterator[Page]:
    """Yield automation rules or macros: these come in pages in some versions, and whole in others."""
    seen: set[str] = set()
    for page in range(1, MOST_PAGES):
        answer = source.client.read(source.manifest.streams[stream].path, {"page": page}).json()
        new = [one for one in answer.get("payload") or [] if str(one["id"]) not in seen]
        seen |= {str(one["id"]) for one in new}
        if not new or stream == "automation_rules":
            yield Page([_raw(_unsecret(one)) for one in new], {}, done=True)
            return
        yield Page([_raw(_unsecret(one)) for one in new], {}, done=False)


def _raw(native: Native) -> Raw:
    return Raw(str(native["id"]), json.dumps(native, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def _unsecret(rule: Native) -> Native:
    """Return a rule without what is secret in the addresses that it calls."""
    done = []
    for action in rule.get("actions") or []:
        if isinstance(action, dict) and action.get("action_name") == "send_webhook_event":
            action = {**action, "action_params": [unsecret(str(one)) for one in action.get("action_params") or []]}
        done.append(action)
    return {**rule, "actions": done}


def unsecret(url: str) -> str:
    """Return an address with a fingerprint in the place of a user, a password, a query, and words that look random."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return fingerprint(url)
    user, at, host = parts.netloc.rpartition("@")
    netloc = f"{fingerprint(user)}@{host}" if at else host
    path = "/".join(fingerprint(word) if _random(word) else word for word in parts.path.split("/"))
    query = "&".join(_value(pair) for pair in parts.query.split("&")) if parts.query else ""
    return SplitResult(parts.scheme, netloc, path, query, parts.fragment and fingerprint(parts.fragment)).geturl()


def _value(pair: str) -> str:
    key, equals, value = pair.partition("=")
    return f"{key}={fingerprint(value)}" if equals and value else fingerprint(key) if not equals else pair


def _random(word: str) -> bool:
    """Say whether a word of a path is likely a key: long, and with digits among its letters."""
    return len(word) >= 16 and any(map(str.isdigit, word)) and any(map(str.isalpha, word))
