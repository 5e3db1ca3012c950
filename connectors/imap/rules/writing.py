"""Rules of mail as Sieve; rules about tickets are nothing that Sieve could say."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any as Anything

from migrator.rules.conditions import All, Any, Compare, Condition, Is, Leaf, Lit, Not, Text
from migrator.rules.notebook import Notebook
from migrator.rules.rule import Rule, Verb
from migrator.rules.verdicts import Translation

VENDOR = "imap"
CLICK = "write it by hand in the Sieve script of the mailbox"
MATCHES = {"equal": ":is", "substring": ":contains", "starts": ":matches", "ends": ":matches"}
ADDRESSES = {"address": ":all", "localpart": ":localpart", "domain": ":domain"}
PLAIN = ("keep", "discard", "stop")
NEEDS = {"fileinto": "fileinto", "reject": "reject", "addflag": "imap4flags", "setflag": "imap4flags"}
NEEDS |= {"removeflag": "imap4flags"}
COPIES = {"copyinto": "fileinto", "copyto": "redirect"}
FOLDERS = ("fileinto", "copyinto")
Spell = Callable[[str], str]


def _as_it_is(folder: str) -> str:
    return folder


def write(source: Rule, spell: Spell = _as_it_is) -> Translation:
    """Return a rule as a script of its own; ``spell``: a folder's name (``/`` between levels) as the server has it.

    The native holds ``script``, one block, and ``requires``, what the whole script must require. A rule that was Sieve
    is the block of its own that it was read as.
    """
    book = Notebook(source, VENDOR, click=CLICK)
    needs: set[str] = set()
    if source.kind != "filter":
        book.add("rule", source.name or "(no name)", "untranslatable", "Sieve filters mail, it knows no tickets")
        return book.done()
    test = _test(source.when, book, needs)
    lines = [line for at in range(len(source.do)) for line in _action(source, at, book, needs, spell)]
    if not lines:
        return book.done()
    within = "".join(f"    {line}\n" for line in lines)
    block = f"if {test} {{\n{within}}}\n" if test != "true" else "".join(f"{line}\n" for line in lines)
    return book.done({"name": source.name, "script": block, "requires": sorted(needs)})


def whole(blocks: list[tuple[str, str]], requires: set[str]) -> str:
    """Return the script of blocks (name, text), in their order."""
    if not blocks:
        return ""
    named = ", ".join(quoted(one) for one in sorted(requires))
    said = [f"# {re.sub(chr(92) + 's+', ' ', name)}\n{text}" for name, text in blocks]
    return (f"require [{named}];\n" if requires else "") + "\n".join(said)


def _test(condition: Condition, book: Notebook, needs: set[str]) -> str:
    several = _of_several_headers(condition) if isinstance(condition, Any) else None
    if several is not None and (said := _asked(*several, needs)):
        book.leaf(several[0], "exact")
        return said
    if isinstance(condition, All | Any):
        word = "allof" if isinstance(condition, All) else "anyof"
        parts = [_test(part, book, needs) for part in condition.of]
        if len(parts) < 2:
            return parts[0] if parts else "true" if word == "allof" else "false"
        return f"{word} ({', '.join(parts)})"
    if isinstance(condition, Not):
        return _opposite(_test(condition.of, book, needs))
    said = _leaf(condition, needs)
    if said is None:
        book.leaf(condition, "untranslatable", "Sieve cannot ask for it")
        return "false"
    # Only headers that a mail has once are the same thing in every engine: the readers say so where it matters.
    book.leaf(condition, "exact")
    return _opposite(said) if getattr(condition, "negated", False) and not isinstance(condition, Is) else said


def _of_several_headers(condition: Any) -> tuple[Text, str, str] | None:
    """Return one leaf, the part and the headers (a line each) of a condition that asks the same of several headers."""
    leaves = [one for one in condition.of if isinstance(one, Text) and one.path.of == "message"]
    parts = {one.path.name.partition(":")[0] for one in leaves}
    same = {(one.mode, one.needles, one.need, one.negated, one.null) for one in leaves}
    names = {one.path.name for one in leaves}
    if len(names) < 2 or len(names) != len(condition.of) or len(parts) != 1 or len(same) != 1:
        return None
    first, (part,) = leaves[0], parts
    if part not in ("header", *ADDRESSES) or first.negated or first.null or first.need == "all":
        return None
    if first.mode not in MATCHES or not all(first.needles):
        return None
    return first, part, "\n".join(one.path.name.partition(":")[2] for one in leaves)


def _opposite(test: str) -> str:
    return test.removeprefix("not ") if test.startswith("not ") else f"not {test}"


def _leaf(leaf: Leaf, needs: set[str]) -> str | None:
    """Return the test, without the leaf's negation; None for what Sieve has not."""
    path = getattr(leaf, "path", None)
    if path is None or path.of != "message":
        return None
    part, _, header = path.name.partition(":")
    if isinstance(leaf, Compare):
        whole_number = isinstance(leaf.value, Lit) and isinstance(leaf.value.value, int)
        if path.name != "size" or leaf.op not in ("lt", "gt") or not whole_number:
            return None
        return f"size {':over' if leaf.op == 'gt' else ':under'} {leaf.value.value}"
    if isinstance(leaf, Is):
        if leaf.values or part != "header" or leaf.negated is leaf.null:
            return None
        return f"exists {quoted(header)}" if leaf.negated else f"not exists {quoted(header)}"
    if not isinstance(leaf, Text) or leaf.mode not in MATCHES or leaf.null is not leaf.negated:
        return None
    if not all(leaf.needles) and leaf.mode != "equal":
        return None
    return _asked(leaf, part, header, needs)


