"""Hosted mail at OpenSRS by its mail API (OMA): mailboxes, forwards, other names, responders and Sieve rule sets."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from migrator.connector import Native, Unit
from migrator.errors import (
    AbsentError,
    AccessError,
    RefusedError,
    TruncatedError,
    UnknownOutcomeError,
    VendorError,
)
from migrator.http import Client

CLIENT = "migrator"
NO_ACCESS = re.compile(r"invalid credentials|authentication", re.IGNORECASE)  # of one record, others may still go
NOT_THERE = re.compile(r"not found|not exist|no such|unknown (?:user|domain)", re.IGNORECASE)
SERVICES = ("service_imap4", "service_pop3", "service_smtpin", "service_smtprelay", "service_webmail")


class Hosted:
    """The mail of one company. ``user`` and ``password`` are an administrator's; ``size``: records an answer."""

    def __init__(self, client: Client, user: str, password: str, *, size: int = 100) -> None:
        self._client, self._size = client, size
        self._credentials = {"user": user, "password": password, "client": CLIENT}

    def _ask(self, method: str, **asked: Any) -> Native:
        answer = self._client.ask(f"/api/{method}", {"credentials": self._credentials, **asked})
        return _answered(method, answer)

    def _write(self, method: str, **asked: Any) -> Native:
        answer = self._client.write("POST", f"/api/{method}", json={"credentials": self._credentials, **asked})
        try:
            return _answered(method, answer)
        except (RefusedError, AccessError):
            raise
        except VendorError as err:
            raise UnknownOutcomeError(str(err)) from err

    # ---- reading ----------------------------------------------------------------------------------------------------

    def _searched(self, method: str, key: str, criteria: Native) -> Iterator[Native]:
        came = 0
        while True:
            answer = self._ask(method, criteria=criteria, range={"first": came, "limit": self._size})
            listed = answer.get(key) or []
            yield from listed
            came += len(listed)
            if came >= int(answer.get("count") or 0):
                return
            if not listed:
                raise TruncatedError(f"OpenSRS counts {answer.get('count')} {key} and told {came}; extract again")

    def domains(self) -> list[str]:
        """Return the mail domains."""
        return [str(one["domain"]).lower() for one in self._searched("search_domains", "domains", {})]

    def _users(self, domain: str) -> Iterator[Native]:
        for one in self._searched("search_users", "users", {"domain": domain}):
            name = str(one["user"]).lower()
            yield self._user(name if "@" in name else f"{name}@{domain}")

    def _user(self, address: str) -> Native:
        """Return a user with its ``address``. Raises AbsentError."""
        return {**self._ask("get_user", user=address), "address": address}

    @cached_property
    def _every(self) -> list[Native]:
        """Return every user: four streams are read from the same answers."""
        return [user for domain in self.domains() for user in self._users(domain)]

    def read(self, stream: str) -> Iterator[Native]:
        """Yield the records of a stream; the first one asks for all users anew."""
        if stream == "mailboxes":
            self.__dict__.pop("_every", None)
        for user in self._every:
            yield from self._of(stream, user)

    def _of(self, stream: str, user: Native) -> Iterator[Native]:
        if stream == "aliases":
            yield from aliases(user)
        elif user.get("type", "mailbox") != "mailbox":
            return
        elif stream == "scripts":
            yield from self._scripts(user["address"])
        elif stream == "mailboxes":
            yield mailbox(user)
        elif (found := autoresponder(user)) is not None:
            yield found

    def _scripts(self, address: str) -> Iterator[Native]:
        told = self._ask("get_sieve", user=address)
        for name, text in (told.get("rulesets") or {}).items():
            body: Native = {"id": f"{address}/{name}", "mailbox": address, "address": address, "name": name}
            yield body | {"script": str(text).replace("\r\n", "\n"), "active": told.get("active_rule") == name}

    def one(self, stream: str, id: str) -> Native | None:
        """Return one record as it stands, None where there is none. Raises AbsentError where its user is gone."""
        address = id.partition("/")[0]
        if stream != "aliases":
            return next((one for one in self._of(stream, self._user(address)) if one["id"] == id), None)
        try:
            own = next(aliases(self._user(address), names=False), None)
        except AbsentError:
            own = None
        if own:
            return own
        domain = address.rpartition("@")[2]
        return next((one for user in self._users(domain) for one in aliases(user) if one["id"] == id), None)

    # ---- writing ----------------------------------------------------------------------------------------------------

    def id_of(self, unit: Unit) -> str:
        """Return the id that a new record will have."""
        address = str(unit.payload["address"]).lower()
        return f"{address}/{unit.payload['name']}" if unit.kind == "mail_filter" else address

    def write(self, unit: Unit) -> str:
        """Carry out a unit and return the record's id. Made again, no call does harm."""
        self.__dict__.pop("_every", None)
        id = unit.there or self.id_of(unit)
        if unit.kind == "mailbox":
            self._mailbox(id, unit)
        elif unit.kind == "alias":
            self._alias(id, unit)
        elif unit.kind == "autoresponder":
            self._responder(id, unit)
        else:
            self._script(id, unit)
        return id

    def _mailbox(self, address: str, unit: Unit) -> None:
        if unit.action == "delete":
            try:
                self._write("delete_user", user=address)
            except AbsentError:
                pass
            return
        attributes: Native = {}
        if unit.payload.get("name"):
            attributes["name"] = unit.payload["name"]
        if unit.payload.get("quota"):
            attributes["quota"] = int(unit.payload["quota"])
        if unit.payload.get("suspended") is not None:
            state = "suspended" if unit.payload["suspended"] else "enabled"
            attributes |= dict.fromkeys(SERVICES, state)
        if unit.action == "create":
            # Nobody knows it: the person sets one of their own (the passport's links), never one that others have too.
            attributes |= {"type": "mailbox", "delivery_local": True, "password": secrets.token_urlsafe(24)}
            self._write("change_user", user=address, attributes=attributes, create_only=True)
        else:
            self._write("change_user", user=address, attributes=attributes)

    def set_password(self, address: str, password: str) -> None:
        """Set a mailbox's password. Raises AbsentError where there is none."""
        self._user(address)  # change_user would make one
        self._write("change_user", user=address, attributes={"password": password})

    def _alias(self, address: str, unit: Unit) -> None:
        """Write an alias: another name of a mailbox there, a mailbox's forward, or an address that only forwards."""
        try:
            user: Native | None = self._user(address)
        except AbsentError:
            user = None
        if unit.action == "delete":
            self._unalias(address, user)
            return
        there = (self.one("aliases", address) if unit.action == "update" else None) or {}
        to = [str(one).lower() for one in unit.payload.get("destinations") or there.get("destinations") or ()]
        keep = bool(unit.payload.get("keep_copy", there.get("keep_copy")))
        forward = {"delivery_forward": True, "forward_recipients": to}
        if user and user.get("type", "mailbox") == "mailbox":
            self._write("change_user", user=address, attributes={**forward, "delivery_local": keep})
            return
        if keep:
            raise RefusedError(f"alias {address}: no mailbox of this name there to keep a copy in")
        owner = None if user else self._owner(address, to)
        if unit.action == "update" and user is None:
            self._unalias(address, None)
        if owner is not None:
            names = [*_names(owner), address]
            self._write("change_user", user=owner["address"], attributes={"aliases": names})
        else:
            self._write("change_user", user=address, attributes={"type": "forward", **forward})

    def _owner(self, address: str, to: list[str]) -> Native | None:
        """Return the mailbox that may have the address as another name: the only one it leads to, of the same domain.

        A name that it has already is left out of what it is said to have.
        """
        if len(to) != 1 or to[0].rpartition("@")[2] != address.rpartition("@")[2] or to[0] == address:
            return None
        try:
            user = self._user(to[0])
        except AbsentError:
            return None
        attributes = dict(user.get("attributes") or {})
        attributes["aliases"] = [name for name in _names(user) if name != address]
        return {**user, "attributes": attributes} if user.get("type", "mailbox") == "mailbox" else None

    def _unalias(self, address: str, user: Native | None) -> None:
        if user and user.get("type") == "forward":
            self._write("delete_user", user=address)
        elif user:
            off = {"delivery_forward": False, "delivery_local": True, "forward_recipients": []}
            self._write("change_user", user=address, attributes=off)
        else:
            for owner in self._users(address.rpartition("@")[2]):
                if address in _names(owner):
                    left = [name for name in _names(owner) if name != address]
                    self._write("change_user", user=owner["address"], attributes={"aliases": left})

    def _responder(self, address: str, unit: Unit) -> None:
        attributes: Native = {"delivery_autoresponder": unit.action != "delete"}
        for ours, theirs in (("body", ""), ("interval", "_option_interval"), ("stop", "_option_enddate")):
            if unit.action != "delete" and unit.payload.get(ours) is not None:
                attributes[f"autoresponder{theirs}"] = unit.payload[ours]
        try:
            self._write("change_user", user=address, attributes=attributes)
        except AbsentError:
            if unit.action != "delete":
                raise

    def _script(self, id: str, unit: Unit) -> None:
        address, _, name = id.partition("/")
        how: Native = {"user": address, "ruleset": name}
        if unit.payload.get("script") is not None:
            how["data"] = unit.payload["script"]
        if unit.payload.get("active"):
            how["active_rule"] = name
        self._user(address)  # of somebody who is not there, nobody knows what set_sieve makes
        self._write("set_sieve", **how)


