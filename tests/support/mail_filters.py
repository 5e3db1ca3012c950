"""Invented mail, filters and scripts; a small model of Exim's filters; Pigeonhole's own ``sieve-test`` as the judge.

The model is written from Exim's filter specification (sections 2, 22 and 24), and knows nothing of our readers.
"""

from __future__ import annotations

import os
import pwd
import random
import re
import subprocess
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from email.utils import getaddresses
from pathlib import Path
from typing import Any

Native = dict[str, Any]
Done = frozenset[str]
WORDS = ("sale", "Invoice", "re: sale", "team", "sale*", 'say "x"', "back\\slash", "x")
PEOPLE = ("ann@acme.example", "bob@acme.example", "Sale@other.example", "x@y.example")
HEADERS = ("subject", "from", "to", "x-tag", "list-id")
FOLDERS = ("Work", "Sales/2024", "Trash")
MATCHES = ("is", "contains", "begins", "ends", "is not", "does not contain", "does not begin", "does not end")


class Judge:
    """Runs scripts on messages by ``sieve-test``, in a folder that anybody may read: as root it becomes nobody."""

    def __init__(self, folder: Path) -> None:
        me = pwd.getpwuid(os.geteuid()) if os.geteuid() else pwd.getpwnam("nobody")
        self.folder = folder
        folder.chmod(0o755)
        (folder / "home").mkdir()
        for one in (folder, folder / "home"):
            os.chown(one, me.pw_uid, me.pw_gid)
        lines = [f"mail_uid = {me.pw_name}", f"mail_gid = {me.pw_gid}", "first_valid_uid = 0", "first_valid_gid = 0"]
        lines += [f"mail_home = {folder}/home", f"mail_location = maildir:{folder}/home/Maildir"]
        lines += ["log_path = /dev/stderr", f"base_dir = {folder}/run", "ssl = no"]
        (folder / "dovecot.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def __call__(self, script: str, message: EmailMessage) -> Done:
        """Return what is done with the message. Raises AssertionError where the script does not run."""
        (self.folder / "script.sieve").write_text(script, encoding="utf-8")
        (self.folder / "message").write_bytes(message.as_bytes().replace(b"\n", b"\r\n"))
        command = ["sieve-test", "-c", "dovecot.conf", "script.sieve", "message"]
        ran = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, timeout=30, check=False)
        assert ran.returncode == 0, script + ran.stdout + ran.stderr
        said = re.findall(r"^ +[*+] (.+)$", ran.stdout, re.MULTILINE)
        return frozenset(one for one in said if one != "discard")


def message(chance: random.Random) -> EmailMessage:
    """Return an invented message."""
    made = EmailMessage()
    made["From"] = chance.choice(PEOPLE)
    for name in ("To", "Cc"):
        if chance.random() < 0.8:
            made[name] = ", ".join(chance.sample(PEOPLE, chance.randint(1, 2)))
    if chance.random() < 0.9:
        made["Subject"] = " ".join(chance.sample(WORDS, chance.randint(1, 2)))
    for name in ("X-Tag", "List-Id"):
        if chance.random() < 0.5:
            made[name] = chance.choice(WORDS)
    made.set_content("x" * chance.choice((10, 3000)))
    return made


# ---- cPanel's filters, and Exim --------------------------------------------------------------------------------------


def filters(chance: random.Random) -> list[Native]:
    """Return some filters of a mailbox as cPanel tells them."""
    return [_filter(chance, number) for number in range(chance.randint(1, 4))]


def _filter(chance: random.Random, number: int) -> Native:
    word = chance.choice(("and", "or"))
    rules = [{**_rule(chance), "opt": word} for _ in range(chance.randint(1, 3))]
    actions: list[Native] = [_deed(chance) for _ in range(chance.randint(1, 2))]
    actions += [{"action": "finish"}] if chance.random() < 0.3 else []
    return {"filtername": f"filter {number}", "rules": rules, "actions": actions}


def _rule(chance: random.Random) -> Native:
    if chance.random() < 0.25:
        part, value = "foranyaddress $h_to:,$h_cc:,$h_bcc:", chance.choice((*PEOPLE, "acme", "sale"))
        return {"part": part, "match": chance.choice(MATCHES), "val": value}
    header = chance.choice(HEADERS)
    return {"part": f"$header_{header}:", "match": chance.choice(MATCHES), "val": chance.choice((*WORDS, *PEOPLE))}


def _deed(chance: random.Random) -> Native:
    folder = chance.choice(FOLDERS).replace("/", ".")
    return chance.choice(
        (
            {"action": "save", "dest": f"$home/mail/acme.example/ann/.{folder}"},
            {"action": "deliver", "dest": chance.choice(PEOPLE)},
            {"action": "save", "dest": "/dev/null"},
            {"action": "fail", "dest": "no thanks"},
        )
    )


