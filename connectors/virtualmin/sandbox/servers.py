"""Virtual servers, their features, sites, databases and redirects."""

from __future__ import annotations

import re

from migrator.testing.sandbox import Native, Sandbox

from . import dns, mail
from .programs import ALIAS_FEATURES, FEATURES, Args, ExitError, furnished, program

VERSIONS = ("7.4", "8.1", "8.2", "8.3")


@program("list-domains")
def list_domains(box: Sandbox, words: list[str]) -> str:
    """Print virtual servers with most of what is told of them, passwords too."""
    args = Args("list-domains", words, "domain user", "toplevel")
    named = args.has("domain") or args.has("user")
    found = args.domains(box) if named else list(box.store["domains"].values())
    if args.has("toplevel"):
        found = [one for one in found if not one.get("parent")]
    return "".join(_printed(one) for one in found)


def _printed(one: Native) -> str:
    sort = "Alias" if one.get("alias") else "Sub-server" if one.get("parent") else "Top-level server"
    lines = [("ID", one["id"]), ("File", f"/etc/webmin/virtual-server/domains/{one['id']}"), ("Type", sort)]
    if one.get("alias"):
        lines.append(("Real domain", one["alias"]))
    elif one.get("parent"):
        lines.append(("Parent domain", one["parent"]))
    lines += [("Username", one["user"]), ("Password", one["pass"])]
    if "mysql" in one["features"]:
        lines.append(("Password for mysql", one["pass"]))
    lines.append(("Home directory", one["home"]))
    site = "web" in one["features"]
    if site:
        lines.append(("HTML directory", f"{one['home']}/public_html"))
    lines += [("Features", " ".join(f for f in FEATURES if f in one["features"])), ("Plugins", "")]
    if not one.get("parent"):
        lines += [("Server quota", "Unlimited"), ("Server block quota", str(one["quota"] or "Unlimited"))]
    if one.get("dns_in"):
        lines.append(("Parent DNS virtual server", one["dns_in"]))
    if site and not one.get("alias"):
        lines += [("PHP execution mode", "fpm"), ("PHP version", one["php"])]
    return f"{one['dom']}\n" + "".join(f"    {name}: {value}\n" for name, value in lines)


@program("create-domain")
def create_domain(box: Sandbox, words: list[str]) -> str:
    """Make a virtual server under another one, or another name of one."""
    plain = " ".join(FEATURES)
    args = Args("create-domain", words, "domain parent alias pass desc", f"{plain} no-email skip-warnings")
    features = [feature for feature in FEATURES if args.has(feature)]
    parent = args.one("parent") or args.one("alias")
    if not args.one("domain"):
        args.usage("Missing domain name")
    if not parent and not args.one("pass"):
        args.usage("Missing password")
    if parent and "unix" in features:
        args.usage("--unix option makes no sense for sub-servers")
    for feature in features:
        if args.has("alias") and feature not in ALIAS_FEATURES:
            args.usage(f"--{feature} option makes no sense for alias servers")
    name = args.one("domain").lower()
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", name):
        args.usage("The domain name is not valid")
    if name in box.store["domains"]:
        args.usage("You are already hosting this domain")
    if parent and parent.lower() not in box.store["domains"]:
        args.usage("Parent domain does not exist")
    if not features:
        args.usage("No virtual server features enabled")
    above = box.store["domains"].get(parent.lower())
    owner = above["user"] if above else name.partition(".")[0]
    top = (above.get("parent") or above["dom"]) if above else ""
    more = {"alias": parent.lower()} if args.has("alias") else {}
    made = furnished(box, name, owner, features=(), parent=top, **more)
    _with(box, made, features)
    if not args.has("no-email"):
        box.state.setdefault("mails", []).append(owner)
    return "Beginning server creation ..\n\nAll done!\n"


