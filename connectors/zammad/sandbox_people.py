"""Zammad's users, roles, organizations and groups (app/controllers/users_controller.rb, app/models/user.rb)."""

from __future__ import annotations

import re
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox_html as markup
from . import sandbox_rules as rules
from .sandbox_rules import API, Refusal, answer, routes

USER: Native = {
    "active": True, "login_failed": 0, "verified": False, "source": None, "login": "", "last_login": None,
    "organization_id": None, "firstname": "", "lastname": "", "email": "", "image": None, "image_source": None,
    "web": "", "phone": "", "fax": "", "mobile": "", "department": "", "street": "", "zip": "", "city": "",
    "country": "",
    "address": "", "vip": False, "note": "", "out_of_office": False, "out_of_office_start_at": None,
    "out_of_office_end_at": None, "out_of_office_replacement_id": None, "preferences": {},
}  # fmt: skip
ORGANIZATION: Native = {
    "name": None, "shared": True, "domain": "", "domain_assignment": False, "active": True, "vip": False, "note": "",
}  # fmt: skip
GROUP: Native = {
    "signature_id": None, "email_address_id": None, "name": None, "assignment_timeout": None,
    "follow_up_possible": "yes", "follow_up_assignment": True, "active": True, "note": None, "shared_drafts": True,
}  # fmt: skip
LIMITS = {"login": 255, "firstname": 100, "lastname": 100, "email": 255, "phone": 100, "web": 100, "note": 5000}
ONE_CASE = re.compile(r"[^\W\d_]+")


# ---- users -----------------------------------------------------------------------------------------------------------


def user_view(box: Sandbox, record: Native) -> Native:
    """Return a user as answers show him: with the ids of what he belongs to, without anything secret."""
    held = {str(group): list(ways) for (user, group), ways in box.state["access"].items() if user == record["id"]}
    staff = bool({1, 2} & set(record["role_ids"])) and record["active"]
    shown = {**record, "organization_ids": [], "authorization_ids": [], "karma_user_ids": []}
    return {**shown, "group_ids": held if staff and 2 in record["role_ids"] else {}}


def _shown(box: Sandbox, request: Request, record: Native, status: int = 200) -> Response:
    shown = user_view(box, record)
    if rules.true(rules.given(request).get("expand")):
        firm = box.store["organizations"].get(record["organization_id"])
        shown["roles"] = [box.store["roles"][id]["name"] for id in record["role_ids"] if id in box.store["roles"]]
        shown["organization"] = firm["name"] if firm else None
        shown["groups"] = {box.store["groups"][int(id)]["name"]: ways for id, ways in shown["group_ids"].items()}
    return answer(shown, status)


def _columns(box: Sandbox) -> list[str]:
    return [*USER, *box.state["columns"]["User"], *rules.KEPT_BY_VENDOR]


def guessed(text: str) -> tuple[str, str] | None:
    """Return first and last name as Zammad guesses them from one text (User.name_guess)."""
    if "," in text:
        last, _, first = text.partition(", ")
        if first.strip() and last.strip():
            return first.strip(), last.strip()
    found = re.match(r"^(((?:Dr\.|Prof\.)\s|).+?)\s(.+?)$", text, re.IGNORECASE | re.DOTALL)
    return (found[1].strip(), found[3].strip()) if found else None


def _named(values: Native, email: str) -> None:
    """Guess names where one is missing, and raise the first letter of what is in one case only (User.check_name)."""
    for key in ("firstname", "lastname"):
        if values.get(key):
            values[key] = " ".join(_without_scheme(word) for word in re.split(r"\s", values[key].strip()))
    first, last = values.get("firstname") or "", values.get("lastname") or ""
    if first.strip() and last.strip():
        return
    guess = guessed(first or last) if first or last else None
    if not (first or last) and email:
        found = re.match(r"^(.+?)\.(.+?)@.+?$", email)
        guess = (found[1], found[2]) if found else None
    for key, held, value in zip(("firstname", "lastname"), (first, last), guess or ("", ""), strict=True):
        text = value or held
        one_case = ONE_CASE.fullmatch(text) and (text.islower() or text.isupper())
        values[key] = text[:1].upper() + text[1:].lower() if one_case else text


def _without_scheme(word: str) -> str:
    found = re.match(r"^[a-z][a-z0-9+.-]*://([^/?#]+)([^?#]*)", word, re.IGNORECASE)
    return found[1] + found[2] if found else word


