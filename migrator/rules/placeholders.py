"""Texts carried into another vendor's placeholders, and what is said of those that it does not have."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping

from migrator.rules.notebook import Notebook
from migrator.rules.references import bare
from migrator.rules.rule import Comment, Mail
from migrator.rules.template import Block, Part, Said, Template, Var

# Placeholders whose counterparts print the same thing in other words.
NOTES: Mapping[str, str] = {
    "ticket.number": "the number is the new vendor's unless the old numbers are kept",
    "ticket.link": "the link points at the new desk",
    "ticket.status": "the status is named as there",
    "comment.latest": "may print an internal note: check who gets it",
    "comment.latest_html": "may print an internal note: check who gets it",
    "comments.all": "each with its author and time, the newest first; laid out otherwise",
    "comments.public": "each with its author and time, the newest first; laid out otherwise",
}
LEAKS = {  # what must never print an internal note to a customer: the public one is taken
    "comment.latest": "comment.latest_public",
    "comment.latest_html": "comment.latest_public_html",
    "comments.all": "comments.public",
}
ITEM = "dynamic_content:"  # what the placeholder of a text kept elsewhere means, before its name


def escaped(text: str) -> str:
    """Return plain text as HTML that shows it."""
    return html.escape(text, quote=False).replace("\r\n", "\n").replace("\n", "<br>\n")


def translated(
    book: Notebook,
    at: int,
    text: Template,
    placeholder: Callable[[str], str | None],
    *,
    liquid: bool = False,
    said: Callable[[str], str] = str,
) -> str:
    """Return the text in the destination's placeholders, with a verdict noted on each that is not the same.

    ``said`` is what becomes of the text between them (``escaped``, where the destination wants HTML).
    """

    def written(part: Part) -> str:
        if isinstance(part, Said):
            return said(part.text)
        if isinstance(part, Var):
            texts = book.rule.texts_of(bare(part.meaning.removeprefix(ITEM))) if part.meaning.startswith(ITEM) else ()
            return _item(book, at, part, texts, written) if texts else _value(book, at, part, placeholder, liquid)
        return _block(book, at, part, written, liquid)

    return "".join(written(part) for part in text.parts)


def _value(book: Notebook, at: int, part: Var, placeholder: Callable[[str], str | None], liquid: bool) -> str:
    place, what = f"do {at + 1}", f"«{part.name}»"
    wanted = part.meaning if _inside(book, at) else LEAKS.get(part.meaning, part.meaning)
    found = placeholder(wanted) if wanted else None
    if part.filters and not liquid:
        book.add(place, what, "approximated", f"the filter{'s' if len(part.filters) > 1 else ''} cannot be carried")
    if found is None:
        why = "has no counterpart there"
        if wanted != part.meaning and placeholder(part.meaning):
            why = "its counterpart there may print an internal note to a customer"
        if part.meaning.startswith(ITEM):
            why = "its texts are not in the file: put the dynamic content into it"
        book.add(place, what, "approximated", f"{why}; left out of the text")
        return ""
    if wanted != part.meaning:
        book.add(place, what, "equivalent", "what is public only, so that no internal note leaves the house")
    elif part.meaning in NOTES and not (part.meaning in LEAKS and _inside(book, at)):
        book.add(place, what, "equivalent", NOTES[part.meaning])
    if part.filters and liquid:
        return found.removesuffix("}}") + "|" + "|".join(part.filters) + "}}"
    return found


def _item(book: Notebook, at: int, part: Var, texts: tuple[Template, ...], written: Callable[[Part], str]) -> str:
    """Return a text that is kept elsewhere, in its place: the first is that of the language in which it was made."""
    if len(texts) == 1:
        book.add(f"do {at + 1}", f"«{part.name}»", "equivalent", "its text, written out")
    else:
        note = f"written out in one language of {len(texts)}: one rule for each language, by hand"
        book.add(f"do {at + 1}", f"«{part.name}»", "approximated", note)
    return "".join(map(written, texts[0].parts))


def _inside(book: Notebook, at: int) -> bool:
    """Say whether only agents read the text."""
    action = book.rule.do[at]
    agents = ("assignee", "all_agents", "group", "current_user")
    if isinstance(action, Mail):
        return all(one.who in agents for one in action.to)
    return isinstance(action, Comment) and not action.public


def _block(book: Notebook, at: int, part: Block, written: Callable[[Part], str], liquid: bool) -> str:
    place = f"do {at + 1}"
    if liquid:
        book.add(place, part.written, "approximated", "what the block asks for is named in the old vendor's words")
        return part.written + "".join(map(written, part.parts)) + part.end
    book.add(place, part.written, "untranslatable", "texts there cannot ask or repeat; write one rule for each case")
    return ""
