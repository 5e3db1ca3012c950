"""A vendor's dialect of rules, as its module ``connectors/<vendor>/rules`` offers it."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Protocol, cast

from migrator.documents import did_you_mean
from migrator.errors import InputError
from migrator.rules.rule import Kind, PassPolicy, Rule
from migrator.rules.verdicts import Translation

ENTRY_POINTS = "migrator.connectors"
Native = dict[str, Any]


class Dialect(Protocol):
    """What a module has to offer. ``read`` never fails on what it does not know: it says so in the rule.

    It may offer besides: ``histories(document)``, the ``replay.History`` of every ticket in what the vendor's API
    gives; ``checker(document)``, what holds a rule against the account's own definitions in the file: a function of
    (kind, native) to findings, or None where the file has no definitions. It may also say ``NUMBERED = True``: ids
    stand in its rules as numbers; ``FIELD_PREFIX``: what stands before a custom field's name in its records and not in
    our paths; ``OF_ACCOUNT``: options that name records of the account; ``ITS_OWN``: options in which an account
    speaks of itself (which policy is its default); ``ADDED_STATUSES``: statuses of ours that it writes for as if they
    were added, to (name there, what they are without), with ``write_with(statuses)``: ``write`` for an account that has
    only these of them; ``NAMES_ORDER``: rules run in the order of their names, which stand under this key;
    ``LOOKED_UP``: kinds in ``<kind:name>`` for which the connection has ids; ``settled(native, words)``: the rule in
    the words that tickets have at the destination, and why not; ``provided(need)``: the record that fills a need, as
    (kind, id, fields), or why there is none (its native may name the rule's own records,
    ``references.OWN``); ``TEXTS_AS``: kinds that are not written, to the kind of those records that hold what they say;
    ``FILTERS = True``: its rules filter mail; ``carried(record)``: the filters of a staged ``mail_filter``, each a
    (translation into Sieve, why it is left or ""); ``CARRIED_AS``: kinds of rules to the kinds that carry them, in the
    vendor's own words, to another account of the same vendor; ``CLOCK``: the ``ClockPolicy`` of its rules by the
    clock; ``calendar(document)``: the working hours a file of rules tells of, a ``clock.Calendar``;
    ``calendars(document)``: all of them by their names, that one first; ``files(translations, calendars)``: what a
    person puts on the vendor's own machine, as {name: text}; ``taken(client,
    native)``: the ids of the tickets that the account itself says hold a rule's conditions, or why it does not say;
    ``standing(native)``: the rule without the conditions that only an event answers, and those in words;
    ``SET_OFF_APART = True``: what sets a rule off stands apart from its conditions, and ``taken`` asks for these alone;
    ``applied(client, native, ticket)``: what it says a macro makes of a ticket, as {path or "tags": value}, or why
    not.
    """

    TITLE: str
    POLICY: PassPolicy

    def listed(self, document: Any) -> Iterable[tuple[Kind, Native]]:
        """Yield every rule of an exported file, with its kind."""
        ...

    def read(self, native: Native, kind: Kind) -> Rule:
        """Return a rule in our words."""
        ...

    def write(self, source: Rule) -> Translation:
        """Return a rule in the vendor's words, whoever's it is; the vendor's own comes back as it was."""
        ...


@cache
def dialects() -> dict[str, str]:
    """Return every vendor whose rules can be read, with the module; it may have that before it has a connector."""
    package = importlib.import_module("migrator.connectors")
    names = {module.name: f"migrator.connectors.{module.name}" for module in pkgutil.iter_modules(package.__path__)}
    ours = {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
    names |= {vendor: name for vendor, name in ours.items() if importlib.util.find_spec(name)}
    return {
        vendor: f"{name}.rules" for vendor, name in sorted(names.items()) if importlib.util.find_spec(f"{name}.rules")
    }


@cache
def find(vendor: str) -> Dialect:
    """Return a vendor's dialect of rules. Raises InputError where there is none."""
    if vendor not in dialects():
        known = ", ".join(dialects())
        raise InputError(
            f"no rules of '{vendor}' can be read{did_you_mean(vendor, dialects())}", remedy=f"known: {known}"
        )
    return cast("Dialect", importlib.import_module(dialects()[vendor]))


def sequence(source: PassPolicy, destination: PassPolicy) -> list[str]:
    """Return in plain words how the destination runs a set of rules otherwise than the source."""
    said = []
    if source.order != destination.order:
        orders = {"position": "by position", "name": "by name", "priority": "by priority", "none": "in no sure order"}
        said.append(f"rules run {orders[source.order]} there, {orders[destination.order]} here")
    if source.restart and not destination.restart:
        said.append("a rule can make an earlier one act there; here the pass does not go back")
    if source.changes != destination.changes:
        original = "what the update changed, not what rules changed after it"
        said.append(
            f"“has changed” means here only {original}"
            if destination.changes == "original"
            else "“has changed” means here also what rules before changed"
        )
    if source.visibility != destination.visibility:
        seen = "as it was before any rule acted" if destination.visibility == "snapshot" else "as it is by then"
        said.append(f"each rule sees the ticket {seen}")
    if source.cascade != destination.cascade:
        words = {
            "none": "set off no further pass",
            "once_each": "set off the others, each once an update",
            "recursive": "set off rules again, without end if they do so in a circle",
        }
        said.append(f"changes made by rules {words[destination.cascade]} here")
    if destination.match == "first" and source.match != "first":
        said.append("only the first rule that matches acts here")
    if destination.action_order == "phases" and source.action_order != "phases":
        said.append("one rule's actions run in phases here: fields first, then notes, then mails and calls")
    return said
