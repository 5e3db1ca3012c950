"""Chatwoot's filter of conversations: conditions pasted into one SQL query, one after another, as its source does.

SQLite carries the query out, so that what binds before what, what is missing, and what is no query at all come out as
in a database, whatever our own reading of conditions is (filter_service.rb, filter_helper.rb, filter_keys.yml).
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_rules as rules
from .sandbox_conversations import CONVERSATIONS_A_PAGE, shown
from .sandbox_rules import API, Params, routes

SAME, THERE, WITHIN = ("equal_to", "not_equal_to"), ("is_present", "is_not_present"), ("contains", "does_not_contain")
BEYOND = ("is_greater_than", "is_less_than", "days_before")
STANDARD = {  # attribute to the operators it takes
    "status": SAME,
    "assignee_id": (*SAME, *THERE),
    "inbox_id": (*SAME, *THERE),
    "team_id": (*SAME, *THERE),
    "priority": SAME,
    "display_id": (*SAME, *WITHIN),
    "campaign_id": (*SAME, *THERE),
    "labels": (*SAME, *THERE),
    "created_at": BEYOND,
    "last_activity_at": BEYOND,
}
ADDITIONAL: dict[str, tuple[str, ...]] = {"browser_language": SAME, "conversation_language": SAME, "country_code": SAME}
ADDITIONAL |= {"referer": (*SAME, *WITHIN), "mail_subject": (*SAME, *WITHIN)}
COLUMNS = ("id", "status", "assignee_id", "inbox_id", "team_id", "priority", "created_at", "last_activity_at")
OPERATORS = ("AND", "OR")


class _Query:
    """One WHERE clause being pasted together."""

    def __init__(self, box: Sandbox) -> None:
        self.box, self.text, self.values = box, "", dict[str, Any]()
        self.custom = False  # from the first custom attribute on, texts are lower-cased, and only the first counts

    def add(self, at: int, asked: Native) -> None:
        """Paste a condition. Raises a refusal (422)."""
        key, operator = str(asked.get("attribute_key")), str(asked.get("filter_operator"))
        known = {**STANDARD, **ADDITIONAL}.get(key)
        if known is not None and operator not in known:
            raise rules.refused(f"Invalid operator. The allowed operators for {key} are [{','.join(known)}].")
        if operator not in THERE and not asked.get("values"):
            raise rules.refused(f"Invalid value. The values provided for {key} are invalid")
        joined = asked.get("query_operator")
        if joined and str(joined).upper() not in OPERATORS:
            raise rules.refused('Query operator must be either "AND" or "OR".')
        listed = list(asked.get("values") or ())
        if known is None:
            self.text += f" {self._custom(at, key, operator, listed, joined or '')}"
        elif key == "labels":
            self.text += f" {self._labels(at, operator, self._texts(listed))} {joined or ''}"
        elif key in ("created_at", "last_activity_at"):
            self.text += f" date({key}, 'unixepoch') {self._beyond(at, operator, listed)} {joined or ''}"
        else:
            column = f"json_extract(additional_attributes, '$.{key}')" if key in ADDITIONAL else key
            column = "id" if key == "display_id" else "NULL" if key == "campaign_id" else column
            held = listed if key in ("status", "priority") else self._texts(listed)
            if key == "status" and "all" in held:
                held = ["open", "resolved", "pending", "snoozed"]
            self.text += f" {self._plain(at, f'CAST({column} AS TEXT)', operator, held)} {joined or ''}"

    def _texts(self, listed: list[Any]) -> list[Any]:
        return [listed[0].lower()] if self.custom and listed and isinstance(listed[0], str) else listed

    def _plain(self, at: int, column: str, operator: str, listed: list[Any]) -> str:
        if operator in THERE:
            return f"{column} IS {'NOT ' if operator == 'is_present' else ''}NULL"
        named = []
        for place, value in enumerate(listed):
            text = str(value).lower() if isinstance(value, bool) else str(value)
            self.values[f"v{at}_{place}"] = f"%{text.strip()}%" if operator in WITHIN else text
            named.append(f":v{at}_{place}")
        if operator in SAME:
            return f"{column} {'' if operator == 'equal_to' else 'NOT '}IN ({', '.join(named)})"
        no, join = ("", " OR ") if operator == "contains" else ("NOT ", " AND ")
        return "(" + join.join(f"LOWER({column}) {no}LIKE LOWER({one})" for one in named) + ")"

    def _beyond(self, at: int, operator: str, listed: list[Any]) -> str:
        value = str(listed[0])
        if operator == "days_before":
            value = (self.box.clock.now() - timedelta(days=int(value))).strftime("%Y-%m-%d")
        self.values[f"v{at}"] = value
        return f"{'>' if operator == 'is_greater_than' else '<'} :v{at}"

    def _labels(self, at: int, operator: str, listed: list[Any]) -> str:
        of = "SELECT 1 FROM tags WHERE tags.of = conversations.id"
        if operator in THERE:
            return f"{'' if operator == 'is_present' else 'NOT '}EXISTS ({of})"
        return (
            f"{'' if operator == 'equal_to' else 'NOT '}EXISTS ({of} AND {self._plain(at, 'name', 'equal_to', listed)})"
        )

    def _custom(self, at: int, key: str, operator: str, listed: list[Any], joined: str) -> str:
        own = [one for one in self.box.store["custom_attributes"].values() if one["attribute_key"] == key]
        self.custom = True
        found = [one for one in own if one["attribute_model"] == "conversation_attribute"]
        if not found:
            known = ",".join([*STANDARD, *ADDITIONAL])
            raise rules.refused(f"Invalid attribute key - [{key}]. The key should be one of [{known}] or a custom one.")
        kind = found[0]["attribute_display_type"]
        self.values[f"k{at}"] = f'$."{key}"'
        column = f"json_extract(custom_attributes, :k{at})"
        if kind in ("number", "checkbox"):
            shown_as = f"CASE {column} WHEN 1 THEN 'true' ELSE 'false' END" if kind == "checkbox" else column
            column = f"CASE WHEN {column} IS NULL THEN NULL ELSE CAST({shown_as} AS TEXT) END"
        else:
            column = f"LOWER({column})" if kind != "date" else column
        made = self._beyond(at, operator, listed) if operator in BEYOND else ""
        made = f"{column} {made}" if made else self._plain(at, column, operator, self._texts(listed))
        missing = f" OR {column} IS NULL" if operator == "not_equal_to" else ""
        return f"{made} {joined} {missing}"


@routes("POST", f"{API}/conversations/filter")
def filtered(box: Sandbox, request: Request) -> Response:
    """Find conversations by conditions, 25 a page, the latest activity first; whatever is no query is a 500."""
    params, query = Params(request), _Query(box)
    for at, asked in enumerate(params.get("payload") or []):
        query.add(at, asked)
    held = list(box.store["conversations"].values())
    try:
        with closing(_database(held)) as database:
            rows = database.execute(f"SELECT id FROM conversations WHERE ({query.text or 'TRUE'})", query.values)
            found = {id for (id,) in rows}
    except sqlite3.OperationalError:
        return rules.answer({"status": 500, "error": "Internal Server Error"}, 500)
    listed = sorted((one for one in held if one["id"] in found), key=lambda one: -float(one["last_activity_at"]))
    mine = sum(one["assignee_id"] == box.state["me"]["id"] for one in listed)
    nobody = sum(one["assignee_id"] is None for one in listed)
    counts = {"mine_count": mine, "assigned_count": len(listed) - nobody, "unassigned_count": nobody}
    page = [shown(box, one) for one in rules.paged(request, listed, CONVERSATIONS_A_PAGE)]
    return rules.answer({"meta": counts | {"all_count": len(listed)}, "payload": page})


def _database(held: list[Native]) -> sqlite3.Connection:
    """Return the conversations and their labels as tables."""
    database = sqlite3.connect(":memory:")
    database.execute(f"CREATE TABLE conversations ({', '.join(COLUMNS)}, additional_attributes, custom_attributes)")
    database.execute("CREATE TABLE tags (of, name)")
    for one in held:
        maps = [json.dumps(one.get(name) or {}) for name in ("additional_attributes", "custom_attributes")]
        row = [*(one.get(name) for name in COLUMNS), *maps]
        database.execute(f"INSERT INTO conversations VALUES ({', '.join('?' * len(row))})", row)
        database.executemany("INSERT INTO tags VALUES (?, ?)", [(one["id"], name) for name in one.get("labels") or ()])
    return database