def _login(box: Sandbox, wanted: str, but: int | None) -> str:
    taken = {record["login"] for record in box.store["users"].values() if record["id"] != but}
    base = wanted.lower().strip()
    return next(login for n in range(22) if (login := f"{base}{n or ''}") not in taken)


def _checked(box: Sandbox, values: Native, but: Native | None) -> None:
    """Refuse or settle names, address and login, as the model's validations do."""
    whole = {**(but or USER), **values}
    if not rules.importing(box) and values.get("email"):
        values["email"] = str(values["email"]).lower().strip()
        if not re.fullmatch(r"[^\s@,;]+@[^\s@,;]+\.[^\s@,;]+", values["email"]):
            raise Refusal(f"Invalid email '{values['email']}'")
        clash = any(u["email"] == values["email"] for u in box.store["users"].values() if u is not but)
        if clash and (but is None or but["email"] != values["email"]):
            raise Refusal(f"Email address '{values['email']}' is already used for another user.")
    if not but or {"firstname", "lastname"} & set(values):
        names = {key: whole.get(key) or "" for key in ("firstname", "lastname")}
        _named(names, values.get("email") or whole.get("email") or "")
        values |= names
    if not any(
        (values.get(key) or whole.get(key)) for key in ("email", "firstname", "lastname", "phone", "mobile", "login")
    ):
        raise Refusal("At least one identifier (firstname, lastname, phone, mobile or email) for user is required.")


def _roles(box: Sandbox, sent: Native) -> list[int] | None:
    if "role_ids" in sent:
        ids = [int(id) for id in sent["role_ids"]]
        if missing := [id for id in ids if id not in box.store["roles"]]:
            raise Refusal(f"No value found for 'roles' with id {missing[0]}")
        return ids
    if sent.get("roles"):
        names = {role["name"]: id for id, role in box.store["roles"].items()}
        wanted = [sent["roles"]] if isinstance(sent["roles"], str) else sent["roles"]
        if unknown := [name for name in wanted if name not in names]:
            raise Refusal(f"No lookup value found for 'roles': {unknown[0]!r}")
        return [names[name] for name in wanted]
    return None


def _access(box: Sandbox, user: int, sent: Native) -> None:
    if "group_ids" not in sent:
        return
    for key in [key for key in box.state["access"] if key[0] == user]:
        del box.state["access"][key]
    for group, ways in dict(sent["group_ids"] or {}).items():
        if int(group) not in box.store["groups"]:
            raise Refusal(f"Couldn't find Group with 'id'={group}")
        box.state["access"][user, int(group)] = [ways] if isinstance(ways, str) else list(ways)


def new_user(box: Sandbox, sent: Native) -> Native:
    """Store and return a user."""
    rules.by_name(box, sent, {"organization": ("organizations", "name")})
    values = rules.cleaned(box, sent, _columns(box))
    rules.known(box, values, {"organization_id": "organizations"})
    _checked(box, values, None)
    login = str(values.get("login") or values.get("email") or f"auto-{box.next_id()}")
    values["login"] = _login(box, login, None)
    values["note"] = markup.note(values.get("note"))
    rules.cut(values, {**LIMITS, **box.state["columns"]["User"]})
    roles = _roles(box, sent)
    asking = rules.me(box) if box.state["asking"] in box.store["users"] else USER
    if locale := (asking.get("preferences") or {}).get("locale"):
        values["preferences"] = {**(values.get("preferences") or {}), "locale": locale}
    record = rules.made(box, "users", {**USER, **box.state["blank"]["User"], **values, "role_ids": roles or [3]})
    domain = str(record["email"] or "@").rpartition("@")[2].lower()
    if record["organization_id"] is None and domain:
        firms = box.store["organizations"].values()
        record["organization_id"] = next(
            (firm["id"] for firm in firms if firm["domain_assignment"] and firm["domain"] == domain), None
        )
    _access(box, record["id"], sent)
    return record


@routes("GET", f"{API}/users/me")
def user_me(box: Sandbox, request: Request) -> Response:
    """Tell who asks."""
    return _shown(box, request, rules.me(box))


@routes("GET", f"{API}/users/search")
def search_users(box: Sandbox, request: Request) -> Response:
    """Search the users."""
    query = str(rules.given(request).get("query") or "")
    found = rules.searchable(box, box.store["users"].values(), query, ("login", "firstname", "lastname", "email"))
    return rules.listed(box, request, found, user_view)


