"""Logins with their forwards and answers, and mail aliases."""

from __future__ import annotations

import re
from datetime import date

from migrator.testing.sandbox import Native, Sandbox

from .programs import Args, program

BLOCK = 1024  # bytes
HEADERS = re.compile(
    r"(Reply-Tracking|Reply-Period|No-Autoreply|No-Autoreply-Regexp|Autoreply-File|Autoreply-Start|Autoreply-End|From"
    r"|Charset|No-Forward-Reply):\s*(.*)"
)


def filled(box: Sandbox, one: Native) -> None:
    """Put the aliases of the template into a virtual server that mail was switched on for; another name gets one."""
    if one.get("alias"):
        address = f"@{one['dom']}"
        box.store["aliases"].setdefault(address, {"from": address, "to": [f"%1@{one['alias']}"], "cmt": ""})
        return
    for name in ("postmaster", "abuse"):
        address = f"{name}@{one['dom']}"
        box.store["aliases"].setdefault(address, {"from": address, "to": [one["user"]], "cmt": ""})


@program("list-users")
def list_users(box: Sandbox, words: list[str]) -> str:
    """Print the logins of virtual servers, each with its hash, and its password where that is kept."""
    args = Args("list-users", words, "domain domain-user user", "simple-aliases include-owner")
    out = ""
    for of in args.domains(box, "domain-user"):
        for one in (one for one in box.store["users"].values() if one["dom"] == of["dom"]):
            if not args.has("user") or args.one("user") in (one["user"], one["unix"]):
                out += _printed(one)
    return out


def _printed(one: Native) -> str:
    lines = [("Domain", one["dom"]), ("Unix username", one["unix"]), ("Real name", one["real"])]
    if one["plain"]:
        lines.append(("Password", one["plain"]))
    lines += [
        ("Encrypted password", one["pass"].removeprefix("!")),
        ("Disabled", "Yes" if one["pass"].startswith("!") else "No"),
        ("Home directory", one["home"]), ("FTP access", "Yes" if one["ftp"] else "No"),
        ("User type", "Normal user"), ("Home quota", "shown otherwise"),
        ("Home byte quota", str(one["quota"] * BLOCK)), ("Home byte quota used", "4096"),
    ]  # fmt: skip
    if one["email"]:
        lines.append(("Email address", one["email"]))
    lines.append(("Deliver to user", "Yes" if one["tome"] else "No"))
    lines += [("Forward", to) for to in one["forward"]]
    if one["auto"]:
        lines += _answer(one)
    return f"{one['user']}\n" + "".join(f"    {name}: {value}\n" for name, value in lines)


def _answer(one: Native) -> list[tuple[str, str]]:
    """Return what the file of an answer says: settings are taken off its beginning, by whomever they were put."""
    told = dict(one["settings"])
    text = list(one["text"].splitlines(keepends=True))
    kept: list[str] = []
    while text:
        line = text.pop(0)
        found = HEADERS.match(line)
        if found:
            told[found[1]] = found[2].strip()
            continue
        kept.append(line)
        if line.strip():
            break
    message = "".join(kept + text).replace("\n", "\\n")
    lines = [("Autoreply message", message)]
    names = (
        ("Autoreply-Start", "Autoreply start"), ("Autoreply-End", "Autoreply end"),
        ("Reply-Period", "Autoreply period"), ("From", "Autoreply from"),
    )  # fmt: skip
    return lines + [(label, str(told[key])) for key, label in names if told.get(key)]


@program("create-user")
def create_user(box: Sandbox, words: list[str]) -> str:
    """Make a login: a mailbox, or one for FTP."""
    args = Args(
        "create-user", words, "domain user pass encpass real quota mail-quota home extra mysql group shell recovery",
        "ftp noemail web disable no-creation-mail no-check-spam random-pass",
    )  # fmt: skip
    of, name = args.domain(box), args.one("user").lower()
    if not name:
        args.usage("No username specified")
    if not (args.one("pass") or args.one("encpass")):
        args.usage("No password specified")
    blocks = _blocks(args, of)
    if not re.fullmatch(r"[^ \t:&()|;<>*?!/\\]+", name) or re.match(r"\d", name):
        args.usage("Missing or invalid username")
    if ":" in args.one("real"):
        args.usage("The user's real name cannot contain a colon")
    key = f"{name}@{of['dom']}"
    if key in box.store["users"] or key in box.store["aliases"]:
        args.usage("A mailbox or alias with the same name and domain already exists")
    home = args.one("home") or f"homes/{name}"
    secret = args.one("encpass") or f"$6$sandbox${len(args.one('pass')):086}"
    box.store["users"][key] = {
        "user": name, "unix": key, "dom": of["dom"], "real": args.one("real"), "plain": args.one("pass"),
        "pass": ("!" if args.has("disable") else "") + secret,
        "home": home if home.startswith("/") else f"{of['home']}/{home}", "ftp": args.has("ftp"),
        "quota": blocks or 0, "email": "" if args.has("noemail") else key, "tome": True, "forward": [],
        "auto": False, "text": "", "settings": {},
    }  # fmt: skip
    if not args.has("no-creation-mail") and not args.has("noemail"):
        box.state.setdefault("mails", []).append(key)
    return f"User {key} created successfully\n"


