"""Macros as mere texts: where a vendor's macros cannot be written, what they say is kept and what they do is named."""

from __future__ import annotations

from collections.abc import Callable

from migrator.rules.notebook import Notebook
from migrator.rules.references import bare
from migrator.rules.rule import Comment, SetField
from migrator.rules.verdicts import Translation


def says(book: Notebook) -> bool:
    """Say whether a macro writes anything."""
    return any(isinstance(action, Comment) for action in book.rule.do)


def as_text(
    book: Notebook, kind: str, called: str, text: Callable[[int, Comment], str], *, groups: bool = False
) -> Translation:
    """Return a macro as a text that is needed, and no rule; ``called``: what the text is there.

    ``text`` returns an action's text as HTML, and notes what of it is not the same. ``groups``: a text may be theirs.
    """
    rule, said, whose = book.rule, list[str](), list[str]()
    for at, action in enumerate(rule.do):
        if isinstance(action, Comment):
            book.action(at, "equivalent", f"as {called}, which the agent puts into the message")
            said.append(text(at, action))
        elif isinstance(action, SetField) and str(action.path) == "comment.public":
            book.action(at, "equivalent", "the agent chooses between a reply and a note")
        else:
            book.action(at, "untranslatable", f"{called} does nothing to the ticket: the agent does it by hand")
    for one in rule.audience:
        if one.kind == "group" and groups:
            whose.append(bare(one.id))
        book.add(
            "rule",
            f"for {one.kind} {one.id}",
            "exact" if one.kind == "group" and groups else "approximated",
            "" if one.kind == "group" and groups else f"{called} is there for everybody",
        )
    for key, value in rule.options:
        book.add("rule", f"{key}: {value}", "approximated", "a setting of the old vendor")
    if rule.position is not None:
        book.add("rule", f"position {rule.position}", "equivalent", "such texts are listed by name there")
    if rule.description:
        book.add("rule", f"the description “{rule.description}”", "equivalent", "such texts have none there")
    native = {"name": rule.name, "body": "<br>".join(said), "groups": whose}
    book.need(kind, rule.name, "the macro's text", native)
    return book.done()
