"""Checking what goes over the wire against a vendor's OpenAPI specification (3.0 and 3.1)."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

import yaml
from openapi_schema_validator import OAS30ReadValidator, OAS30WriteValidator, OAS31Validator, oas30_format_checker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

Document = dict[str, Any]
NOT_SPECIFIED = "not specified"
SCALARS = frozenset({"string", "integer", "number", "boolean", "array", "object"})


class Message(Protocol):
    """The part of ``migrator.testing.sandbox.Exchange`` that is checked."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def query(self) -> dict[str, str]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def content_type(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def answer(self) -> bytes: ...
    @property
    def answer_headers(self) -> dict[str, str]: ...


class _Loader(yaml.CSafeLoader):
    """Knows the bare ``=`` of YAML 1.1, which vendors' files contain; leaves dates as text."""


def _as_text(loader: _Loader, node: yaml.ScalarNode) -> Any:
    return loader.construct_scalar(node)


_Loader.add_constructor("tag:yaml.org,2002:value", _as_text)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _as_text)


class Spec:
    """A specification, ready to check exchanges.

    ``nulls``: answers may hold null where a type is given, since recorded answers of both vendors do. ``prefix`` is the
    part of a path that the specification leaves to its ``servers``. An answer that begins with ``not specified`` says
    that the specification has no such path, method, status or body; it is no violation.
    """

    def __init__(self, path: Path, *, nulls: bool = True, prefix: str = "") -> None:
        self.document: Document = yaml.load(path.read_text("utf-8"), Loader=_Loader)
        self.modern = str(self.document["openapi"]).startswith("3.1")
        self.prefix = prefix
        self.routes = [(_pattern(template), template) for template in self.document["paths"]]
        self.routes.sort(key=lambda route: (route[1].count("{"), -len(route[1])))
        strict = Resource.from_contents(_rooted(self.document), default_specification=DRAFT202012)
        soft_document = json.loads(json.dumps(self.document))
        soft = Resource.from_contents(_rooted(_softened(soft_document, modern=self.modern) if nulls else soft_document),
                                      default_specification=DRAFT202012)  # fmt: skip
        self.registry: Registry[Any] = Registry().with_resources([("strict:", strict), ("soft:", soft)])

    def find(self, method: str, path: str) -> tuple[str, Document] | None:
        """Return the template and operation of a request, or None."""
        path = unquote(path).removeprefix(self.prefix).removesuffix(".json").rstrip("/")
        for pattern, template in self.routes:
            if pattern.fullmatch(path) and method.lower() in self.document["paths"][template]:
                return template, self.document["paths"][template][method.lower()]
        return None

    def check_request(self, exchange: Message) -> list[str]:
        """Return what is wrong with a request: its body and its query parameters."""
        found = self.find(exchange.method, exchange.path)
        if found is None:
            return [f"{NOT_SPECIFIED}: {exchange.method} {exchange.path}"]
        template, operation = found
        wrong = self._query(template, operation, exchange)
        if exchange.body and "json" in exchange.content_type:
            body = _deref(self.document, operation.get("requestBody") or {})
            kind = next((name for name in body.get("content", {}) if "json" in name), None)
            if kind is None:
                return [*wrong, f"{NOT_SPECIFIED}: body of {exchange.method} {template}"]
            owner = "requestBody" if "$ref" not in operation["requestBody"] else None
            pointer = _pointer("paths", template, exchange.method.lower(), "requestBody", "content", kind, "schema")
            if owner is None:
                pointer = operation["requestBody"]["$ref"].lstrip("#") + _pointer("content", kind, "schema")
            wrong += self._validate("strict:", pointer, json.loads(exchange.body), writing=True)
        return wrong

    def check_response(self, exchange: Message) -> list[str]:
        """Return what is wrong with an answer: its status and its body."""
        found = self.find(exchange.method, exchange.path)
        if found is None:
            return [f"{NOT_SPECIFIED}: {exchange.method} {exchange.path}"]
        template, operation = found
        responses = operation["responses"]
        code = next((c for c in (exchange.status, str(exchange.status), "default") if c in responses), None)
        if code is None:
            return [f"{NOT_SPECIFIED}: {exchange.status} of {exchange.method} {template}"]
        reference = responses[code].get("$ref")
        response = _deref(self.document, responses[code])
        kind = next((name for name in response.get("content") or {} if "json" in name), None)
        if kind is None or "schema" not in response["content"][kind]:
            return [] if not exchange.answer else [f"{NOT_SPECIFIED}: answer of {exchange.method} {template}"]
        pointer = _pointer(
            "paths", template, exchange.method.lower(), "responses", str(code), "content", kind, "schema"
        )
        if reference:
            pointer = reference.lstrip("#") + _pointer("content", kind, "schema")
        try:
            answer = json.loads(exchange.answer)
        except ValueError:
            return [f"{exchange.method} {template}: the answer is not JSON"]
        return self._validate("soft:", pointer, answer, writing=False)

    def check(self, pointer: str, value: Any) -> list[str]:
        """Return what is wrong with a record of an answer, such as ``/components/schemas/TicketObject``."""
        return self._validate("soft:", pointer, value, writing=False)

    def _query(self, template: str, operation: Document, exchange: Message) -> list[str]:
        wrong = []
        parameters = [*operation.get("parameters", []), *self.document["paths"][template].get("parameters", [])]
        for raw in parameters:
            parameter = _deref(self.document, raw)
            if parameter.get("in") != "query":
                continue
            name, schema = parameter["name"], parameter.get("schema", {})
            if parameter.get("required") and name not in exchange.query:
                wrong.append(f"{exchange.method} {template}: parameter {name} is missing")
            value = exchange.query.get(name)
            if value and schema.get("type") == "integer" and not re.fullmatch(r"-?\d+", value):
                wrong.append(f"{exchange.method} {template}: parameter {name} is not an integer: {value}")
            if value and "enum" in schema and value not in map(str, schema["enum"]):
                wrong.append(f"{exchange.method} {template}: parameter {name} may not be {value}")
        return wrong

    def _validate(self, base: str, pointer: str, value: Any, *, writing: bool) -> list[str]:
        validator = self._validator(base, pointer, writing)
        errors = sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
        return [f"{'/'.join(map(str, error.absolute_path)) or '.'}: {error.message[:300]}" for error in errors[:20]]

    @functools.lru_cache(500)  # noqa: B019 - a Spec lives as long as the session
    def _validator(self, base: str, pointer: str, writing: bool) -> Any:
        kind = OAS31Validator if self.modern else OAS30WriteValidator if writing else OAS30ReadValidator
        schema = {"$ref": f"{base}#{pointer}"}
        return kind(schema, registry=self.registry, format_checker=oas30_format_checker)