def _blocks(args: Args, of: Native) -> int | None:
    told = args.one("quota")
    if not args.has("quota"):
        return None
    if told == "UNLIMITED":
        return 0
    if not told.isdecimal():
        args.usage("Quota must be a number")
    if of["quota"] and int(told) > of["quota"]:
        args.usage(f"User's quota cannot be higher than domain's quota of {of['quota']}")
    return int(told)


def _found(box: Sandbox, args: Args) -> Native:
    of, name = args.domain(box), args.one("user")
    held = (
        one for one in box.store["users"].values() if one["dom"] == of["dom"] and name in (one["user"], one["unix"])
    )
    found = next(held, None)
    if found is None:
        args.usage(f"No user named {name} was found in the server {of['dom']}")
    assert found is not None
    return found


@program("modify-user")
def modify_user(box: Sandbox, words: list[str]) -> str:
    """Change a login, what it forwards and what it answers."""
    args = Args(
        "modify-user", words,
        "domain user real pass quota add-forward del-forward autoreply autoreply-start autoreply-end autoreply-period",
        "disable enable local no-local no-autoreply no-autoreply-start no-autoreply-end no-autoreply-period",
    )  # fmt: skip
    one = _found(box, args)
    of = args.domain(box)
    if args.has("autoreply") and not args.one("autoreply"):
        args.usage("Missing parameter for --autoreply")
    if args.has("autoreply-period") and not re.fullmatch(r"[1-9]\d*", args.one("autoreply-period")):
        args.usage("Autoreply period must be a number in minutes")
    if ":" in args.one("real"):
        args.usage("Invalid real name")
    blocks = _blocks(args, of)
    one["quota"] = one["quota"] if blocks is None else blocks
    one["real"] = args.one("real") if args.has("real") else one["real"]
    if args.has("disable") or args.has("enable"):
        one["pass"] = ("!" if args.has("disable") else "") + one["pass"].removeprefix("!")
    if one["email"]:
        held = [*one["forward"], *args.all("add-forward")]
        one["forward"] = list(dict.fromkeys(to for to in held if to not in args.all("del-forward")))
        if args.has("local") or args.has("no-local"):
            one["tome"] = args.has("local")
        _answering(args, one)
    return f"User {one['unix']} updated successfully\n"


def _answering(args: Args, one: Native) -> None:
    if args.has("autoreply"):
        text = args.one("autoreply").replace("\\n", "\n")
        one["text"], one["auto"] = text if text.endswith("\n") else text + "\n", True
        one["settings"].setdefault("From", one["email"])
    if args.has("no-autoreply"):
        one["auto"], one["text"], one["settings"] = False, "", {}
    if not one["auto"]:
        return
    for name, key in (("start", "Autoreply-Start"), ("end", "Autoreply-End"), ("period", "Reply-Period")):
        if args.has(f"autoreply-{name}"):
            told = args.one(f"autoreply-{name}")
            one["settings"][key] = told if name == "period" else date.fromisoformat(told).isoformat()
        if args.has(f"no-autoreply-{name}"):
            one["settings"].pop(key, None)


@program("delete-user")
def delete_user(box: Sandbox, words: list[str]) -> str:
    """Take a login away, with its mail."""
    one = _found(box, Args("delete-user", words, "domain user"))
    del box.store["users"][f"{one['user']}@{one['dom']}"]
    return f"User {one['unix']} deleted successfully\n"


# ---- aliases ---------------------------------------------------------------------------------------------------------


@program("list-aliases")
def list_aliases(box: Sandbox, words: list[str]) -> str:
    """Print the aliases of virtual servers."""
    args = Args("list-aliases", words, "domain user", "plugins name-only")
    names = {one["dom"] for one in args.domains(box)}
    out = ""
    for one in (one for one in box.store["aliases"].values() if one["from"].rpartition("@")[2] in names):
        out += f"{one['from']}\n" + "".join(f"    To: {to}\n" for to in one["to"])
    return out


def _address(box: Sandbox, args: Args) -> str:
    of, name = args.domain(box), args.one("from")
    if not name:
        args.usage("No from address specified")
    if "@" in name:
        args.usage("No domain name is needed in the --from parameter")
    return f"@{of['dom']}" if name == "*" else f"{name}@{of['dom']}"


@program("create-alias")
def create_alias(box: Sandbox, words: list[str]) -> str:
    """Add an alias. Whether a mailbox has the address is not asked."""
    args = Args("create-alias", words, "domain from to desc")
    address = _address(box, args)
    args.domain(box, needs="mail")
    if not args.all("to"):
        args.usage("No destination specified")
    if address in box.store["aliases"]:
        args.usage("An alias for the same email address already exists")
    box.store["aliases"][address] = {"from": address, "to": args.all("to"), "cmt": args.one("desc")}
    return f"Alias for {address} created successfully\n"


@program("delete-alias")
def delete_alias(box: Sandbox, words: list[str]) -> str:
    """Take an alias away."""
    args = Args("delete-alias", words, "domain from")
    address = _address(box, args)
    if box.store["aliases"].pop(address, None) is None:
        args.usage(f"No alias for the email address {address} exists")
    return f"Alias for {address} deleted successfully\n"
