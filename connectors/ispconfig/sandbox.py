"""ISPConfig's twin for clients' mail, sites, databases and cron jobs, from its PHP source (3.2; see facts.yaml)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Clock, Native, Routes, Sandbox

TOKEN = "sandbox-password"
USER, CLIENT, GROUP = "migrator", 7, 8
SETTINGS = {"user": USER, "client_id": str(CLIENT)}
ADDRESS = r"[\w.+'-]+@[\w.-]+\.[A-Za-z0-9-]{2,63}"
routes = Routes()


class FaultError(Exception):
    """A SoapFault: json.php tells its text only."""


@dataclass(frozen=True)
class Form:
    """A form definition: its table, key, unique columns, what columns have to be like, their defaults, filters."""

    table: str
    key: str
    unique: Mapping[str, str] = field(default_factory=dict)  # column to the text of the error
    like: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # column to (pattern, text of the error)
    defaults: Mapping[str, str] = field(default_factory=dict)
    lower: tuple[str, ...] = ()
    untagged: tuple[str, ...] = ()
    one_line: tuple[str, ...] = ()
    password: str = ""


FORWARD = {"server_id": "", "source": "", "destination": "", "type": "", "active": "y", "allow_send_as": "n"}
FORMS: dict[str, Form] = {
    "mail_domain": Form(
        "mail_domain", "domain_id", {"domain": "domain_error_unique"},
        {"domain": (r"[\w.\-]{2,255}\.[a-zA-Z0-9\-]{2,30}", "domain_error_regex")},
        {"server_id": "", "domain": "", "dkim": "n", "dkim_private": "", "dkim_public": "", "active": "y"}, ("domain",),
    ),
    "mail_user": Form(
        "mail_user", "mailuser_id", {"email": "email_error_unique", "login": "login_error_unique"},
        {
            "email": (ADDRESS, "email_error_isemail"), "quota": (r"\d+", "quota_error_value"),
            "login": (r"[_a-z0-9][\w.\-+@]{1,63}", "login_error_regex"),
        },
        {
            "server_id": "", "email": "", "login": "", "name": "", "quota": "-1", "cc": "", "maildir": "",
            "maildir_format": "", "homedir": "", "uid": "999989999", "gid": "999989999", "postfix": "y",
            "disablesmtp": "n", "disabledeliver": "n", "disableimap": "n", "disablepop3": "n", "move_junk": "y",
            "autoresponder": "n", "autoresponder_subject": "Out of office reply", "autoresponder_text": "",
            "autoresponder_start_date": "", "autoresponder_end_date": "", "custom_mailfilter": "",
        },
        ("email", "login", "cc"), ("name", "maildir", "homedir", "autoresponder_subject", "autoresponder_text"),
        ("name", "autoresponder_subject"), "password",
    ),
    "mail_forward": Form(
        "mail_forwarding", "forwarding_id", {}, {"source": (ADDRESS, "email_error_isemail")}, FORWARD,
        ("source", "destination"), ("destination",),
    ),
    "mail_catchall": Form(
        "mail_forwarding", "forwarding_id", {"source": "domain_error_unique"},
        {
            "source": (r"@[\w.\-]{2,255}\.[a-zA-Z\-]{2,63}", "domain_error_regex"),
            "destination": (ADDRESS, "destination_error_isemail"),
        },
        FORWARD, ("source", "destination"),
    ),
    "sites_web_domain": Form(
        "web_domain", "domain_id", {"domain": "domain_error_unique"},
        {
            "domain": (r"[\w.\-]{1,255}\.[a-zA-Z0-9\-]{2,63}", "domain_error_regex"),
            "traffic_quota": (r"-1|\d{1,10}", "traffic_quota_error_regex"),
            "hd_quota": (r"-1|\d{1,10}", "hd_quota_error_regex"), "server_id": (r"[1-9]\d*", "no_server_error"),
        },
        {
            "server_id": "", "ip_address": "", "ipv6_address": "", "domain": "", "type": "y", "parent_domain_id": "",
            "vhost_type": "y", "hd_quota": "-1", "traffic_quota": "-1", "cgi": "n", "ssi": "n", "suexec": "y",
            "subdomain": "www", "php": "fast-cgi", "document_root": "-", "system_user": "-", "system_group": "-",
            "log_retention": "30", "custom_php_ini": "", "redirect_type": "", "redirect_path": "", "ssl": "n",
            "ssl_key": "", "active": "y",
        },
        ("domain",),
    ),
    "sites_database": Form(
        "web_database", "database_id", {"database_name": "There is already a database with that name"},
        {"database_name": (r"[a-zA-Z0-9_]{2,64}", "database_name_error_regex")},
        {
            "server_id": "", "parent_domain_id": "", "type": "y", "database_name": "", "database_name_prefix": "",
            "database_quota": "-1", "database_user_id": "", "database_ro_user_id": "", "database_charset": "",
            "remote_access": "n", "remote_ips": "", "active": "y",
        },
    ),
    "sites_database_user": Form(
        "web_database_user", "database_user_id", {"database_user": "database_user_error_unique"},
        {"database_user": (r"[a-zA-Z0-9_]{2,64}", "database_user_error_regex")},
        {"server_id": "", "database_user": "", "database_user_prefix": ""}, password="database_password",
    ),
    "sites_cron": Form(
        "cron", "id", {},
        {
            "command": (r"[^\r\n\0]+", "command_error_format"), "server_id": (r"[1-9]\d*", "server_id_error_empty"),
            **dict.fromkeys(
                ("run_min", "run_hour", "run_mday", "run_month", "run_wday"),
                (r"(\d+(-\d+)?|\*)(/[1-9]\d*)?(,(\d+(-\d+)?|\*)(/[1-9]\d*)?)*", "run_error_format"),
            ),
        },
        {
            "server_id": "", "parent_domain_id": "", "run_min": "", "run_hour": "", "run_mday": "", "run_month": "",
            "run_wday": "", "command": "", "type": "url", "active": "y", "log": "n",
        },
    ),
}  # fmt: skip


def create(*, clock: Clock | None = None, plan: str = "own", limits: bool = True) -> Sandbox:
    """Return a server with one client, who has nothing yet, and another one's mail domain."""
    box = Sandbox("ispconfig", routes, clock=clock, host="panel.invalid")
    box.state.update(sessions=set(), denied=set(), user=USER, client=CLIENT, group=str(GROUP), stands=False)
    return box