def specified(findings: list[str]) -> list[str]:
    """Return the findings that are violations."""
    return [finding for finding in findings if not finding.startswith(NOT_SPECIFIED)]


def _pattern(template: str) -> re.Pattern[str]:
    words = re.split(r"(\{[^}]+\})", template.removesuffix(".json").rstrip("/"))
    return re.compile("".join("[^/]+" if word.startswith("{") else re.escape(word) for word in words))


def _pointer(*steps: str) -> str:
    return "".join("/" + step.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")
                   for step in steps)  # fmt: skip


def _deref(document: Document, node: Document) -> Document:
    while "$ref" in node:
        target: Any = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


def _rooted(document: Document) -> Document:
    return json.loads(json.dumps(document))  # type: ignore[no-any-return]  # keys as text, nothing shared


def _softened(node: Any, *, modern: bool) -> Any:
    """Allow null wherever a type is given, and take ``oneOf`` as ``anyOf``: null would match several."""
    if isinstance(node, list):
        return [_softened(item, modern=modern) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: _softened(value, modern=modern) for key, value in node.items()}
    kind = made.get("type")
    if isinstance(kind, str) and kind in SCALARS:
        if modern:
            made["type"] = [kind, "null"]
        else:
            made["nullable"] = True
        if isinstance(made.get("enum"), list) and None not in made["enum"]:
            made["enum"] = [*made["enum"], None]
    elif isinstance(made.get("enum"), list) and all(isinstance(value, str) for value in made["enum"]):
        made["enum"] = [*made["enum"], None]
    if isinstance(made.get("oneOf"), list):
        made["anyOf"] = made.pop("oneOf")
    return made
