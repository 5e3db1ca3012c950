"""Calls of cPanel's UAPI, and of API 2 where UAPI has none: every answer is HTTP 200, a refusal too."""

from __future__ import annotations

import re
from typing import Any

from migrator.errors import ForbiddenError, RefusedError, TruncatedError, VendorError
from migrator.http import Client

# What cPanel says where a plan lacks a feature, or the server a role (docs/connectors/cpanel.md).
NOT_HERE = re.compile(
    r"feature|permission|not (?:have )?(?:access|enabled|available)|disabled|role|could not find", re.I
)


def call(client: Client, name: str, **params: Any) -> Any:
    """Return the data of ``Module/function``.

    Raises ForbiddenError where the account has no such function, RefusedError for any other refusal.
    """
    answer = _body(client, f"/execute/{name}", params)
    answer = answer.get("result", answer)  # the command line wraps it
    if not isinstance(answer, dict) or "status" not in answer:
        raise VendorError(f"{name}: an answer without a status: is this the address of a cPanel (https://host:2083)?")
    if str(answer["status"]) != "1":
        said = "; ".join(str(one) for one in answer.get("errors") or ()) or "no reason given"
        _refused(name, said)
    data = answer.get("data")
    told = ((answer.get("metadata") or {}).get("paginate") or {}).get("total_records")
    if told is not None and isinstance(data, list) and len(data) < int(told):
        raise TruncatedError(f"{name}: {len(data)} of {told} came")  # nobody asked for pages
    return data


def call_api2(client: Client, module: str, function: str) -> list[dict[str, Any]]:
    """Return the rows of a function of API 2. Raises as ``call`` does."""
    params = {
        "cpanel_jsonapi_apiversion": 2, "cpanel_jsonapi_module": module, "cpanel_jsonapi_func": function,
    }  # fmt: skip
    answer = _body(client, "/json-api/cpanel", params).get("cpanelresult")
    if not isinstance(answer, dict):
        raise VendorError(f"{module}::{function}: an answer without cpanelresult")
    event = answer.get("event") or {}
    if answer.get("error") or str(event.get("result", 1)) != "1":
        _refused(f"{module}::{function}", str(answer.get("error") or event.get("reason") or "no reason given"))
    return list(answer.get("data") or ())


def _body(client: Client, path: str, params: dict[str, Any]) -> dict[str, Any]:
    try:
        answer = client.read(path, params).json()
    except ValueError as err:
        raise VendorError(f"GET {path}: the answer is no JSON; is this the address of a cPanel?") from err
    if not isinstance(answer, dict):
        raise VendorError(f"GET {path}: the answer is no object")
    return answer


def _refused(name: str, said: str) -> None:
    if NOT_HERE.search(said):
        raise ForbiddenError(f"{name}: {said}", answer=said[:4000])
    raise RefusedError(f"{name}: {said}", status=200, answer=said[:4000])
