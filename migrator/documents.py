"""Our YAML, read strictly: YAML 1.2 booleans, no double keys, unknown keys refused with file, line and a suggestion."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Strict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent

from migrator.errors import InputError


class Document(BaseModel):
    """The parent of everything read from YAML: frozen, and no key unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


D = TypeVar("D", bound=Document)
ODD = re.compile(r"(?:^|[\s\[{,:])[&*!]")  # may be an anchor, an alias, a tag: nothing that is quickly read
Flag = Annotated[bool, Strict()]  # ``true`` or ``false``; pydantic's own bool takes "yes" and 1 too


def read(path: Path, model: type[D]) -> D:
    """Return the file as ``model``. Raises InputError naming file, line and remedy."""
    with suppress(InputError, YAMLError, ValueError):  # a file with a fault is read again, to tell where it is
        text = _text(path)
        if not ODD.search(text):
            # Without the places of its parts a file is read in half the time, and every command reads three.
            return model.model_validate(plain(YAML(typ="safe", pure=True).load(text)))
    return parse(tree(path), model, str(path))


def tree(path: Path) -> Any:
    """Return the file as plain mappings and lists that remember their lines. Raises InputError."""
    text = _text(path)
    try:
        for event in YAML(typ="safe", pure=True).parse(text) if ODD.search(text) else ():
            if isinstance(event, AliasEvent):  # a few lines of them unfold into gigabytes, or into themselves
                raise InputError("an alias", file=str(path), line=event.start_mark.line + 1, remedy="write it out")
        loaded = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as err:
        mark = err.problem_mark
        problem = re.sub(r"\s+", " ", (err.problem or "not YAML").splitlines()[0])
        raise InputError(problem, file=str(path), line=mark.line + 1 if mark else None) from err
    except YAMLError as err:
        raise InputError(f"not YAML ({err})", file=str(path)) from err
    except ValueError as err:  # what looks like a date and is none
        raise InputError(str(err), file=str(path), line=_no_date(text)) from err
    if not isinstance(loaded, dict):
        raise InputError("expected a mapping of keys", file=str(path), line=1)
    return loaded


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as err:
        raise InputError("no such file", file=str(path), remedy="`migrator init` writes one") from err
    except (OSError, UnicodeDecodeError) as err:
        raise InputError(f"cannot be read ({err})", file=str(path)) from err


def _no_date(text: str) -> int | None:
    """Return the first line with something that looks like a date and is none."""
    for number, line in enumerate(text.splitlines(), 1):
        for year, month, day in re.findall(r"\b(\d{4})-(\d\d?)-(\d\d?)", line):
            try:
                date(int(year), int(month), int(day))
            except ValueError:
                return number
    return None


def parse(loaded: Any, model: type[D], file: str) -> D:
    """Check what ``tree`` returned against ``model``; the first error becomes an InputError with its line."""
    return check(plain(loaded), model, file, lambda where: line_of(loaded, where))


def check(value: Any, model: type[D], file: str, line: Callable[[Iterable[Any]], int | None]) -> D:
    """Check plain data against ``model``; ``line`` finds a place's line. A misspelt key goes before a missing one."""
    try:
        return model.model_validate(value)
    except ValidationError as err:
        first = min(err.errors(), key=lambda e: (e["type"] != "extra_forbidden", line(e["loc"]) or 0))
        raise InputError(_explain(first, model), file=file, line=line(first["loc"])) from err


def plain(value: Any) -> Any:
    """Return dicts, lists and scalars without the parser's own types."""
    if isinstance(value, dict):
        return {_scalar(k): plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def line_of(loaded: Any, where: Iterable[Any]) -> int | None:
    """Return the line (from 1) of the deepest part of ``where`` that the file has."""
    line, node = 1, loaded
    for step in where:
        marks = getattr(node, "lc", None)
        if marks is None:
            break
        try:
            if isinstance(node, dict) and step in node:
                line = marks.key(step)[0] + 1
                node = node[step]
            elif isinstance(node, list) and isinstance(step, int) and step < len(node):
                line = marks.item(step)[0] + 1
                node = node[step]
        except (KeyError, TypeError, AttributeError):
            break
    return line


def foreign(text: str) -> Any:
    """Return what somebody else's YAML says, as plain values. Raises ValueError where it is none, or holds an alias."""
    try:
        if any(isinstance(event, AliasEvent) for event in YAML(typ="safe", pure=True).parse(text)):
            raise ValueError("an alias")  # a few lines of them unfold into gigabytes
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as err:
        raise ValueError("not YAML") from err


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?``, or nothing where no known word is close."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def _explain(error: Any, model: type[BaseModel]) -> str:
    where = ".".join(str(step) for step in error["loc"])
    if error["type"] == "extra_forbidden":
        key = str(error["loc"][-1])
        return f"'{key}' is not a key here{did_you_mean(key, _keys(model))}"
    if error["type"] == "missing":
        return f"'{where}' is missing"
    return f"'{where}': {error['msg'][:1].lower()}{error['msg'][1:]}"


def _keys(model: type[BaseModel]) -> set[str]:
    """Return every key used anywhere below ``model``: close enough to suggest from."""
    found: set[str] = set()
    todo: list[Any] = [model]
    seen: set[Any] = set()
    while todo:
        part = todo.pop()
        if part in seen:
            continue
        seen.add(part)
        if isinstance(part, type) and issubclass(part, BaseModel):
            for name, field in part.model_fields.items():
                found.add(field.alias or name)
                todo.append(field.annotation)
        else:
            todo.extend(a for a in getattr(part, "__args__", ()) if a is not type(None))
    return found
