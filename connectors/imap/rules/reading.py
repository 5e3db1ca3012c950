"""A Sieve script as rules: each block of actions with the whole condition under which it runs.

Nothing that Sieve's actions do changes what its tests see, so a nested block is a rule of its own under both
conditions, and an ``else`` one under the opposites of those before it. Parsed by sievelib; what it does not know is one
rule that could not be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any as Anything

from migrator.errors import InputError
from migrator.rules.conditions import All, Any, Compare, Condition, Is, Lit, Not, Opaque, Path, Text
from migrator.rules.rule import Action, Rule, Unread, Verb

VENDOR = "imap"
MODES = {":is": "equal", ":contains": "substring", ":matches": "glob"}
SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
PARTS = {":all": "address", ":localpart": "localpart", ":domain": "domain"}
FLAGS = ("addflag", "setflag", "removeflag")
# What these add changes nothing that other commands see or do; vacation is read by nobody yet, and says so by itself.
KNOWN = {"fileinto", "reject", "ereject", "envelope", "body", "copy", "imap4flags", "vacation", "comparator-i;octet"}
Native = dict[str, Anything]


def listed(name: str, script: str) -> Iterator[Native]:
    """Yield the rules of a script, each with the script and its place in it."""
    found = _rules(script)
    for at in range(len(found) if found is not None else 1):
        yield {"name": name, "script": script, "at": at}


def read(native: Native, kind: str) -> Rule:
    """Return one rule of a script; the whole script as a condition nobody could read where it is no Sieve we know."""
    script, at = str(native["script"]), int(native.get("at", 0))
    asked = ", ".join(f'"{one}"' for one in native.get("requires") or ())  # beside a block that a writer made
    told = f"require [{asked}];\n{script}" if asked else script
    found = _rules(told)
    name = str(native.get("name") or "")
    if found is None:
        when: Condition = Opaque(text=script, why=_why(told))
        return Rule(vendor=VENDOR, kind="filter", name=name, when=when)
    if not found:
        return Rule(vendor=VENDOR, kind="filter", name=name, options=(("script", script),))
    called, when, do = found[at]
    beside = {key: value for key, value in native.items() if key not in ("name", "script", "requires", "at")}
    return Rule(
        vendor=VENDOR,
        kind="filter",
        name=": ".join(filter(None, (name, called))),
        position=at,
        when=when,
        do=do,
        options=(("script", script),),
        unknown=tuple((key, str(value)) for key, value in sorted(beside.items())),
    )


Read = tuple[str, Condition, tuple[Action, ...]]


def _rules(script: str) -> list[Read] | None:
    commands = _parsed(script)
    if commands is None or _unknown(commands):
        return None
    return list(_walked(commands, ()))


def _parsed(script: str) -> list[Anything] | None:
    try:
        from sievelib.parser import Parser
    except ModuleNotFoundError as err:
        raise InputError(
            "Sieve scripts are read with the package sievelib", remedy="pip install migrator[mail]"
        ) from err
    parser = Parser()
    try:
        return list(parser.result) if parser.parse(script.encode()) else None
    except Exception:  # sievelib stumbles over broken scripts in many ways
        return None


def _unknown(commands: list[Anything]) -> list[str]:
    """Return the extensions a script requires that may change what its other commands mean (variables, editheader)."""
    asked = [one.arguments["capabilities"] for one in commands if one.name == "require"]
    return sorted({one for told in asked for one in strings(told)} - KNOWN)


def _why(script: str) -> str:
    commands = _parsed(script)
    if commands is None:
        return "no Sieve that sievelib parses"
    return f"uses the extension {', '.join(_unknown(commands))}"


def _walked(commands: list[Anything], given: tuple[Condition, ...]) -> Iterator[Read]:
    """Yield the rules of a block. Actions beside each other are one rule; a block within them is its own."""
    actions: list[Action] = []
    before: list[Condition] = []
    for command in commands:
        if command.name == "require":
            continue
        if command.name not in ("if", "elsif", "else"):
            actions.append(_action(command))
            continue
        if actions:
            yield "", _whole(given), tuple(actions)
            actions = []
        before = [] if command.name == "if" else before
        own = () if command.name == "else" else (_test(command.arguments["test"]),)
        within = (*given, *(Not(of=one) for one in before), *own)
        for called, when, do in _walked(command.children, within):
            yield called or _comment(command), when, do
        before += own
    if actions:
        yield "", _whole(given), tuple(actions)


def _whole(given: tuple[Condition, ...]) -> Condition:
    return given[0] if len(given) == 1 else All(of=given)


def _comment(command: Anything) -> str:
    said = [bytes(one).decode("utf-8", "replace").lstrip("# ").strip() for one in command.hash_comments]
    return " ".join(filter(None, said))


# ---- tests -----------------------------------------------------------------------------------------------------------


def _test(test: Anything) -> Condition:
    """Return a test of Sieve as a condition."""
    name, given = test.name, test.arguments
    if name == "not":
        return Not(of=_test(given["test"]))
    if name in ("allof", "anyof"):
        parts = tuple(map(_test, given["tests"]))
        return All(of=parts) if name == "allof" else Any(of=parts)
    if name in ("true", "false"):
        return All() if name == "true" else Any()
    if name == "size":
        return _size(given)
    if name == "exists":
        there = [Is(path=_path("header", one), values=(), negated=True) for one in strings(given["header-names"])]
        return there[0] if len(there) == 1 else All(of=tuple(there))
    if name in ("header", "address", "envelope", "body"):
        return _texts(test)
    return _opaque(test, f"the test {name} is not among those that are read")


def _texts(test: Anything) -> Condition:
    name, given = test.name, test.arguments
    match = given.get("match-type", ":is")
    if given.get("comparator", '"i;ascii-casemap"') not in (":comparator", '"i;ascii-casemap"', "i;ascii-casemap"):
        return _opaque(test, "compares by a comparator that minds upper and lower case")
    if test.extra_arguments.get("comparator", '"i;ascii-casemap"').strip('"') != "i;ascii-casemap":
        return _opaque(test, "compares by a comparator that minds upper and lower case")
    if match not in MODES:
        return _opaque(test, f"compares by {match}")
    part = given.get("address-part", ":all")
    if name == "body" and given.get("body-transform", ":text") != ":text":
        return _opaque(test, f"looks at the body by {given['body-transform']}")
    if part not in PARTS or (name == "envelope" and part != ":all"):
        return _opaque(test, f"looks at {part} of addresses")
    of = {"header": "header", "address": PARTS[part], "envelope": "envelope"}.get(name)
    needles = strings(given["key-list"])
    if of is None:
        return _needles(test, Path(of="message", name="body"), match, needles)
    names = strings(given.get("header-names") or given.get("header-list"))
    leaves = tuple(_needles(test, _path(of, one), match, needles) for one in names)
    return leaves[0] if len(leaves) == 1 else Any(of=leaves)


def _needles(test: Anything, path: Path, match: str, needles: tuple[str, ...]) -> Condition:
    if match != ":matches":
        return Text(path=path, mode=MODES[match], needles=needles)  # type: ignore[arg-type]
    parts = [_globbed(path, needle) for needle in needles]
    if None in parts:
        return _opaque(test, "compares by wildcards that stand within a text")
    made = tuple(part for part in parts if part is not None)
    return made[0] if len(made) == 1 else Any(of=made)


def _globbed(path: Path, pattern: str) -> Condition | None:
    """Return what a pattern with wildcards at its ends asks for."""
    found = re.fullmatch(r"(\*?)((?:[^*?\\]|\\.)*?)(\*?)", pattern, re.DOTALL)
    if found is None:
        return None
    literal = re.sub(r"\\(.)", r"\1", found[2], flags=re.DOTALL)
    if not literal and (found[1] or found[3]):
        return Is(path=path, values=(), negated=True)
    mode = {(True, True): "substring", (True, False): "ends", (False, True): "starts", (False, False): "equal"}
    return Text(path=path, mode=mode[bool(found[1]), bool(found[3])], needles=(literal,))  # type: ignore[arg-type]


def _size(given: Native) -> Condition:
    found = re.fullmatch(r"(\d+)([KMG]?)", str(given["limit"]).upper())
    assert found is not None  # sievelib takes no other
    value = Lit(value=int(found[1]) * SIZES[found[2]])
    return Compare(
        path=Path(of="message", name="size"), op="gt" if given["comparator"] == ":over" else "lt", value=value
    )


def _path(of: str, header: str) -> Path:
    return Path(of="message", name=f"{of}:{header.lower()}")


def _opaque(command: Anything, why: str) -> Opaque:
    return Opaque(text=shown(command), why=why)


# ---- actions ---------------------------------------------------------------------------------------------------------


def _action(command: Anything) -> Action:
    """Return a command of Sieve as an action."""
    name, given = command.name, command.arguments
    said = {key: value for key, value in given.items() if key != "copy"}
    if name in ("keep", "discard", "stop") and not given:
        return Verb(word=name)
    if name == "fileinto" and set(said) == {"mailbox"}:
        return Verb(word="copyinto" if "copy" in given else "fileinto", values=strings(given["mailbox"]))
    if name == "redirect" and set(said) == {"address"}:
        return Verb(word="copyto" if "copy" in given else "redirect", values=strings(given["address"]))
    if name == "reject" and set(given) == {"text"}:
        return Verb(word="reject", values=strings(given["text"]))
    if name in FLAGS and set(given) == {"list-of-flags"}:
        flags = " ".join(strings(given["list-of-flags"])).split()
        return Verb(word=name, values=tuple(flags))
    return Unread(name=name, text=shown(command), why="not among the actions that are read")


# ---- texts -----------------------------------------------------------------------------------------------------------


def strings(told: Anything) -> tuple[str, ...]:
    """Return the texts of a string or a list of strings, as sievelib has them: quoted, or after ``text:``."""
    return tuple(map(_unquoted, told if isinstance(told, list) else [told]))


def _unquoted(text: str) -> str:
    if text.startswith("text:"):
        lines = text.split("\n")[1:]
        return "\n".join(line[1:] if line.startswith("..") else line for line in lines if line.rstrip("\r") != ".")
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL) if text[:1] == '"' else text


def shown(command: Anything) -> str:
    """Return a command as Sieve has it, for a person."""
    parts = [command.name]
    for key, value in command.arguments.items():
        if hasattr(value, "name"):
            parts.append(shown(value))
        elif isinstance(value, list):
            parts.append(f"[{', '.join(shown(one) if hasattr(one, 'name') else str(one) for one in value)}]")
        else:
            parts += [str(value), *map(str, filter(None, [command.extra_arguments.get(key)]))]
    return " ".join(parts)
