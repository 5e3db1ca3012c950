"""A subscription as a plan found it, put into the twin again for a rehearsal: staged records in place of packets."""

from __future__ import annotations

from collections.abc import Callable

from migrator.connectors.plesk.records import record
from migrator.testing.sandbox import Native, Sandbox
from migrator.zones.records import from_body

ELSEWHERE = ("ip_address", "ftp_login", "ftp_password")  # of a site's hosting: what the twin says by itself


def restored(box: Sandbox, stream: str, body: Native) -> None:
    """Put one staged record in. Streams come in any order: a zone's rows wait for their site."""
    if str(body.get("number") or body.get("id")).isdecimal():
        box.taken(int(body.get("number") or body["id"]))
    _STREAMS[stream](box, body)


def _site(box: Sandbox, body: Native) -> None:
    told = body["told"].get("hosting") or {}
    physical = told.get("vrt_hst") if isinstance(told, dict) else None
    hosting = None
    if isinstance(physical, dict):
        kept = {key: value for key, value in physical.items() if isinstance(value, str) and key not in ELSEWHERE}
        hosting = {**kept, "www_root": body.get("root") or "httpdocs"}
        box.state["folders"].add(f"/{hosting['www_root']}")
    if body.get("php_version"):
        box.state["handlers"].add(body["php_version"])
    id, name = str(body["id"]), body["name"]
    box.store["site"][id] = {
        "id": id, "name": name, "owner": box.state["main"], "parent": body.get("parent") or "",
        "webspace": body["sort"] == "main", "hosting": hosting, "mailservice": body.get("mail") != "off",
        "unknown": (body.get("catch") or "bounce", body.get("catch_to") or _answer(body)),
    }  # fmt: skip
    for row in box.store["dns"].values():
        if row["site-id"] == f"{name}.":
            row["site-id"] = id


def _answer(body: Native) -> str:
    """Return what a sender is told where unknown addresses are refused."""
    unknown = (body["told"].get("prefs") or {}).get("nonexistent-user")
    said = unknown.get("bounce") if isinstance(unknown, dict) else ""
    return said if isinstance(said, str) else ""


def _alias(box: Sandbox, body: Native) -> None:
    id = str(body["id"])
    box.store["site_alias"][id] = {"id": id, "name": body["name"], "site-id": body["site"]}


def _record_set(box: Sandbox, body: Native) -> None:
    one = from_body(body)
    site = next((s["id"] for s in box.store["site"].values() if f"{s['name']}." == one.zone), one.zone)
    for value in one.values:
        id = str(box.next_id())
        box.store["dns"][id] = {**record(one.zone, one, value), "id": id, "site-id": site, "host": one.name}


def _mail(box: Sandbox, body: Native) -> None:
    told, answer = body["told"], body["told"].get("autoresponder")
    quota = told["mailbox"].get("quota") if isinstance(told.get("mailbox"), dict) else None
    held = {
        "id": str(told.get("id") or box.next_id()), "address": body["address"], "name": body["name"],
        "site-id": body["site"], "mailbox": body["box"], "quota": quota or "-1", "to": body.get("to") or [],
        "alias": [one.partition("@")[0] for one in body.get("names") or ()],
    }  # fmt: skip
    if told.get("forwarding"):
        held["forwarding"] = body["forwards"]
    if isinstance(answer, dict):
        held["answer"] = {key: value for key, value in answer.items() if isinstance(value, str)}
    box.store["mail"][body["address"]] = held


def _database(box: Sandbox, body: Native) -> None:
    box.store["database"][str(body["id"])] = {key: str(body[key]) for key in ("id", "name", "type", "webspace-id")}


def _database_user(box: Sandbox, body: Native) -> None:
    held = {"id": str(body["number"]), "login": body["login"], "db-id": str(body["db-id"]), "password": "not told"}
    box.store["database_user"][body["login"]] = held


def _ftp_user(box: Sandbox, body: Native) -> None:
    home = str(body.get("home") or "")
    held = {"id": str(body["number"]), "name": body["name"], "home": home, "quota": body.get("quota") or "-1"}
    box.state["folders"] |= {home} if home else set()
    box.store["ftp_user"][body["name"]] = {**held, "webspace-id": str(body["webspace-id"]), "password": "not told"}


def _task(box: Sandbox, body: Native) -> None:
    box.store["cron"][str(body["id"])] = {**body, "active": str(body["active"]).lower() == "true"}


def _within_another(box: Sandbox, body: Native) -> None:
    """Put nothing in: a zone is its site's, a further name its account's."""


_STREAMS: dict[str, Callable[[Sandbox, Native], None]] = {
    "site": _site, "site_alias": _alias, "record_sets": _record_set, "mail": _mail, "database": _database,
    "database_user": _database_user, "ftp_user": _ftp_user, "cron": _task, "zones": _within_another,
    "mail_alias": _within_another,
}  # fmt: skip