def _answered(method: str, answer: Any) -> Native:
    try:
        told = answer.json()
    except ValueError as err:
        raise VendorError(f"{method}: the answer is no JSON; is this the address of OpenSRS's mail API?") from err
    if not isinstance(told, dict) or "success" not in told:
        raise VendorError(f"{method}: an answer that does not say whether it succeeded")
    if told["success"] is True:
        return told
    said = str(told.get("error") or "no reason given")[:400]
    if NO_ACCESS.search(said):
        raise AccessError(f"{method}: {said}; check mail_user and mail_password")
    raise (AbsentError if NOT_THERE.search(said) else RefusedError)(f"{method}: {said}", status=200, answer=said)


def _names(user: Native) -> list[str]:
    return [str(name).lower() for name in (user.get("attributes") or {}).get("aliases") or ()]


def mailbox(user: Native) -> Native:
    """Return a mailbox as it is staged."""
    told, quota = user.get("attributes") or {}, (user.get("metadata") or {}).get("quota") or {}
    address = user["address"]
    return {
        "id": address, "address": address, "domain": address.rpartition("@")[2], "name": told.get("name") or None,
        "quota": int(quota.get("bytes_max") or 0) or None, "used": int(quota.get("bytes_used") or 0),
        "suspended": told.get("service_imap4") == "suspended",
    }  # fmt: skip