def _asked(leaf: Text, part: str, header: str, needs: set[str]) -> str | None:
    match = MATCHES[leaf.mode]
    names = [quoted(one) for one in header.split("\n")]
    listed = names[0] if len(names) == 1 else "[" + ", ".join(names) + "]"
    if part == "header":
        before = f"header {match} {listed}"
    elif part in ADDRESSES:
        before = f"address {ADDRESSES[part]} {match} {listed}"
    elif part in ("envelope", "body"):
        needs.add(part)
        before = f"envelope {match} {quoted(header)}" if part == "envelope" else f"body :text {match}"
    else:
        return None
    keys = [quoted(_pattern(leaf.mode, needle)) for needle in leaf.needles]
    if leaf.need == "one" or len(keys) == 1:
        return f"{before} {keys[0] if len(keys) == 1 else '[' + ', '.join(keys) + ']'}"
    return f"allof ({', '.join(f'{before} {key}' for key in keys)})"


def _pattern(mode: str, needle: str) -> str:
    if mode not in ("starts", "ends"):
        return needle
    escaped = re.sub(r"([*?\\])", r"\\\1", needle)
    return escaped + "*" if mode == "starts" else "*" + escaped


def _action(rule: Rule, at: int, book: Notebook, needs: set[str], spell: Spell) -> list[str]:
    action: Anything = rule.do[at]
    if not isinstance(action, Verb):
        book.action(at, "untranslatable", "Sieve cannot do it")
        return []
    word, copy = COPIES.get(action.word, action.word), action.word in COPIES
    if word in PLAIN and not action.values:
        book.action(at, "exact")
        return [f"{word};"]
    if word not in ("redirect", *NEEDS) or not action.values:
        book.action(at, "untranslatable", "Sieve cannot do it")
        return []
    needs |= {NEEDS[word]} if word in NEEDS else set()
    needs |= {"copy"} if copy else set()
    values = [quoted(spell(value) if action.word in FOLDERS else value) for value in action.values]
    book.action(at, "exact")
    said = values[0] if len(values) == 1 else "[" + ", ".join(values) + "]"
    return [f"{word}{' :copy' if copy else ''} {said};"]


def quoted(text: str) -> str:
    """Return a text as Sieve's string."""
    return '"' + re.sub(r'(["\\])', r"\\\1", text.replace("\r", "").replace("\x00", "")) + '"'
