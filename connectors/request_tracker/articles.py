"""Articles: a class each, and a text that lies in the class's custom fields."""

from __future__ import annotations

import html
import threading
from typing import Any

from migrator.connector import Native
from migrator.errors import RefusedError
from migrator.http import Client

from .teams import where

TEXTS = {"HTML": True, "Text": False, "Wikitext": False, "Freeform": False}  # kinds of fields, and which hold HTML
MOST = 100


def as_html(text: str) -> str:
    """Return plain text as HTML."""
    lines = text.replace("\r\n", "\n").strip("\n")
    return html.escape(lines, quote=False).replace("\n", "<br>")


class Articles:
    """The articles of one Request Tracker."""

    def __init__(self, client: Client) -> None:
        self.client, self._lock = client, threading.Lock()
        self._classes: dict[str, tuple[str, list[str]]] = {}  # class's number to its name and its fields' numbers
        self._types: dict[str, str] = {}  # field's number to its type

    def read(self, native: Native) -> Native:
        """Return an article with its class by name and its fields' texts, one after another, as HTML."""
        native["_class"] = self._class((native.get("Class") or {}).get("id"))[0]
        texts = []
        named = sorted(native.get("CustomFields") or [], key=lambda one: int(one["id"]))
        held = [one for one in named if one.get("values")]
        for one in held:
            marked = TEXTS.get(self._type(str(one["id"])), False)
            values = [str(value) if marked else as_html(str(value)) for value in one["values"]]
            heading = f"<h3>{html.escape(str(one['name']), quote=False)}</h3>" if len(held) > 1 else ""
            texts.append(heading + "<br>".join(values))
        native["_text"] = "".join(texts)
        return native

    def _class(self, number: Any) -> tuple[str, list[str]]:
        number = str(number)
        if number not in self._classes:
            held = self.client.read(f"/class/{number}").json()
            fields = [str(one["id"]) for one in held.get("ArticleCustomFields") or []]
            self._classes[number] = (str(held["Name"]), fields)
        return self._classes[number]

    def _type(self, field: str) -> str:
        if field not in self._types:
            self._types[field] = str(self.client.read(f"/customfield/{field}").json()["Type"])
        return self._types[field]

    def _listed(self, name: str) -> str | None:
        """Return the number of the class with this name; they are few, and a search minds the case of some letters."""
        params: Native = {"query": where(("id", ">", 0)), "fields": "id,Name", "per_page": MOST, "page": 1}
        while True:
            items = self.client.read("/classes", params).json()["items"]
            for one in items:
                if str(one["Name"]).casefold() == name.casefold():
                    return str(one["id"])
            if len(items) < MOST:
                return None
            params["page"] += 1

    def body(self, payload: Native, *, marked: bool) -> Native:
        """Return what is sent for an article; its class is made where there is none. Raises RefusedError.

        ``marked``: the text is HTML, and belongs into a field for HTML; plain text belongs into any.
        """
        text, name = payload.pop("_text", None), str(payload.pop("_class"))
        with self._lock:
            number = self._listed(name)
            if number is None:
                made = self.client.write("POST", "/class", json={"Name": name})
                number = made.headers.get("Location", "").rsplit("/", 1)[-1]
        body = {**payload, "Class": int(number)}
        if text is None:
            return body
        self._classes.pop(number, None)
        fields = [field for field in self._class(number)[1] if self._type(field) in TEXTS]
        fields.sort(key=lambda field: (TEXTS[self._type(field)] != marked, int(field)))
        if not fields or (marked and not TEXTS[self._type(fields[0])]):
            what = "HTML" if marked else "a text"
            raise RefusedError(f"the class '{name}' has no custom field for {what}: apply one to it, then retry")
        body["CustomFields"] = {fields[0]: as_html(text) if TEXTS[self._type(fields[0])] and not marked else text}
        return body

    def there(self, payload: Native) -> list[str]:
        """Return the numbers of the articles of this title in this class."""
        params = {"query": where(("Name", "=", payload["Name"])), "fields": "id,Class,Name", "find_disabled_rows": 1}
        found = self.client.read("/articles", {**params, "per_page": MOST}).json()["items"]
        ids = [str(one["id"]) for one in found]
        name = str(payload["_class"]).casefold()
        return [
            id
            for id in ids
            if self._class(self.client.read(f"/article/{id}").json()["Class"]["id"])[0].casefold() == name
        ]