def _with(box: Sandbox, one: Native, features: list[str]) -> None:
    for feature in features:
        if feature in one["features"]:
            continue
        one["features"].append(feature)
        above = [name for name in box.store["domains"] if one["dom"].endswith("." + name)] if feature == "dns" else []
        if above and box.state["dns_within"]:
            one["dns_in"] = max(above, key=len)
        elif feature == "dns":
            dns.filled(box, one)
        if feature == "mail":
            mail.filled(box, one)


@program("delete-domain")
def delete_domain(box: Sandbox, words: list[str]) -> str:
    """Take virtual servers away, with all that is under them and in them."""
    args = Args("delete-domain", words, "domain user", "only preserve-remote")
    out = ""
    for one in args.domains(box):
        out += f"Deleting virtual server {one['dom']} ..\n"
        if one["protected"]:
            out += ".. skip : protected domain\n\n"
            continue
        for name in [n for n, d in box.store["domains"].items() if one["dom"] in (d.get("parent"), d.get("alias"), n)]:
            _gone(box, name)
        out += ".. deleted\n\n"
    return out


def _gone(box: Sandbox, name: str) -> None:
    del box.store["domains"][name]
    dns.emptied(box, name)
    for table, of in (("users", "dom"), ("databases", "dom"), ("redirects", "dom")):
        for key in [key for key, held in box.store[table].items() if held[of] == name]:
            del box.store[table][key]
    for key in [key for key in box.store["aliases"] if key.rpartition("@")[2] == name]:
        del box.store["aliases"][key]


@program("enable-feature")
def enable_feature(box: Sandbox, words: list[str]) -> str:
    """Switch features on. One that is on stays so."""
    args = Args("enable-feature", words, "domain user", f"{' '.join(FEATURES)} skip-warnings associate")
    for one in args.domains(box):
        wanted = [feature for feature in FEATURES if args.has(feature)]
        if "web" in wanted and "dir" not in one["features"] and not one.get("alias"):
            raise ExitError(f"Updating server {one['dom']} ..\nA website needs a home directory\n")
        _with(box, one, wanted)
    return "Updating server ..\n.. done\n"


@program("disable-feature")
def disable_feature(box: Sandbox, words: list[str]) -> str:
    """Switch features off, with what they hold."""
    args = Args("disable-feature", words, "domain user", f"{' '.join(FEATURES)} disassociate")
    for one in args.domains(box):
        for feature in (feature for feature in FEATURES if args.has(feature)):
            if any(feature in d["features"] for d in box.store["domains"].values() if d.get("alias") == one["dom"]):
                raise ExitError("Updating server ..\n.. feature being disabled is in use by alias servers\n")
            if feature in one["features"]:
                one["features"].remove(feature)
            if feature == "dns":
                dns.emptied(box, one["dom"])
            if feature == "web":
                for key in [key for key, held in box.store["redirects"].items() if held["dom"] == one["dom"]]:
                    del box.store["redirects"][key]
    return "Updating server ..\n.. done\n"


@program("modify-web")
def modify_web(box: Sandbox, words: list[str]) -> str:
    """Set the version of PHP of a site."""
    args = Args("modify-web", words, "domain php-version mode document-dir")
    one = args.domain(box)
    if "web" not in one["features"]:
        args.usage(f"Virtual server {one['dom']} does not have a web site enabled")
    version = args.one("php-version")
    if version and version not in VERSIONS:
        args.usage(f"Only the following PHP version are available for {one['dom']} : {' '.join(VERSIONS)}")
    one["php"] = version or one["php"]
    return "Updating server ..\n.. done\n"


# ---- databases -------------------------------------------------------------------------------------------------------


@program("list-databases")
def list_databases(box: Sandbox, words: list[str]) -> str:
    """Print the databases of one virtual server."""
    args = Args("list-databases", words, "domain type", "name-only")
    of = args.domain(box)["dom"]
    held = [one for one in box.store["databases"].values() if one["dom"] == of]
    return "".join(f"{one['name']}\n    Type: {one['type']}\n    Tables: 0\n" for one in held)