@routes("GET", f"{API}/users")
def users(box: Sandbox, request: Request) -> Response:
    """List the users by id, at most 500 a page."""
    return rules.listed(box, request, box.store["users"].values(), user_view, default=500, most=500)


@routes("POST", f"{API}/users")
def create_user(box: Sandbox, request: Request) -> Response:
    """Create a user; without a role he is a customer."""
    return _shown(box, request, new_user(box, rules.given(request)), 201)


@routes("GET", f"{API}/users/<int:id>")
def user(box: Sandbox, request: Request, id: int) -> Response:
    """Show a user."""
    return _shown(box, request, rules.one(box, "users", id, "User"))


@routes("PUT", f"{API}/users/<int:id>")
def update_user(box: Sandbox, request: Request, id: int) -> Response:
    """Change a user; the groups that are sent are all he has."""
    record, sent = rules.one(box, "users", id, "User"), rules.given(request)
    rules.by_name(box, sent, {"organization": ("organizations", "name")})
    values = rules.cleaned(box, sent, _columns(box))
    rules.known(box, values, {"organization_id": "organizations"})
    _checked(box, values, record)
    if values.get("email") and record["login"] == record["email"]:
        values["login"] = _login(box, values["email"], id)
    if "note" in values:
        values["note"] = markup.note(values["note"])
    rules.cut(values, {**LIMITS, **box.state["columns"]["User"]})
    _access(box, id, sent)
    if roles := _roles(box, sent):
        values["role_ids"] = roles
    return _shown(box, request, rules.changed(box, record, values))


@routes("DELETE", f"{API}/users/<int:id>")
def delete_user(box: Sandbox, request: Request, id: int) -> Response:
    """Delete a user nothing refers to."""
    rules.admin(box)
    rules.one(box, "users", id, "User")
    columns = ("customer_id", "owner_id", "created_by_id", "updated_by_id", "origin_by_id", "user_id")
    for stream, records in box.store.items():
        if any(record.get(column) == id for record in records.values() for column in columns):
            if stream != "users":
                raise Refusal("Can't delete, object has references.")
    del box.store["users"][id]
    for key in [key for key in box.state["access"] if key[0] == id]:
        del box.state["access"][key]
    return answer({})


@routes("GET", f"{API}/roles")
def roles(box: Sandbox, request: Request) -> Response:
    """List the roles; ``expand`` tells their permissions by name."""
    rules.admin(box)
    expand = rules.true(rules.given(request).get("expand"))
    shown = [
        role if expand else {k: v for k, v in role.items() if k != "permissions"}
        for role in box.store["roles"].values()
    ]
    return answer(shown)


# ---- organizations ---------------------------------------------------------------------------------------------------


def organization_view(box: Sandbox, record: Native) -> Native:
    """Return an organization with its members."""
    members = [user["id"] for user in box.store["users"].values() if user["organization_id"] == record["id"]]
    return {**record, "member_ids": members, "secondary_member_ids": []}


def _organization_values(box: Sandbox, sent: Native, but: int | None) -> Native:
    values = rules.cleaned(box, sent, [*ORGANIZATION, *box.state["columns"]["Organization"], *rules.KEPT_BY_VENDOR])
    if values.get("domain"):
        values["domain"] = re.sub(r"[@\s]", "", str(values["domain"])).lower()
    if "note" in values:
        values["note"] = markup.note(values["note"])
    rules.cut(values, {"name": 100, "domain": 250, "note": 5000, **box.state["columns"]["Organization"]})
    return values


def _uniquely(box: Sandbox, stream: str, values: Native, but: int | None) -> None:
    if "name" in values or but is None:
        if not str(values.get("name") or "").strip():
            raise Refusal("Name can't be blank")
        wanted = str(values["name"]).lower()
        if any(str(r["name"]).lower() == wanted and r["id"] != but for r in box.store[stream].values()):
            raise Refusal("Object already exists!" if stream == "organizations" else "Name has already been taken")


@routes("GET", f"{API}/organizations/search")
def search_organizations(box: Sandbox, request: Request) -> Response:
    """Search the organizations."""
    query = str(rules.given(request).get("query") or "")
    found = rules.searchable(box, box.store["organizations"].values(), query, ("name", "domain", "note"))
    return rules.listed(box, request, found, organization_view)


