"""What a rule asks: a tree of conditions in which every leaf says what a missing value means.

Two-valued: a leaf is true or false of every ticket. ``null`` is its answer where the value is missing; a vendor's
three-valued logic is put into that flag when it is read. Every leaf is closed under negation, so that Not can be pushed
down to nothing (``normal_forms``).
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field


class Node(BaseModel):
    """The parent of everything in a rule: frozen, and no key unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Scalar: TypeAlias = str | int | float | bool


class Lit(Node):
    """A plain value. Status, priority, type, channel, role and event use the canonical words."""

    type: Literal["literal"] = "literal"
    value: Scalar


class Ref(Node):
    """Another record, by the id it has at the source: a group, a person, a form, a status the vendor named itself."""

    type: Literal["ref"] = "ref"
    kind: str
    id: str


class Actor(Node):
    """A person known only when the rule runs."""

    type: Literal["actor"] = "actor"
    who: Literal["current_user", "current_user_groups", "current_user_organization", "requester", "assignee"]


class Days(Node):
    """A date so many days after the rule runs."""

    type: Literal["days"] = "days"
    days: float


Value = Annotated[Lit | Ref | Actor | Days, Field(discriminator="type")]


class Path(Node):
    """Which value of what: ``ticket.status``, ``requester.language``, ``ticket.cf:<id>`` for a custom field.

    Of a mail that arrives: ``message.header:subject``, ``message.address:to`` (whole addresses in that header),
    ``message.localpart:…``, ``message.domain:…``, ``message.envelope:from``, ``message.size`` (bytes) and
    ``message.body``. A header may stand there twice: a leaf holds where it holds of one of them, negated of none.
    """

    of: Literal["ticket", "requester", "assignee", "organization", "actor", "comment", "message"]
    name: str

    @property
    def custom(self) -> str:
        """Return the custom field's id or key, or the empty text."""
        return self.name.removeprefix("cf:") if self.name.startswith("cf:") else ""

    def __str__(self) -> str:
        return f"{self.of}.{self.name}"


def path(text: str) -> Path:
    """Return the path written as ``ticket.status``."""
    of, _, name = text.partition(".")
    return Path.model_validate({"of": of, "name": name})


Order = Literal["lt", "le", "gt", "ge"]
FLIPPED: dict[str, str] = {"lt": "ge", "ge": "lt", "gt": "le", "le": "gt", "eq": "ne", "ne": "eq"}


class Is(Node):
    """The value is among ``values`` (``negated``: is not). No values: asks only whether there is one."""

    type: Literal["is"] = "is"
    path: Path
    values: tuple[Value, ...]
    negated: bool = False
    null: bool = False


class Compare(Node):
    """The value against another: a number, a date, or a place on a ``scale`` (SCALES)."""

    type: Literal["compare"] = "compare"
    path: Path
    op: Order
    value: Lit
    scale: Literal["", "status", "priority"] = ""
    null: bool = False


class Tags(Node):
    """The ticket has one, or all, of these tags. No tags: whether it has any."""

    type: Literal["tags"] = "tags"
    tags: tuple[str, ...]
    need: Literal["one", "all"] = "one"
    negated: bool = False


class Text(Node):
    """A text holds one, or all, of the needles; never minding upper and lower case."""

    type: Literal["text"] = "text"
    path: Path
    mode: Literal["word", "phrase", "substring", "starts", "ends", "equal", "regex"]
    needles: tuple[str, ...]
    need: Literal["one", "all"] = "one"
    negated: bool = False
    null: bool = False


class Changed(Node):
    """This update changed the value; from one of ``before``, to one of ``after`` (None: whatever)."""

    type: Literal["changed"] = "changed"
    path: Path
    before: tuple[Value, ...] | None = None
    after: tuple[Value, ...] | None = None
    negated: bool = False


class Event(Node):
    """What set the rule off is one of these: created, updated, commented, or the vendor's own word."""

    type: Literal["event"] = "event"
    kinds: tuple[str, ...]
    negated: bool = False


class Elapsed(Node):
    """Hours since ``anchor``: created, updated, assigned, ``status:pending`` (when it last became so), due …

    ``eq`` is an edge: true in the one hour in which that many whole hours have passed. Minus hours lie ahead.
    ``null``: the answer where the anchor never happened.
    """

    type: Literal["elapsed"] = "elapsed"
    anchor: str
    op: Literal["lt", "le", "gt", "ge", "eq", "ne"]
    hours: float
    clock: Literal["calendar", "business"] = "calendar"
    null: bool = False


class Same(Node):
    """Two people of the ticket are the same person."""

    type: Literal["same"] = "same"
    path: Path
    other: Path
    negated: bool = False
    null: bool = False


class Hours(Node):
    """Now is inside the working hours of a schedule (empty: the ticket's own)."""

    type: Literal["hours"] = "hours"
    schedule: str = ""
    inside: bool = True


class Opaque(Node):
    """A condition that could not be read; ``text`` is what the vendor has."""

    type: Literal["opaque"] = "opaque"
    text: str
    why: str
    negated: bool = False


class All(Node):
    """Every one of these; of none: true."""

    type: Literal["all"] = "all"
    of: tuple[Condition, ...] = ()


class Any(Node):
    """One of these at least; of none: false."""

    type: Literal["any"] = "any"
    of: tuple[Condition, ...] = ()


class Not(Node):
    """The opposite."""

    type: Literal["not"] = "not"
    of: Condition


Leaf: TypeAlias = Is | Compare | Tags | Text | Changed | Event | Elapsed | Same | Hours | Opaque
Condition: TypeAlias = Annotated[
    Is | Compare | Tags | Text | Changed | Event | Elapsed | Same | Hours | Opaque | All | Any | Not,
    Field(discriminator="type"),
]
for _model in (All, Any, Not):
    _model.model_rebuild()

# In order; None is "no value". That an empty priority sorts lowest is assumed: types are counted with none as 0.
SCALES: dict[str, tuple[str | None, ...]] = {
    "status": ("new", "open", "pending", "hold", "solved", "closed"),
    "priority": (None, "low", "normal", "high", "urgent"),
}


def leaves(condition: Condition) -> list[Leaf]:
    """Return the leaves, from left to right."""
    if isinstance(condition, All | Any):
        return [leaf for part in condition.of for leaf in leaves(part)]
    return leaves(condition.of) if isinstance(condition, Not) else [condition]