@program("create-database")
def create_database(box: Sandbox, words: list[str]) -> str:
    """Make a database; a template may put a word before its name."""
    args = Args("create-database", words, "domain name type")
    one, type = args.domain(box), args.one("type")
    if type not in one["features"]:
        args.usage("The specified database type is not enabled in this virtual server")
    prefix = str(box.state.get("database_prefix") or "")
    name = args.one("name")
    name = (name if name.startswith(prefix) else prefix + name).lower()
    if not re.fullmatch(r"[a-z0-9_-]+", name):
        args.usage("Missing or invalid database name")
    if f"{type}/{name}" in box.store["databases"]:
        args.usage(f"A database called {name} already exists")
    box.store["databases"][f"{type}/{name}"] = {"name": name, "type": type, "dom": one["dom"]}
    return f"Database {name} created successfully\n"


@program("delete-database")
def delete_database(box: Sandbox, words: list[str]) -> str:
    """Take a database away."""
    args = Args("delete-database", words, "domain name type")
    args.domain(box)
    if box.store["databases"].pop(f"{args.one('type')}/{args.one('name')}", None) is None:
        args.usage("The specified database is not associated with this server")
    return f"Database {args.one('name')} deleted successfully\n"


# ---- redirects -------------------------------------------------------------------------------------------------------


@program("list-redirects")
def list_redirects(box: Sandbox, words: list[str]) -> str:
    """Print the redirects and aliases of a site."""
    args = Args("list-redirects", words, "domain", "name-only")
    of = args.domain(box)["dom"]
    out = ""
    for one in (one for one in box.store["redirects"].values() if one["dom"] == of):
        out += f"{one['path']}\n    Destination: {one['dest']}\n    Type: {one['type']}\n"
        out += f"    Match sub-paths: {'Yes' if one['regexp'] else 'No'}\n"
        out += f"    Match exact path: {'Yes' if one['exact'] else 'No'}\n"
        out += f"    Code: {one['code']}\n" if one["code"] else ""
        out += "    Protocols: http https\n    Directives: Redirect\n"
    return out


@program("create-redirect")
def create_redirect(box: Sandbox, words: list[str]) -> str:
    """Add a redirect. Whether there is one for the path already is asked of a list that is empty."""
    args = Args("create-redirect", words, "domain path redirect alias code", "regexp exact http https")
    one, path, to = args.domain(box), args.one("path"), args.one("redirect") or args.one("alias")
    if not path:
        args.usage("No redirect path specified")
    if args.has("redirect") and not re.match(r"(http|https)://\S+$|/\S+$", to):
        args.usage("The --redirect flag must be followed by a URL or a URL path")
    if args.has("code") and not re.fullmatch(r"3\d\d", args.one("code")):
        args.usage("--code must be followed by a HTTP status code between 300 and 400")
    if "web" not in one["features"]:
        args.usage(f"Virtual server {one['dom']} does not support redirects")
    key = f"{one['dom']}{path}"
    while key in box.store["redirects"]:
        key += " again"
    box.store["redirects"][key] = {
        "dom": one["dom"], "path": path, "dest": to, "type": "Redirect" if args.has("redirect") else "Alias",
        "regexp": args.has("regexp"), "exact": args.has("exact"), "code": args.one("code"),
    }  # fmt: skip
    return f"Redirect for {path} created successfully\n"


@program("delete-redirect")
def delete_redirect(box: Sandbox, words: list[str]) -> str:
    """Take a redirect away; of several for a path, none."""
    args = Args("delete-redirect", words, "domain path host")
    of, path = args.domain(box)["dom"], args.one("path")
    found = [key for key, one in box.store["redirects"].items() if (one["dom"], one["path"]) == (of, path)]
    if not found:
        args.usage(f"No redirect for path {path} was found")
    if len(found) > 1:
        args.usage(f"Multiple redirects for path {path} found!")
    del box.store["redirects"][found[0]]
    return f"Redirect for {path} deleted successfully\n"