@routes("GET", f"{API}/organizations")
def organizations(box: Sandbox, request: Request) -> Response:
    """List the organizations by id."""
    return rules.listed(box, request, box.store["organizations"].values(), organization_view, default=500)


@routes("POST", f"{API}/organizations")
def create_organization(box: Sandbox, request: Request) -> Response:
    """Create an organization; its name is unique."""
    values = _organization_values(box, rules.given(request), None)
    _uniquely(box, "organizations", values, None)
    record = rules.made(box, "organizations", {**ORGANIZATION, **box.state["blank"]["Organization"], **values})
    return answer(organization_view(box, record), 201)


@routes("GET", f"{API}/organizations/<int:id>")
def organization(box: Sandbox, request: Request, id: int) -> Response:
    """Show an organization."""
    return answer(organization_view(box, rules.one(box, "organizations", id, "Organization")))


@routes("PUT", f"{API}/organizations/<int:id>")
def update_organization(box: Sandbox, request: Request, id: int) -> Response:
    """Change an organization."""
    record = rules.one(box, "organizations", id, "Organization")
    values = _organization_values(box, rules.given(request), id)
    _uniquely(box, "organizations", values, id)
    return answer(organization_view(box, rules.changed(box, record, values)))


@routes("DELETE", f"{API}/organizations/<int:id>")
def delete_organization(box: Sandbox, request: Request, id: int) -> Response:
    """Delete an organization nothing refers to."""
    rules.admin(box)
    rules.one(box, "organizations", id, "Organization")
    _unreferred(box, "organization_id", id)
    del box.store["organizations"][id]
    return answer({})


def _unreferred(box: Sandbox, column: str, id: int) -> None:
    for stream in ("users", "tickets"):
        if any(record.get(column) == id for record in box.store[stream].values()):
            raise Refusal("Can't delete, object has references.")


# ---- groups ----------------------------------------------------------------------------------------------------------


def group_view(box: Sandbox, record: Native) -> Native:
    """Return a group with the users who have a way into it."""
    return {**record, "user_ids": sorted(user for user, group in box.state["access"] if group == record["id"])}


def _group_values(box: Sandbox, sent: Native) -> Native:
    values = rules.cleaned(box, sent, [*GROUP, *rules.KEPT_BY_VENDOR])
    if "note" in values:
        values["note"] = markup.note(values["note"])
    rules.cut(values, {"name": 160, "note": 250})
    return values


def _members(box: Sandbox, group: int, ids: Any) -> None:
    for user in ids or ():
        if int(user) not in box.store["users"]:
            raise Refusal(f"No value found for 'users' with id {user}")
        box.state["access"].setdefault((int(user), group), ["full"])


@routes("GET", f"{API}/groups")
def groups(box: Sandbox, request: Request) -> Response:
    """List the groups by id."""
    return rules.listed(box, request, box.store["groups"].values(), group_view, default=500)


@routes("POST", f"{API}/groups")
def create_group(box: Sandbox, request: Request) -> Response:
    """Create a group; its name is unique whatever the case, and nobody has access to it but ``user_ids``."""
    rules.admin(box)
    sent = rules.given(request)
    values = _group_values(box, sent)
    _uniquely(box, "groups", values, None)
    record = rules.made(box, "groups", {**GROUP, **values})
    _members(box, record["id"], sent.get("user_ids"))
    return answer(group_view(box, record), 201)


@routes("GET", f"{API}/groups/<int:id>")
def group(box: Sandbox, request: Request, id: int) -> Response:
    """Show a group."""
    return answer(group_view(box, rules.one(box, "groups", id, "Group")))


@routes("PUT", f"{API}/groups/<int:id>")
def update_group(box: Sandbox, request: Request, id: int) -> Response:
    """Change a group."""
    rules.admin(box)
    record = rules.one(box, "groups", id, "Group")
    values = _group_values(box, rules.given(request))
    _uniquely(box, "groups", values, id)
    return answer(group_view(box, rules.changed(box, record, values)))


@routes("DELETE", f"{API}/groups/<int:id>")
def delete_group(box: Sandbox, request: Request, id: int) -> Response:
    """Delete a group no ticket lies in."""
    rules.admin(box)
    rules.one(box, "groups", id, "Group")
    _unreferred(box, "group_id", id)
    del box.store["groups"][id]
    for key in [key for key in box.state["access"] if key[1] == id]:
        del box.state["access"][key]
    return answer({})
