"""Forwarders and catch-alls as Exim's files of aliases have them, which panels keep and hand out as they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

Native = dict[str, Any]


def alias(address: str, domain: str, told: Sequence[str]) -> Native:
    """Return a forwarder's record: addresses, and what is none (a program, a file, a refusal) as Exim writes it."""
    addresses, other, copy = [], [], False
    for one in told:
        if one.lower() == address:
            copy = True  # its own mailbox
        elif re.fullmatch(r"[^\s|/:\"']+(@[^\s|/:\"']+)?", one):
            addresses.append(one)
        else:
            other.append(one)
    made: Native = {"id": address, "address": address, "domain": domain, "destinations": addresses}
    return made | ({"other": ", ".join(other)} if other else {}) | ({"keep_copy": True} if copy else {})


def split_targets(text: str) -> list[str]:
    """Return what a line of a forwarder names; a comma within quotes is none."""
    found = re.findall(r'\s*((?:"(?:[^"\\]|\\.)*"|:\w+:[^,]*|[^",])+)', text)
    return [
        one.strip().strip('"').replace('\\"', '"') if one.strip().startswith('"') else one.strip()
        for one in found
        if one.strip()
    ]


def catch_all(domain: str, told: str) -> Native:
    """Return where the mail to a domain's unknown addresses goes, in Exim's words."""
    made: Native = {"id": domain, "domain": domain, "told": told}
    word = told.strip().strip('"')
    if found := re.match(r":(fail|blackhole):\s*(.*)", word, re.S):
        made["action"] = "reject" if found[1] == "fail" else "discard"
        if found[2]:
            made["answer"] = re.sub(r"^(?:smtp;|!)\s*", "", found[2])
    elif word.startswith("|"):
        made |= {"action": "deliver", "program": word}
    else:
        made |= {"action": "deliver", "destination": word}
    return made