def stands_for(box: Sandbox, settings: Mapping[str, str]) -> None:
    """Be the server of the account with these settings: rows that are put in are its client's, whatever group he has
    there."""
    client = str(settings.get("client_id") or CLIENT)
    box.state.update(user=settings.get("user", USER), client=int(client) if client.isdecimal() else CLIENT, stands=True)


def seed(box: Sandbox, stream: str, bodies: Iterable[Native]) -> None:
    """Put rows of a table in, as they are."""
    key = next(form.key for form in FORMS.values() if form.table == stream)
    for body in bodies:
        held = {**body, key: body.get(key) or box.next_id()}
        box.taken(int(held[key]))
        group = {"sys_groupid": box.state["group"]}
        box.store[stream][int(held[key])] = {**held, **group} if box.state["stands"] else {**group, **held}


def _answer(code: str, message: str = "", response: Any = False) -> Response:
    body = json.dumps({"code": code, "message": message, "response": response})
    return Response(body, 200, content_type='application/x-json; charset="utf-8"')


@routes("POST", "/remote/json.php")
def remote(box: Sandbox, request: Request) -> Response:
    """Answer a function: the first key of the query names it, the body's keys are its parameters."""
    method = unquote(request.query_string.decode().split("&")[0].split("=")[0])
    given = json.loads(request.get_data() or b"{}")
    name, _, verb = method.rpartition("_")
    try:
        if method == "login":
            return _answer("ok", "", _login(box, given))
        other = _OTHERS.get(method)
        if other is None and (name not in FORMS or verb not in ("get", "add", "update", "delete")):
            return _answer("invalid_method", f"Method {method} does not exist")
        _admitted(box, method, given)
        if other is not None:
            return _answer("ok", "", other(box, given))
        return _answer("ok", "", _VERBS[verb](box, name, given))
    except FaultError as fault:
        return _answer("remote_fault", str(fault))


def _login(box: Sandbox, given: Native) -> str:
    if (given.get("username"), given.get("password")) != (box.state["user"], TOKEN):
        raise FaultError("The login failed. Username or password wrong.")
    session = f"session{len(box.state['sessions']) + 1:08}"
    box.state["sessions"].add(session)
    return session


def _admitted(box: Sandbox, method: str, given: Native) -> None:
    if not given.get("session_id"):
        raise FaultError("The SessionID is empty.")
    if given["session_id"] not in box.state["sessions"]:
        raise FaultError("The Session is expired or does not exist.")
    if method in box.state["denied"]:
        raise FaultError("You do not have the permissions to access this function.")


def _group(box: Sandbox, given: Native) -> str:
    if int(given["client_id"]) != box.state["client"]:
        raise FaultError("There is no sysgroup for this client ID.")
    return str(box.state["group"])


