"""The twin's mail: one account an address, with a mailbox, forwarding, an answer, each switched on or off."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from migrator.testing.sandbox import Native, Sandbox

from .objects import Parts, RefusedError, _site, does, node, wanted


def _settings(held: Native, told: Element) -> None:
    """Put the settings that are told in place of those that are there."""
    box, on, away = (told.find(tag) for tag in ("mailbox", "forwarding", "autoresponder"))
    if box is not None:
        held["mailbox"] = box.findtext("enabled", "true") == "true"
        held["quota"] = box.findtext("quota") or held.get("quota", "-1")
    if on is not None:
        held["forwarding"] = on.findtext("enabled", "true") == "true"
        to = [one.text or "" for one in on.findall("address")]
        if any(not re.fullmatch(r"[^@\s]+@[^@\s]+", one) for one in to):
            raise RefusedError(1019, "Invalid e-mail address.")
        held["to"] = to or held.get("to", [])
    if away is not None:
        held["answer"] = {**held.get("answer", {}), **{one.tag: one.text or "" for one in away}}
        ends = held["answer"].get("end_date", "")
        if ends and not re.fullmatch(r"\d{4}-\d\d-\d\d", ends):
            raise RefusedError(1019, "Invalid date.")
    if told.find("password") is not None:
        value, type = told.findtext("password/value") or "", told.findtext("password/type") or "plain"
        if type == "plain" and len(value) < 5:
            raise RefusedError(1019, "The password is too short.")
        held |= {"password": value, "password-type": type}
    held["alias"] = [one.text or "" for one in told.findall("alias")] or held.get("alias", [])


def _told(asked: Element) -> tuple[str, Element, str]:
    told = asked.find("filter/mailname")
    if told is None:
        raise RefusedError(1014, "mailname is missing")
    return asked.findtext("filter/site-id") or "", told, (told.findtext("name") or "").lower()


@does("mail/create")
def create(box: Sandbox, asked: Element) -> Parts:
    """Make an account."""
    site_id, told, name = _told(asked)
    site = _site(box, site_id)
    address = f"{name}@{site['name']}"
    if address in box.store["mail"]:
        raise RefusedError(1007, f"Mail name {name} already exists.")
    if not re.fullmatch(r"[\w.+-]{1,64}", name):
        raise RefusedError(1019, "Invalid mail name.")
    held: Native = {"id": str(box.next_id()), "address": address, "name": name, "site-id": site_id, "mailbox": False}
    _settings(held, told)
    box.store["mail"][address] = held
    yield [node("mailname", node("id", held["id"]), node("name", name))]


def _held(box: Sandbox, site_id: str, name: str) -> Native:
    held = box.store["mail"].get(f"{name.lower()}@{_site(box, site_id)['name']}")
    if held is None:
        raise RefusedError(1013, "mailname does not exist")
    return held


@does("mail/update")
def update(box: Sandbox, asked: Element) -> Parts:
    """Change an account; settings that are not told stay."""
    site_id, told, name = _told(asked)
    _settings(_held(box, site_id, name), told)
    yield [node("mailname", node("name", name))]


@does("mail/remove")
def remove(box: Sandbox, asked: Element) -> Parts:
    """Remove accounts of a site: all of them where none is named."""
    [site_id] = wanted(asked, "site-id")
    every = [one["name"] for one in box.store["mail"].values() if one["site-id"] == site_id]
    for name in wanted(asked, "name") or every:
        del box.store["mail"][_held(box, site_id, name)["address"]]
        yield [node("mailname", node("name", name))]


@does("mail/get_info")
def get_info(box: Sandbox, asked: Element) -> Parts:
    """Yield the accounts of a site with the settings that were asked for. Which site, no result says."""
    [site_id] = wanted(asked, "site-id")
    _site(box, site_id)
    names = wanted(asked, "name")
    some = [_held(box, site_id, name) for name in names] if names else list(box.store["mail"].values())
    for held in some:
        if held["site-id"] == site_id:
            yield [node("mailname", *_shown(held, {one.tag for one in asked}))]


def _shown(held: Native, tags: set[str]) -> list[Element]:
    shown = [node("id", held["id"]), node("name", held["name"])]
    if "mailbox" in tags:
        shown.append(node("mailbox", node("enabled", bool(held["mailbox"])), node("quota", held.get("quota", "-1"))))
    if "forwarding" in tags and "forwarding" in held:
        to = (node("address", one) for one in held["to"])
        shown.append(node("forwarding", node("enabled", bool(held["forwarding"])), *to))
    if "aliases" in tags:
        shown += [node("alias", one) for one in held.get("alias", [])]
    if "autoresponder" in tags and held.get("answer"):
        shown.append(node("autoresponder", *(node(tag, value) for tag, value in held["answer"].items())))
    return [*shown, node("password")]


@does("mail/get_prefs")
def get_prefs(box: Sandbox, asked: Element) -> Parts:
    """Yield the mail preferences of sites."""
    for id in wanted(asked, "site-id"):
        site = _site(box, id)
        way, to = site["unknown"]
        unknown = node("nonexistent-user", node(way, to) if to else node(way))
        told = (unknown, node("webmail", "roundcube"), node("mailservice", bool(site["mailservice"])))
        yield [node("site-id", id), node("prefs", *told)]


@does("mail/set_prefs")
def set_prefs(box: Sandbox, asked: Element) -> Parts:
    """Change the mail preferences of sites."""
    for id in wanted(asked, "site-id"):
        site, unknown = _site(box, id), asked.find("prefs/nonexistent-user")
        if unknown is not None:
            site["unknown"] = (unknown[0].tag, unknown[0].text or "")
        if (service := asked.findtext("prefs/mailservice")) is not None:
            site["mailservice"] = service == "true"
        yield [node("site-id", id)]
