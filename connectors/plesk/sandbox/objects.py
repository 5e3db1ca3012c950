"""What the twin's operations do: each yields the parts of one result, or is refused with a code of Plesk's list."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree.ElementTree import Element

from migrator.testing.sandbox import Native, Sandbox

Parts = Iterator[list[Element]]
OPERATIONS: dict[str, Callable[[Sandbox, Element], Parts]] = {}
IP = "203.0.113.5"
ROOT = "/var/www/vhosts/"


class RefusedError(Exception):
    """An object is refused: a code of the reduced list, and a text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def does(path: str) -> Callable[[Callable[[Sandbox, Element], Parts]], Callable[[Sandbox, Element], Parts]]:
    """Register what an operation does."""

    def register(handler: Callable[[Sandbox, Element], Parts]) -> Callable[[Sandbox, Element], Parts]:
        OPERATIONS[path] = handler
        return handler

    return register


def node(tag: str, *content: Any) -> Element:
    """Return an element with a text, or with others in it."""
    made = Element(tag)
    for one in content:
        if isinstance(one, Element):
            made.append(one)
        else:
            made.text = ("true" if one else "false") if isinstance(one, bool) else str(one)
    return made


def wanted(asked: Element, *names: str) -> list[str]:
    """Return what a filter names under one of these."""
    filter = asked.find("filter")
    assert filter is not None
    return [one.text or "" for one in filter if one.tag in names]


# ---- sites -----------------------------------------------------------------------------------------------------------


def new_site(box: Sandbox, name: str, owner: str = "", parent: str = "", webspace: bool = False, **more: Any) -> str:
    """Make a site with the records that the zone's template says, and return its number."""
    id = str(box.next_id())
    site: Native = {
        "id": id, "name": name, "owner": owner or box.state["main"], "parent": parent, "webspace": webspace,
        "hosting": {"www_root": "httpdocs", "php": "true", "php_handler_id": "plesk-php83-fpm"} if webspace else None,
        "unknown": ("bounce", "This address no longer accepts mail."), "mailservice": True,
    }  # fmt: skip
    box.store["site" if site["owner"] == box.state["main"] else "others"][id] = {**site, **more}
    if parent:
        _row(box, parent, "A", name, IP)
        return id
    for type, host, value, opt in (
        ("NS", name, f"ns1.{name}.", ""), ("A", name, IP, ""), ("A", f"mail.{name}", IP, ""),
        ("MX", name, f"mail.{name}.", "10"), ("CNAME", f"ftp.{name}", f"{name}.", ""), ("A", f"ns1.{name}", IP, ""),
        ("A", f"webmail.{name}", IP, ""), ("TXT", name, "v=spf1 +a +mx -all", ""),
    ):  # fmt: skip
        _row(box, id, type, host, value, opt)
    return id


def _row(box: Sandbox, site: str, type: str, host: str, value: str, opt: str = "") -> str:
    id = str(box.next_id())
    told = {"id": id, "site-id": site, "type": type, "host": f"{host.rstrip('.')}.", "value": value, "opt": opt}
    box.store["dns"][id] = told
    return id


def _site(box: Sandbox, id: str | None) -> Native:
    found = box.store["site"].get(id or "")
    if found is None:
        raise RefusedError(1013, "site does not exist")
    return found


def _shown(box: Sandbox, site: Native) -> list[Element]:
    general = [
        node("cr_date", "2026-11-01"), node("name", site["name"]), node("ascii-name", site["name"]), node("status", 0),
        node("htype", "vrt_hst" if site["hosting"] else "none"), node("guid", f"guid-{site['id']}"),
    ]  # fmt: skip
    if not site["webspace"]:
        general += [node("webspace-guid", "guid"), node("parent-site-id", site["parent"] or 0)]
    hosting = node("hosting")
    if site["hosting"]:
        told = {**site["hosting"], "www_root": f"{ROOT}{box.state['main']}/{site['hosting']['www_root']}"}
        told |= {"ftp_login": "main", "ftp_password": "secret"} if site["webspace"] else {}
        props = (node("property", node("name", name), node("value", value)) for name, value in told.items())
        hosting.append(node("vrt_hst", *props, node("ip_address", IP)))
    return [node("id", site["id"]), node("data", node("gen_info", *general), hosting)]


