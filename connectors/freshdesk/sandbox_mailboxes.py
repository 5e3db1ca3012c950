"""Freshdesk's addresses: as e-mail configurations, which are read only, and as mailboxes, which are made."""

from __future__ import annotations

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_rules as rules
from .sandbox_rules import API, Body, Check, routes

PUBLIC = ("gmail", "hotmail", "outlook", "yahoo", "aol")
SERVERS = ("custom_mailbox", "mailbox_type", "freshdesk_mailbox", "failure_code")


def _checks(box: Sandbox) -> dict[str, Check]:
    return {
        "name": rules.text(),
        "support_email": rules.mail_address,
        "group_id": rules.record_of(box, "group", "groups"),
        "product_id": rules.record_of(box, "product", "products"),
        "default_reply_email": rules.boolean,
        "mailbox_type": rules.among(["freshdesk_mailbox", "custom_mailbox"]),
    }


def _shown(record: Native) -> Native:
    """Return a mailbox as the API shows it, whether it was put in as one or as an e-mail configuration."""
    shown: Native = {"group_id": None, "product_id": None, "mailbox_type": "freshdesk_mailbox", "failure_code": None}
    shown |= {
        {"reply_email": "support_email", "primary_role": "default_reply_email"}.get(key, key): value
        for key, value in record.items()
        if key != "to_email"
    }
    if "to_email" in record:
        shown["freshdesk_mailbox"] = {"forward_email": record["to_email"]}
    return shown


def _config(record: Native) -> Native:
    """Return a mailbox as the older list of e-mail configurations shows it."""
    shown = {
        {"support_email": "reply_email", "default_reply_email": "primary_role"}.get(key, key): value
        for key, value in record.items()
        if key not in SERVERS
    }
    return shown | {"to_email": record.get("to_email") or (record.get("freshdesk_mailbox") or {}).get("forward_email")}


def _mailbox(box: Sandbox, request: Request, *, but: int | None) -> Native:
    rules.need_admin(box)
    body, checks = Body(request), _checks(box)
    body.only(checks)
    if but is None:
        body.need("support_email", "mailbox_type")
    kept = body.check(checks)
    address = str(kept.get("support_email") or "").lower()
    if kept.get("mailbox_type") == "custom_mailbox":
        body.wrong("custom_mailbox", "It should be a/an Object", "missing_field")
    elif address.rpartition("@")[2].partition(".")[0] in PUBLIC:
        body.wrong("mailbox_type", "It should be one of these values: 'custom_mailbox'")
    body.settle()
    taken = [id for id, one in box.store["email_configs"].items() if _shown(one)["support_email"] == address]
    if address and [id for id in taken if id != but]:
        raise rules.duplicate("support_email")
    return kept | ({"support_email": address} if address else {})


@routes("GET", f"{API}/email_configs")
def configs(box: Sandbox, request: Request) -> Response:
    """List the e-mail configurations."""
    given = rules.query(request, "page", "per_page")
    return rules.listed(request, list(box.store["email_configs"].values()), given, _config)


@routes("GET", f"{API}/email/mailboxes")
def mailboxes(box: Sandbox, request: Request) -> Response:
    """List the mailboxes; the primary ones come first."""
    rules.need_admin(box)
    given = rules.query(request, "support_email", "page", "per_page")
    wanted = given.get("support_email", "").lower()
    found = [one for one in box.store["email_configs"].values() if wanted in ("", _shown(one)["support_email"])]
    found.sort(key=lambda one: not _shown(one).get("default_reply_email"))
    return rules.listed(request, found, given, _shown)


@routes("GET", f"{API}/email/mailboxes/<int:id>")
def mailbox(box: Sandbox, request: Request, id: int) -> Response:
    """View a mailbox."""
    rules.need_admin(box)
    return rules.answer(_shown(rules.one(box, "email_configs", id)))


@routes("POST", f"{API}/email/mailboxes")
def create_mailbox(box: Sandbox, request: Request) -> Response:
    """Make a mailbox, which is not active until mail arrives; the answer says where mail is to be forwarded to."""
    kept = _mailbox(box, request, but=None)
    local, _, domain = kept["support_email"].partition("@")
    forward = f"{domain.replace('.', '')}{local}@{box.base_url.rpartition('/')[2]}"
    record: Native = {"id": rules.fresh_id(box), "name": None, "group_id": None, "product_id": None}
    record |= {"default_reply_email": False, "active": False, **kept, "failure_code": None}
    record |= {"freshdesk_mailbox": {"forward_email": forward}, "created_at": box.now(), "updated_at": box.now()}
    box.store["email_configs"][record["id"]] = record
    return rules.answer(_shown(record), 201)


@routes("PUT", f"{API}/email/mailboxes/<int:id>")
def change_mailbox(box: Sandbox, request: Request, id: int) -> Response:
    """Change a mailbox."""
    kept = _mailbox(box, request, but=id)
    record = rules.one(box, "email_configs", id)
    record |= {**kept, "updated_at": box.now()}
    return rules.answer(_shown(record))


@routes("DELETE", f"{API}/email/mailboxes/<int:id>")
def delete_mailbox(box: Sandbox, request: Request, id: int) -> Response:
    """Delete a mailbox; mail to it makes no tickets any more."""
    rules.need_admin(box)
    rules.one(box, "email_configs", id)
    del box.store["email_configs"][id]
    return rules.empty()
