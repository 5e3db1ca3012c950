"""The twin's databases and FTP accounts."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from migrator.testing.sandbox import Sandbox

from .objects import Parts, RefusedError, does, node, wanted


def _of_subscription(box: Sandbox, id: str | None) -> None:
    if not (found := box.store["site"].get(id or "")) or not found["webspace"]:
        raise RefusedError(1013, "webspace does not exist")


@does("database/add-db")
def add_db(box: Sandbox, asked: Element) -> Parts:
    """Make a database."""
    _of_subscription(box, asked.findtext("webspace-id"))
    name, type = asked.findtext("name") or "", asked.findtext("type")
    if type not in ("mysql", "postgresql"):
        raise RefusedError(14008, "Wrong database server type.")
    if any(one["name"] == name for one in box.store["database"].values()):
        raise RefusedError(1007, f"Database {name} already exists.")
    id = str(box.next_id())
    box.store["database"][id] = {"id": id, "name": name, "type": type, "webspace-id": asked.findtext("webspace-id")}
    yield [node("id", id)]


@does("database/get-db")
def get_db(box: Sandbox, asked: Element) -> Parts:
    """Yield databases; one result with nothing but the filter where there are none."""
    for id in wanted(asked, "webspace-id"):
        found = [one for one in box.store["database"].values() if one["webspace-id"] == id]
        for one in found:
            told = (node(tag, one[tag]) for tag in ("id", "name", "type", "webspace-id"))
            yield [node("filter-id", id), *told, node("db-server-id", 1), node("default-user-id", "")]
        if not found:
            yield [node("filter-id", id)]


@does("database/del-db")
def del_db(box: Sandbox, asked: Element) -> Parts:
    """Remove databases with their users."""
    for id in wanted(asked, "id"):
        if box.store["database"].pop(id, None) is None:
            raise RefusedError(1013, "db does not exist")
        users = box.store["database_user"]
        for login in [login for login, one in users.items() if one["db-id"] == id]:
            del users[login]
        yield [node("filter-id", id), node("id", id)]


@does("database/add-db-user")
def add_db_user(box: Sandbox, asked: Element) -> Parts:
    """Make a user of a database; logins are one server's."""
    login, db, users = asked.findtext("login") or "", asked.findtext("db-id"), box.store["database_user"]
    if db not in box.store["database"]:
        raise RefusedError(1013, "db does not exist")
    if login in users:
        raise RefusedError(1007, f"User {login} already exists.")
    if len(asked.findtext("password") or "") < 6:
        raise RefusedError(1019, "The password is too short.")
    users[login] = {"id": str(box.next_id()), "login": login, "db-id": db, "password": asked.findtext("password")}
    yield [node("id", users[login]["id"])]


@does("database/get-db-users")
def get_db_users(box: Sandbox, asked: Element) -> Parts:
    """Yield the users of databases."""
    for id in wanted(asked, "db-id"):
        found = [one for one in box.store["database_user"].values() if one["db-id"] == id]
        for one in found:
            yield [node("filter-id", id), *(node(tag, one[tag]) for tag in ("id", "login", "db-id")), node("acl", "")]
        if not found:
            yield [node("filter-id", id)]


@does("database/del-db-user")
def del_db_user(box: Sandbox, asked: Element) -> Parts:
    """Remove users."""
    for id in wanted(asked, "id"):
        held = [login for login, one in box.store["database_user"].items() if one["id"] == id]
        if not held:
            raise RefusedError(1013, "db-user does not exist")
        del box.store["database_user"][held[0]]
        yield [node("filter-id", id), node("id", id)]


def _home(box: Sandbox, told: Element) -> str:
    """Return the folder an FTP account opens, made where it may be: never one right below the root."""
    home = (told.findtext("home") or "").rstrip("/")
    if home and home not in box.state["folders"]:
        if told.findtext("create-non-existent") != "true":
            raise RefusedError(1019, f"The directory {home} does not exist.")
        if "/" + home.split("/")[1] not in {"/" + one.split("/")[1] for one in box.state["folders"]}:
            raise RefusedError(1019, "Creating directories in the root directory is prohibited.")
        box.state["folders"].add(home)
    return home


@does("ftp-user/add")
def ftp_add(box: Sandbox, asked: Element) -> Parts:
    """Make an FTP account."""
    name, users = asked.findtext("name") or "", box.store["ftp_user"]
    _of_subscription(box, asked.findtext("webspace-id"))
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,15}", name):
        raise RefusedError(1019, "Invalid login.")
    if name in users:
        raise RefusedError(1007, f"User {name} already exists.")
    made = {"id": str(box.next_id()), "name": name, "password": asked.findtext("password"), "home": _home(box, asked)}
    users[name] = {**made, "quota": asked.findtext("quota") or "-1", "webspace-id": asked.findtext("webspace-id")}
    yield [node("id", made["id"])]


@does("ftp-user/get")
def ftp_get(box: Sandbox, asked: Element) -> Parts:
    """Yield FTP accounts; one result with nothing but the filter where there are none."""
    for id in wanted(asked, "webspace-id"):
        found = [one for one in box.store["ftp_user"].values() if one["webspace-id"] == id]
        for one in found:
            yield [
                node("filter-id", id),
                *(node(tag, one[tag]) for tag in ("id", "name", "home", "quota", "webspace-id")),
            ]
        if not found:
            yield [node("filter-id", id)]


@does("ftp-user/set")
def ftp_set(box: Sandbox, asked: Element) -> Parts:
    """Change FTP accounts."""
    values = asked.find("values")
    assert values is not None
    for name in wanted(asked, "name"):
        held = box.store["ftp_user"].get(name)
        if held is None:
            raise RefusedError(1013, "ftp-user does not exist")
        if values.find("home") is not None:
            held["home"] = _home(box, values)
        held["quota"] = values.findtext("quota") or held["quota"]
        yield [node("filter-id", name), node("id", held["id"])]


@does("ftp-user/del")
def ftp_del(box: Sandbox, asked: Element) -> Parts:
    """Remove FTP accounts."""
    for name in wanted(asked, "name"):
        held = box.store["ftp_user"].pop(name, None)
        if held is None:
            raise RefusedError(1013, "ftp-user does not exist")
        yield [node("filter-id", name), node("id", held["id"])]
