"""What Freshdesk makes of HTML: how it is stored, and the plain text computed from it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import nh3


class _Text(HTMLParser):
    def __init__(self, line: str) -> None:
        super().__init__(convert_charrefs=True)
        self.line, self.parts = line, [""]

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "br":
            self.parts.append(self.line)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("p", "li", "tr", "h1", "h2", "h3", "blockquote"):
            self.parts.append(self.line)

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def plain(html: str, line: str = "\n") -> str:
    """Return the text of HTML; ``line`` stands for a break: a line end in tickets, a blank in conversations."""
    parser = _Text(line)
    parser.feed(html)
    parser.close()
    return re.sub(r" *\n *", "\n", "".join(parser.parts)).strip()


_ATTRIBUTES = {
    "*": {"class", "dir", "id", "rel", "style", "title"},  # recorded in a body: conversation 67105779551
    "a": {"href", "target"},
    "img": {"alt", "height", "src", "width"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
}


def clean(html: str) -> str:
    """Return HTML as the vendor stores it: in one ``div``, without scripts, handlers and unknown attributes."""
    schemes = {"cid", "data", "http", "https", "mailto", "tel"}
    kept = nh3.clean(html, attributes=_ATTRIBUTES, url_schemes=schemes, link_rel=None)
    return kept if re.fullmatch(r"\s*<div.*</div>\s*", kept, re.DOTALL) else f"<div>{kept}</div>"