def _mail_server(box: Sandbox, given: Native) -> Native:
    return {
        "maildir_path": "/var/vmail/[domain]/[localpart]",
        "homedir_path": "/var/vmail",
        "maildir_format": "maildir",
    }


_OTHERS: dict[str, Callable[[Sandbox, Native], Any]] = {"client_get_groupid": _group, "server_get": _mail_server}


# ---- rows ------------------------------------------------------------------------------------------------------------


def _got(box: Sandbox, name: str, given: Native) -> Any:
    form, wanted = FORMS[name], given["primary_id"]
    rows = list(box.store[form.table].values())
    if isinstance(wanted, dict):
        fits = [row for row in rows if all(str(row.get(column)) == str(value) for column, value in wanted.items())]
        return [_shown(row) for row in fits]
    if int(wanted) == -1:
        return [_shown(row) for row in rows]
    if int(wanted) <= 0:
        raise FaultError("The ID has to be > 0 or -1.")
    found = box.store[form.table].get(int(wanted))
    return _shown(found) if found else []


def _shown(row: Native) -> Native:
    return {column: str(value) if value is not None else None for column, value in row.items()}


def _added(box: Sandbox, name: str, given: Native) -> str:
    form, params = FORMS[name], dict(given["params"])
    _allowed(box, name, params)
    if name == "sites_web_domain":
        params = {**params, "document_root": params.get("document_root") or "-"}
    row = _filtered(form, {**form.defaults, **{c: v for c, v in params.items() if c in form.defaults}})
    _checked(box, form, row)
    _hash(form, params, row)
    id = box.next_id()
    if name == "sites_web_domain":
        row["document_root"] = f"/var/www/clients/client{box.state['client']}/web{id}"
    owner = {"sys_userid": "9", "sys_groupid": _group(box, given), form.key: str(id)}
    box.store[form.table][id] = {**owner, **row}
    return str(id)


def _allowed(box: Sandbox, name: str, params: Native) -> None:
    if name == "mail_user":
        domain = str(params.get("email") or "").partition("@")[2]
        if not any(row["domain"] == domain for row in box.store["mail_domain"].values()):
            raise FaultError(f"Mail domain - {domain} - does not exist.")


def _updated(box: Sandbox, name: str, given: Native) -> int:
    form, params = FORMS[name], dict(given["params"])
    _allowed(box, name, params)
    held = box.store[form.table].get(int(given["primary_id"]))
    if held is None:
        return 0
    if name == "sites_web_domain" and not params.get("log_retention"):
        params["log_retention"] = 30
    row = _filtered(form, {**held, **{c: v for c, v in params.items() if c in form.defaults}})
    _checked(box, form, row, besides=held)
    _hash(form, params, row, new=False)
    held.update(row)
    return 1


def _deleted(box: Sandbox, name: str, given: Native) -> int:
    form = FORMS[name]
    return 1 if box.store[form.table].pop(int(given["primary_id"]), None) else 0


_VERBS: dict[str, Callable[[Sandbox, str, Native], Any]] = {
    "get": _got, "add": _added, "update": _updated, "delete": _deleted,
}  # fmt: skip


def _filtered(form: Form, row: Native) -> Native:
    row = {column: "" if value is None else str(value) for column, value in row.items()}
    for column in form.lower:
        row[column] = row[column].lower()
    for column in form.untagged:
        row[column] = re.sub(r"<[^>]*(>|$)", "", row[column])
    for column in form.one_line:
        row[column] = re.sub(r"[\r\n]", "", row[column])
    return row


def _checked(box: Sandbox, form: Form, row: Native, besides: Native | None = None) -> None:
    errors = [text for column, (like, text) in form.like.items() if not re.fullmatch(like, row[column])]
    for column, text in form.unique.items():
        others = (one for one in box.store[form.table].values() if one is not besides)
        errors += [text for one in others if one.get(column) == row[column]]
    if errors:
        raise FaultError("".join(f"{text}<br />" for text in errors))


def _hash(form: Form, params: Native, row: Native, *, new: bool = True) -> None:
    """Keep a password as ISPConfig does: a hash as it is where it is said to be one, else hashed."""
    given = str(params.get(form.password) or "")
    if not form.password or not given:
        return
    if str(params.get("_ispconfig_pw_crypted")) != "1":
        if len(given) < 8:
            raise FaultError("weak_password_txt<br />")
        given = f"$6$rounds=5000$sandbox${len(given):086}"
    row[form.password] = given
