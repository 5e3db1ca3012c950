"""A rule: when it acts, what it does, how its vendor runs rules. Also SLA targets and views, which ask alike."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, SecretStr

from migrator.rules.conditions import All, Condition, Node, Path, Ref, Value
from migrator.rules.template import Template


class SetField(Node):
    """Sets a value; None empties it."""

    type: Literal["set"] = "set"
    path: Path
    value: Value | None


class SetTags(Node):
    """Adds, removes or replaces tags."""

    type: Literal["tags"] = "tags"
    how: Literal["add", "remove", "replace"]
    tags: tuple[str, ...]


class Comment(Node):
    """Writes on the ticket."""

    type: Literal["comment"] = "comment"
    public: bool
    body: Template
    subject: Template | None = None


class Recipient(Node):
    """Who gets a mail: requester, assignee, ccs, last_sender, all_agents, group, user …; ``id`` names which."""

    who: str
    id: str = ""


class Mail(Node):
    """Sends mail. ``options`` are the vendor's own (signing, loops), as (name, JSON)."""

    type: Literal["mail"] = "mail"
    to: tuple[Recipient, ...]
    subject: Template
    body: Template
    options: tuple[tuple[str, str], ...] = ()


class Hook(Node):
    """Calls another system. Header values may be secrets and are never shown."""

    type: Literal["hook"] = "hook"
    target: str
    method: str = "POST"
    headers: tuple[tuple[str, SecretStr], ...] = ()
    body: Template | None = None
    options: tuple[tuple[str, str], ...] = ()


class Follow(Node):
    """Adds a person as follower or in copy."""

    type: Literal["follow"] = "follow"
    how: Literal["follower", "cc"]
    who: Value


class Verb(Node):
    """An action that is one word: delete, mute, snooze … with the vendor's own values.

    A mail filter's: keep, discard, stop, fileinto and copyinto (a folder, ``/`` between its levels), redirect and
    copyto (an address), reject (what the sender is told), addflag, setflag, removeflag (flags).
    """

    type: Literal["verb"] = "verb"
    word: str
    values: tuple[str, ...] = ()


class Unread(Node):
    """An action nothing else can hold; ``text`` is what the vendor has, ``why`` what it is.

    ``hidden``: the vendor hands it over in no form that can be read.
    """

    type: Literal["unread"] = "unread"
    name: str
    text: str
    why: str
    hidden: bool = False


Action: TypeAlias = Annotated[
    SetField | SetTags | Comment | Mail | Hook | Follow | Verb | Unread, Field(discriminator="type")
]

Metric = Literal[
    "first_reply",
    "next_reply",
    "periodic_update",
    "pausable_update",
    "requester_wait",
    "agent_work",
    "resolution",
    "update",
]


class Target(Node):
    """One promise of an SLA: how long ``metric`` may take for tickets of ``priority`` (empty: any)."""

    metric: Metric
    priority: str
    seconds: int
    business: bool


class View(Node):
    """How a list of tickets looks."""

    columns: tuple[str, ...] = ()
    group_by: str = ""
    group_order: str = ""
    sort_by: str = ""
    sort_order: str = ""
    options: tuple[tuple[str, str], ...] = ()


class Shift(Node):
    """Working hours: minutes since the beginning of the week, Sunday at midnight."""

    begins: int
    ends: int


class Holiday(Node):
    """Days off, the last included, as dates."""

    name: str
    first: str
    last: str


class Shown(Node):
    """A field of a form that is there only where another has a value; ``to``: agents or customers read that form.

    ``required``: customers must fill it in; ``needed``: when agents must, in the statuses ``statuses`` or in all.
    ``parent_type``: of the field it depends on, as a plan knows it; empty where nobody looked.
    """

    to: Literal["agents", "customers"]
    parent: Path
    value: Value | None
    child: Path
    required: bool = False
    needed: Literal["", "always", "never", "some"] = ""
    statuses: tuple[str, ...] = ()
    parent_type: str = ""


class PassPolicy(Node):
    """How a vendor runs its rules over one update."""

    order: Literal["position", "name", "priority", "none"]
    visibility: Literal["current", "snapshot"]  # does a rule see what an earlier one changed?
    changes: Literal["original", "cumulative"]  # which changes does "has changed" mean?
    cascade: Literal["none", "once_each", "recursive"]
    match: Literal["all", "first"] = "all"
    restart: bool = False  # back to the first rule after one acted
    action_order: Literal["author", "phases"] = "author"


class ClockPolicy(Node):
    """How a vendor runs its rules by the clock.

    ``whole``: time is counted in whole runs, from the first that saw what the count begins with. ``most``: tickets
    that one rule takes in one run; ``acts``: times that such rules act on one ticket. ``skips``: statuses that are not
    looked at; ``within_days``: nor tickets that were not changed for so long. ``sets_off``: whether what they change
    sets off the rules that wait for updates.
    """

    order: Literal["position", "name", "none"]
    minutes: int = 60  # between two runs
    whole: bool = False
    most: int | None = None
    acts: int | None = None
    skips: tuple[str, ...] = ()
    within_days: int | None = None
    sets_off: bool = False


Kind = Literal["trigger", "timed", "macro", "view", "sla", "schedule", "form", "filter"]


class Rule(Node):
    """One rule, macro, SLA policy or view as its vendor has it.

    ``options``: what decides how it runs and has no word of ours, as (key, JSON). ``unknown``: keys nobody reads, the
    same way; a report names them. ``kept``: bookkeeping (ids, dates) that only the own vendor wants back. ``texts``:
    what the placeholders in it stand for that are kept elsewhere, by name, a text a language, the default first.
    ``part``: of a form whose parts are read once more, all of them as one rule; other vendors are given that one.
    """

    vendor: str
    kind: Kind
    id: str = ""
    name: str
    description: str = ""
    active: bool | None = None
    position: int | None = None
    category: str = ""
    when: Condition = All()
    do: tuple[Action, ...] = ()
    targets: tuple[Target, ...] = ()
    view: View | None = None
    shifts: tuple[Shift, ...] = ()
    holidays: tuple[Holiday, ...] = ()
    shown: tuple[Shown, ...] = ()
    audience: tuple[Ref, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()
    kept: tuple[tuple[str, str], ...] = ()
    texts: tuple[tuple[str, tuple[Template, ...]], ...] = ()
    part: bool = False

    def texts_of(self, name: str) -> tuple[Template, ...]:
        """Return the texts of a placeholder that is kept elsewhere; none where they are not known."""
        return dict(self.texts).get(name, ())
