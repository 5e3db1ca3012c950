"""Zones: what the feature dns fills them with, ``get-dns`` and ``modify-dns``."""

from __future__ import annotations

import re

from migrator.testing.sandbox import Native, Sandbox

from .programs import Args, program

PIECE, LONG = 80, 255  # letters (feature-dns.pl, split_long_txt_record and join_record_values)


def _key(of: str, name: str, type: str) -> str:
    return f"{of}. {type} {name}"


def _add(box: Sandbox, of: str, name: str, type: str, ttl: int | None, values: list[str]) -> None:
    held = box.store["record_sets"].setdefault(_key(of, name, type), {"dom": of, "name": name, "type": type, "rrs": []})
    held["rrs"].append({"ttl": ttl, "values": values})


def filled(box: Sandbox, one: Native) -> None:
    """Put in what the template puts into a new zone."""
    of = one["dom"]
    box.store["zones"][f"{of}."] = {"dom": of}
    _add(box, of, f"{of}.", "SOA", None, ["ns1.panel.invalid.", f"root.{of}.", "1", "3600", "600", "1209600", "3600"])
    _add(box, of, f"{of}.", "NS", None, ["ns1.panel.invalid."])
    for name in (f"{of}.", f"www.{of}.", f"ftp.{of}.", f"mail.{of}."):
        _add(box, of, name, "A", None, ["198.51.100.9"])
    _add(box, of, f"{of}.", "MX", None, ["5", f"mail.{of}."])
    _add(box, of, f"{of}.", "TXT", None, ["v=spf1 a mx a:home.example ip4:198.51.100.9 ?all"])


def emptied(box: Sandbox, of: str) -> None:
    """Take a zone away."""
    box.store["zones"].pop(f"{of}.", None)
    for key in [key for key, held in box.store["record_sets"].items() if held["dom"] == of]:
        del box.store["record_sets"][key]


def _domain(box: Sandbox, args: Args) -> str:
    one = args.domain(box)
    if "dns" not in one["features"]:
        args.usage(f"Virtual server {one['dom']} does not have DNS enabled")
    return str(one["dom"])


@program("get-dns")
def get_dns(box: Sandbox, words: list[str]) -> str:
    """Print the records of a zone, a long text in the pieces it lies in."""
    args = Args("get-dns", words, "domain name type regexp", "ds-records dnssec-records name-only")
    of, out = _domain(box, args), ""
    for held in (held for held in box.store["record_sets"].values() if held["dom"] == of):
        for one in held["rrs"]:
            out += f"{held['name']}\n    Type: {held['type']}\n    Class: IN\n"
            out += f"    TTL: {one['ttl']}\n" if one["ttl"] else ""
            out += "".join(f"    Value: {value}\n" for value in _shown(held["type"], one["values"]))
    return out


def _shown(type: str, values: list[str]) -> list[str]:
    """Return values as they are read from the zone's file: quotes are taken off, long texts were cut."""
    whole = "".join(values)
    if type == "TXT" and len(whole) > LONG:
        return [whole[at : at + PIECE] for at in range(0, len(whole), PIECE)]
    return [value.strip('"') for value in values]


@program("modify-dns")
def modify_dns(box: Sandbox, words: list[str]) -> str:
    """Take records out and put others in. It exits well whatever became of them, but for addresses that are none."""
    args = Args("modify-dns", words, "domain add-record add-record-with-ttl remove-record ttl")
    of = _domain(box, args)
    out = f"Updating server {of} ..\n"
    for told in args.all("remove-record"):
        name, type, *values = re.split(r"\s+", told)
        out += _removed(box, of, _absolute(name, of), type.upper(), values)
    for told in args.all("add-record"):
        name, type, *values = re.split(r"\s+", told)
        out += _added(box, args, of, _absolute(name, of), type.upper(), None, values)
    for told in args.all("add-record-with-ttl"):
        name, type, ttl, *values = re.split(r"\s+", told)
        if not (ttl.isdecimal() and int(ttl) and values):
            args.usage("--add-record-with-ttl must be followed by the record name, type, TTL and values")
        out += _added(box, args, of, _absolute(name, of), type.upper(), int(ttl), values)
    return out + ".. done\n"


def _absolute(name: str, of: str) -> str:
    return name if name.endswith(".") else f"{of}." if name == "@" else f"{name}.{of}."


def _removed(box: Sandbox, of: str, name: str, type: str, values: list[str]) -> str:
    held = box.store["record_sets"].get(_key(of, name, type))
    if held is None:
        return ".. none were found!\n"
    held["rrs"] = [one for one in held["rrs"] if values and " ".join(values) != " ".join(one["values"])]
    if not held["rrs"]:
        del box.store["record_sets"][_key(of, name, type)]
    return ".. done\n"


def _added(box: Sandbox, args: Args, of: str, name: str, type: str, ttl: int | None, values: list[str]) -> str:
    if type == "TXT":
        values = [" ".join(values)]
    if type == "A" and not re.fullmatch(r"\d+(\.\d+){3}", " ".join(values)):
        args.usage("Invalid IPv4 address  in --add-record")
    held = box.store["record_sets"].get(_key(of, name, type), {"rrs": []})
    if any(one["values"] == values for one in held["rrs"]):
        return f".. a record with the same name {name} already exists\n"
    if not re.fullmatch(rf"(\S+\.|){re.escape(of)}\.", name):
        return f".. the name {name} is not in the domain\n"
    _add(box, of, name, type, ttl, values)
    return ".. done\n"