ASKED: dict[str, Callable[[str, str], bool]] = {
    "is": lambda held, value: held == value,
    "contains": lambda held, value: value in held,
    "begins": lambda held, value: held.startswith(value),
    "ends": lambda held, value: held.endswith(value),
}
POSITIVE = {"is not": "is", "does not contain": "contains", "does not begin": "begins", "does not end": "ends"}


def exim(listed: Sequence[Native], mail: EmailMessage) -> Done:
    """Return what Exim does with a message, in the judge's words."""
    done: list[str] = []
    delivered = False
    for one in listed:
        held = [_holds(rule, mail) for rule in one["rules"]]
        if not (all(held) if one["rules"][0]["opt"] == "and" else any(held)):
            continue
        for action in one["actions"]:
            to = action.get("dest", "")
            if action["action"] == "finish":
                return _ended(done, delivered)
            if action["action"] == "fail":  # what was noted before is given up: the mail is refused as a whole
                return frozenset([f"reject message with reason: {to}"])
            delivered = True  # a significant action, /dev/null too
            if action["action"] == "deliver":
                done.append(f"redirect message to: <{to}>")
            elif to != "/dev/null":
                done.append(f"store message in folder: {to.rpartition('/.')[2].replace('.', '/')}")
    return _ended(done, delivered)


def _ended(done: list[str], delivered: bool) -> Done:
    return frozenset(done) if delivered else frozenset(["store message in folder: INBOX"])


def _holds(rule: Native, mail: EmailMessage) -> bool:
    match, value = rule["match"], rule["val"].lower()
    ask, negated = ASKED[POSITIVE.get(match, match)], match in POSITIVE
    if rule["part"].startswith("foranyaddress"):
        told = [str(held) for name in ("to", "cc", "bcc") for held in mail.get_all(name, [])]
        return any(ask(address.lower(), value) is not negated for _, address in getaddresses(told))
    header = rule["part"].removeprefix("$header_").rstrip(":")
    return ask("\n".join(str(held) for held in mail.get_all(header, [])).lower(), value) is not negated


# ---- scripts ---------------------------------------------------------------------------------------------------------


def script(chance: random.Random) -> str:
    """Return an invented script."""
    return 'require ["fileinto", "copy", "imap4flags", "envelope"];\n' + _block(chance, 2)


def _block(chance: random.Random, depth: int) -> str:
    said = []
    for _ in range(chance.randint(1, 3)):
        if depth == 0 or chance.random() < 0.35:
            said.append(_command(chance))
            continue
        said.append(f"if {_test(chance, 2)} {{\n{_block(chance, depth - 1)}}}")
        while chance.random() < 0.3:
            said.append(f"elsif {_test(chance, 1)} {{\n{_block(chance, depth - 1)}}}")
        if chance.random() < 0.4:
            said.append(f"else {{\n{_block(chance, 0)}}}")
    return "\n".join(said) + "\n"


def _command(chance: random.Random) -> str:
    folder, person = _quoted(chance.choice(FOLDERS)), _quoted(chance.choice(PEOPLE))
    commands = (f"fileinto {folder};", f"fileinto :copy {folder};", f"redirect {person};", f"redirect :copy {person};")
    return chance.choice(
        (*commands, "discard;", "keep;", "stop;", 'addflag "\\\\Seen";', 'setflag ["\\\\Flagged", "x"];')
    )


def _test(chance: random.Random, depth: int) -> str:
    if depth and chance.random() < 0.4:
        parts = [_test(chance, depth - 1) for _ in range(chance.randint(1, 3))]
        return f"{chance.choice(('allof', 'anyof'))} ({', '.join(parts)})"
    if chance.random() < 0.2:
        return f"not {_test(chance, 0)}"
    match = chance.choice((":is", ":contains", ":matches"))
    values = chance.sample((*WORDS, *PEOPLE), chance.randint(1, 2))
    if match == ":matches":
        values = [
            chance.choice(("{}*", "*{}", "*{}*", "{}")).format(re.sub(r"([*?\\])", r"\\\1", one)) for one in values
        ]
    keys = f"[{', '.join(map(_quoted, values))}]"
    names = f"[{', '.join(map(_quoted, chance.sample(HEADERS, chance.randint(1, 2))))}]"
    part = chance.choice((":all", ":localpart", ":domain"))
    asked = (f"header {match} {names} {keys}", f'address {part} {match} ["from", "to"] {keys}', f"exists {names}")
    return chance.choice((*asked, f"size :over {chance.choice(('1K', '100', '1M'))}", "true", "false"))


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