@does("webspace/get")
def webspace_get(box: Sandbox, asked: Element) -> Parts:
    """Yield the subscriptions of this user that the filter names."""
    for name in wanted(asked, "name"):
        found = [site for site in box.store["site"].values() if site["webspace"] and site["name"] == name]
        if not found:
            raise RefusedError(1013, "domain does not exist")
        yield [node("filter-id", name), *_shown(box, found[0])]


@does("site/get")
def site_get(box: Sandbox, asked: Element) -> Parts:
    """Yield the sites of a subscription that are not its first one, or those named."""
    for name in wanted(asked, "parent-name", "name"):
        some = [site for site in box.store["site"].values() if site["owner"] == name or site["name"] == name]
        yield from ([node("filter-id", name), *_shown(box, site)] for site in some if not site["webspace"])


@does("site/add")
def site_add(box: Sandbox, asked: Element) -> Parts:
    """Make a site in a subscription, or a sub domain of a site that is there."""
    name = asked.findtext("gen_setup/name") or ""
    taken = {one["name"] for table in ("site", "site_alias", "others") for one in box.store[table].values()}
    if name in taken:
        raise RefusedError(1007, f"Domain with name {name} already exists.")
    if not re.fullmatch(r"([\w-]+\.)+[\w-]{2,}", name) or name != name.lower():
        raise RefusedError(1019, "Invalid domain name.")
    if asked.findtext("gen_setup/htype") and asked.find("hosting") is None:
        raise RefusedError(1019, "htype is told without hosting")
    if asked.findtext("gen_setup/webspace-name") != box.state["main"]:
        raise RefusedError(1015, "Owner not found.")
    parent = asked.findtext("gen_setup/parent-site-id") or ""
    if parent and not name.endswith("." + str(_site(box, parent)["name"])):
        raise RefusedError(1019, "A subdomain ends in the name of its domain.")
    id = new_site(box, name, parent=parent)
    yield [node("id", id), node("guid", f"guid-{id}")]


@does("site/set")
def site_set(box: Sandbox, asked: Element) -> Parts:
    """Change the hosting of sites; properties that are not told stay."""
    for id in wanted(asked, "id"):
        site = _site(box, id)
        hosting = asked.find("values/hosting")
        if hosting is not None and hosting.find("none") is not None:
            site["hosting"] = None
        elif hosting is not None:
            told = {one.findtext("name") or "": one.findtext("value") or "" for one in hosting.iter("property")}
            handler = told.get("php_handler_id", "")
            if handler and handler not in _handlers(box):
                raise RefusedError(1019, f"There is no PHP handler {handler}.")
            told = {"www_root": site["name"], "php": "false", "php_handler_id": "", **(site["hosting"] or {}), **told}
            site["hosting"] = {**told, "www_root": told["www_root"].strip("/")}
            box.state["folders"].add("/" + site["hosting"]["www_root"])
        yield [node("filter-id", id), node("id", id)]


@does("site/del")
def site_del(box: Sandbox, asked: Element) -> Parts:
    """Remove sites with all that is theirs."""
    for id in wanted(asked, "id"):
        site = _site(box, id)
        if any(one["parent"] == id for one in box.store["site"].values()):
            raise RefusedError(1023, "The domain has subdomains.")
        del box.store["site"][id]
        for table, key in (("mail", "site-id"), ("dns", "site-id"), ("site_alias", "site-id")):
            box.store[table] = {k: one for k, one in box.store[table].items() if one[key] != id}
        for k in [k for k, one in box.store["dns"].items() if site["parent"] and one["host"] == f"{site['name']}."]:
            del box.store["dns"][k]
        yield [node("filter-id", id), node("id", id)]


