"""What Zammad makes of HTML: lib/html_sanitizer (TagRemove, Wipe, Link) as far as words, links and pictures go."""

from __future__ import annotations

import base64
import html
import re

import nh3

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
PARTS = re.compile(r'(<(?:[^<>"]|"[^"]*")*>)')  # what nh3 returns has every attribute in double quotes
TAG = re.compile(r"<(/?)([a-zA-Z][\w:-]*)")
ELSEWHERE = re.compile(r'\ssrc="\s*(?:https?:|ftp:)?//', re.IGNORECASE)
OUTSIDE = re.compile(r'\shref="(?:http|ftp|//)', re.IGNORECASE)
ADDRESS = re.compile(r"\b(?:https?|ftp|tel):[^\s<>\"')\]]+", re.IGNORECASE)


def clean(text: str) -> str:
    """Return HTML as it is stored: known tags, no pictures from elsewhere, addresses in the text made into links."""
    kept = nh3.clean(
        text, tags=TAGS, clean_content_tags=GONE - TAGS, attributes=ATTRIBUTES, url_schemes=SCHEMES, link_rel=None
    )
    parts, inside = [], 0
    for part in PARTS.split(kept):
        found = TAG.match(part)
        if found is None:
            parts.append(part if inside or ":" not in part else _linked(html.unescape(part)))
            continue
        closes, name = found[1], found[2].lower()
        if name == "img" and ELSEWHERE.search(part):
            continue
        if name in ("a", "pre"):
            inside += -1 if closes else 1
        outside = name == "a" and not closes and OUTSIDE.search(part)
        parts.append(f'{part[:-1]} rel="nofollow noreferrer noopener" target="_blank">' if outside else part)
    return "".join(parts)


def _linked(words: str) -> str:
    parts, at = [], 0
    for found in ADDRESS.finditer(words):
        address = re.sub(r"[,.]$", "", found[0])
        parts.append(html.escape(words[at : found.start()], quote=False))
        parts.append(f'<a href="{html.escape(address)}">{html.escape(address, quote=False)}</a>')
        at = found.start() + len(address)
    parts.append(html.escape(words[at:], quote=False))
    return "".join(parts)


def pictures(text: str) -> list[tuple[str, str, bytes]]:
    """Return the pictures a text holds as data: (the address, its type, the bytes)."""
    found = []
    for match in re.finditer(r'src="(data:(image/[\w.+-]+);base64,([^"]+))"', text):
        found.append((match[1], match[2], base64.b64decode(match[3])))
    return found


def note(text: str | None) -> str | None:
    """Return a note as it is stored."""
    return clean(text) if text else text