def aliases(user: Native, *, names: bool = True) -> Iterator[Native]:
    """Yield the aliases that a user stands for; ``names``: the other names of a mailbox too."""
    told, address = user.get("attributes") or {}, user["address"]
    forwards = user.get("type") == "forward" or told.get("delivery_forward") is True
    if forwards:
        to = [str(one).lower() for one in told.get("forward_recipients") or ()]
        keep = user.get("type") != "forward" and told.get("delivery_local") is not False
        yield _alias(address, to, keep=keep)
    if names:
        for name in _names(user):
            yield _alias(name, [address], keep=False)


def _alias(address: str, to: list[str], *, keep: bool) -> Native:
    domain = address.rpartition("@")[2]
    return {"id": address, "address": address, "domain": domain, "destinations": sorted(to), "keep_copy": keep}


def autoresponder(user: Native) -> Native | None:
    """Return a responder that is on."""
    told, address = user.get("attributes") or {}, user["address"]
    if told.get("delivery_autoresponder") is not True:
        return None
    end, interval = told.get("autoresponder_option_enddate"), told.get("autoresponder_option_interval")
    body: Native = {"id": address, "address": address, "mailbox": address, "body": told.get("autoresponder")}
    return body | {"interval": int(interval) if interval else None, "stop": int(end) if end else None}
