"""What Zammad makes of HTML: lib/html_sanitizer (TagRemove, Wipe, Link) as far as words, links and pictures go."""

from __future__ import annotations

import base64
import html
import re

import nh3
from selectolax.lexbor import LexborHTMLParser, LexborNode

TAGS = set(
    """
    a abbr acronym address area article aside audio b bdi bdo big blockquote br canvas caption center cite code col
    colgroup command datalist dd del details dfn dir div dl dt em figcaption figure footer h1 h2 h3 h4 h5 h6 header hr i
    img ins kbd label legend li map mark menu meter nav ol output optgroup option p pre q s samp section small span
    strike strong sub summary sup text table tbody td tfoot th thead time tr tt u ul var video
    """.split()
)
GONE = {"style", "script", "comment", "meta", "svg"}  # with what they hold
ATTRIBUTES = {
    "*": {"dir", "lang", "style", "title", "width", "height", "id"},
    "a": {"href", "hreflang", "name", "rel", "target"},
    "img": {"align", "alt", "border", "src", "srcset"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
}
SCHEMES = {"http", "https", "ftp", "mailto", "tel", "cid", "data"}
LINKED = "x-linked"  # around what was made of one text, while the tree is worked on
ADDRESS = re.compile(r"\b(?:https?|ftp|tel):[^\s<>\"')\]]+", re.IGNORECASE)


def clean(text: str) -> str:
    """Return HTML as it is stored: known tags, no pictures from elsewhere, addresses in the text made into links."""
    kept = nh3.clean(
        text, tags=TAGS, clean_content_tags=GONE - TAGS, attributes=ATTRIBUTES, url_schemes=SCHEMES, link_rel=None
    )
    tree = LexborHTMLParser(kept)
    for picture in tree.css("img[src]"):
        source = re.sub(r"\s", "", picture.attributes.get("src") or "").lower()
        if source.startswith(("http://", "https://", "ftp://", "//")):
            picture.decompose()
    if tree.body is None:
        return ""
    _link(tree.body)
    tree.unwrap_tags([LINKED])
    for link in tree.css("a[href]"):
        if (link.attributes.get("href") or "").lower().startswith(("http", "ftp", "//")):
            link.attrs["rel"] = "nofollow noreferrer noopener"
            link.attrs["target"] = "_blank"
    return str(tree.body.inner_html)


def _link(node: LexborNode) -> None:
    for child in list(node.iter(include_text=True)):
        if child.tag == "-text":
            words = child.text_content or ""
            if ":" in words and ADDRESS.search(words):
                child.replace_with(_linked(words))
        elif child.tag not in ("a", "pre"):
            _link(child)


def _linked(words: str) -> LexborNode:
    parts, at = [], 0
    for found in ADDRESS.finditer(words):
        address = re.sub(r"[,.]$", "", found[0])
        parts.append(html.escape(words[at : found.start()], quote=False))
        parts.append(f'<a href="{html.escape(address)}">{html.escape(address, quote=False)}</a>')
        at = found.start() + len(address)
    parts.append(html.escape(words[at:], quote=False))
    holder = LexborHTMLParser(f"<{LINKED}>{''.join(parts)}</{LINKED}>").css_first(LINKED)
    assert holder is not None
    return holder


def pictures(text: str) -> list[tuple[str, str, bytes]]:
    """Return the pictures a text holds as data: (the address, its type, the bytes)."""
    found = []
    for match in re.finditer(r'src="(data:(image/[\w.+-]+);base64,([^"]+))"', text):
        found.append((match[1], match[2], base64.b64decode(match[3])))
    return found


def note(text: str | None) -> str | None:
    """Return a note as it is stored."""
    return clean(text) if text else text
