"""An account as a plan found it, put into the twin again for a rehearsal: staged records in place of programs' runs."""

from __future__ import annotations

from collections.abc import Callable

from migrator.testing.sandbox import Native, Sandbox

from .programs import furnished

OWNER = "home"
BLOCK, HOUR = 1024, 3600


def restored(box: Sandbox, stream: str, body: Native) -> None:
    """Put one staged record in."""
    _STREAMS[stream](box, body)


def _domain(box: Sandbox, body: Native) -> None:
    features = " ".join(body["told"].get("features") or ()).split()
    more: Native = {"alias": body["of"]} if body.get("of") else {}
    if body["type"] != "Top-level server":
        more["parent"] = body.get("of") or box.state["server"]
    made = furnished(box, body["name"], OWNER, features=features, **more)
    made["php"] = body.get("php_version") or made["php"]


def _user(box: Sandbox, body: Native) -> None:
    of, address = body["domain"], body["address"]
    name = body["login"].removesuffix(f"@{of}")
    home = body.get("folder") or ""
    settings = {
        "Autoreply-Start": (body.get("start") or "")[:10], "Autoreply-End": (body.get("end") or "")[:10],
        "Reply-Period": str(body["hours"] * HOUR) if body.get("hours") else "", "From": address,
    }  # fmt: skip
    box.store["users"][f"{name}@{of}"] = {
        "user": name, "unix": body["login"], "dom": of, "real": body.get("name") or "", "plain": "",
        "pass": ("!" if body["suspended"] else "") + (body.get("hash") or "x"),
        "home": home if home.startswith("/") else f"/home/{OWNER}/{home}", "ftp": body["sort"] == "ftp",
        "quota": (body.get("quota") or 0) // BLOCK, "email": address if body["sort"] == "mailbox" else "",
        "tome": body["local"], "forward": list(body["forward"]), "auto": body["answers"],
        "text": (body.get("body") or "") + "\n", "settings": {key: told for key, told in settings.items() if told},
    }  # fmt: skip
    if body["forward"]:
        box.store["aliases"].pop(address, None)  # what a mailbox forwards is told with the aliases


def _alias(box: Sandbox, body: Native) -> None:
    held = [body["destination"]] if body.get("destination") else body.get("destinations") or []
    to = [*held, *(body.get("other") or "").split("\n")]
    if body["address"] not in box.store["users"]:
        box.store["aliases"][body["address"]] = {"from": body["address"], "to": [one for one in to if one], "cmt": ""}


def _database(box: Sandbox, body: Native) -> None:
    box.store["databases"][body["id"]] = {"name": body["name"], "type": body["engine"], "dom": body["domain"]}


def _redirect(box: Sandbox, body: Native) -> None:
    box.store["redirects"][body["id"]] = {
        "dom": body["host"], "path": body["path"], "dest": body["to"], "type": "Redirect", "regexp": False,
        "exact": not body["wildcard"], "code": "301" if body["permanent"] else "302",
    }  # fmt: skip


def _zone(box: Sandbox, body: Native) -> None:
    box.store["zones"][body["name"]] = {"dom": body["name"].rstrip(".")}


def _record_set(box: Sandbox, body: Native) -> None:
    text = body["type"] == "TXT"
    rrs = [{"ttl": body["ttl"], "values": [v[1:-1]] if text else v.split()} for v in body["values"]]
    told = {"dom": body["zone"].rstrip("."), "name": body["name"], "type": body["type"], "rrs": rrs}
    box.store["record_sets"][body["id"]] = told


_STREAMS: dict[str, Callable[[Sandbox, Native], None]] = {
    "domains": _domain, "users": _user, "aliases": _alias, "databases": _database, "redirects": _redirect,
    "zones": _zone, "record_sets": _record_set,
}  # fmt: skip