@does("site-alias/create")
def alias_create(box: Sandbox, asked: Element) -> Parts:
    """Make an alias of a site."""
    name, site = asked.findtext("name") or "", _site(box, asked.findtext("site-id"))
    if name in {one["name"] for table in ("site", "site_alias") for one in box.store[table].values()}:
        raise RefusedError(1007, f"Domain with name {name} already exists.")
    id = str(box.next_id())
    box.store["site_alias"][id] = {"id": id, "name": name, "site-id": site["id"]}
    yield [node("id", id)]


@does("site-alias/get")
def alias_get(box: Sandbox, asked: Element) -> Parts:
    """Yield the aliases of sites."""
    for id in wanted(asked, "site-id"):
        for one in box.store["site_alias"].values():
            if one["site-id"] == id:
                pref = node("pref", node("web", 1), node("mail", 1), node("tomcat", 0))
                told = (pref, node("site-id", id), node("name", one["name"]), node("ascii-name", one["name"]))
                yield [node("filter-id", id), node("id", one["id"]), node("info", node("status", 0), *told)]


@does("site-alias/delete")
def alias_delete(box: Sandbox, asked: Element) -> Parts:
    """Remove aliases."""
    for id in wanted(asked, "id"):
        if box.store["site_alias"].pop(id, None) is None:
            raise RefusedError(1013, "site-alias does not exist")
        yield [node("filter-id", id), node("id", id)]


def _handlers(box: Sandbox) -> dict[str, str]:
    return {
        f"plesk-php{version.replace('.', '')}-{way}": version
        for version in sorted(box.state["handlers"])
        for way in ("cgi", "fpm")
    }


@does("php-handler/get")
def handlers(box: Sandbox, asked: Element) -> Parts:
    """Yield the PHP handlers."""
    for id, version in _handlers(box).items():
        yield [node("id", id), node("display-name", version), node("full-version", f"{version}.9"),
               node("version", version), node("type", id[-3:]), node("handler-status", "enabled")]  # fmt: skip


# ---- zones -----------------------------------------------------------------------------------------------------------


@does("dns/get_rec")
def get_rec(box: Sandbox, asked: Element) -> Parts:
    """Yield records; where there are none the answer is empty."""
    sites, ids = wanted(asked, "site-id"), wanted(asked, "id")
    for one in box.store["dns"].values():
        if one["site-id"] in sites or one["id"] in ids:
            told = (node(tag, one[tag]) for tag in ("site-id", "type", "host", "value", "opt"))
            yield [node("id", one["id"]), node("data", *told)]


@does("dns/add_rec")
def add_rec(box: Sandbox, asked: Element) -> Parts:
    """Add a record; the host is told relative to the zone."""
    site = _site(box, asked.findtext("site-id"))
    type, value, opt = (asked.findtext(tag) or "" for tag in ("type", "value", "opt"))
    host = ".".join(one for one in (asked.findtext("host") or "", site["name"]) if one) + "."
    if type not in ("A", "AAAA", "CAA", "CNAME", "DS", "MX", "NS", "PTR", "SRV", "TXT"):
        raise RefusedError(1019, f"Incorrect record type {type}.")
    if type == "A" and not re.fullmatch(r"[\d.]+", value):
        raise RefusedError(1019, "Invalid IP address.")
    same = [one for one in box.store["dns"].values() if one["site-id"] == site["id"] and one["host"] == host]
    if any((one["type"], one["value"], one["opt"]) == (type, value, opt) for one in same):
        raise RefusedError(1007, "Such record already exists.")
    if any("CNAME" in (type, one["type"]) for one in same):
        raise RefusedError(1023, "A CNAME stands alone.")
    yield [node("id", _row(box, site["id"], type, host, value, opt))]


@does("dns/del_rec")
def del_rec(box: Sandbox, asked: Element) -> Parts:
    """Remove records."""
    for id in wanted(asked, "id"):
        if box.store["dns"].pop(id, None) is None:
            raise RefusedError(1013, "record does not exist")
        yield [node("id", id)]
