"""Where Freshdesk is odd: a field is made in another shape than read (developers.freshdesk.com/api, 2026-11-22)."""

from __future__ import annotations

from typing import Any

Native = dict[str, Any]


def ticket_field(payload: Native) -> Native:
    """Return the body of ``POST /admin/ticket_fields``: options as objects, and a wording for the portal."""
    return _options({**payload, "label_for_customers": payload["label"]})


def person_field(payload: Native) -> Native:
    """Return the body of ``POST /contact_fields``."""
    return _options({**payload, "label_for_customers": payload["label"]})


def company_field(payload: Native) -> Native:
    """Return the body of ``POST /company_fields``, which has no portal."""
    return _options(payload)


def _options(payload: Native) -> Native:
    choices = payload.pop("choices", None)
    if payload["type"] == "custom_dropdown":
        labels = [choice["value"] if isinstance(choice, dict) else choice for choice in choices or []]
        payload["choices"] = [{"value": label, "position": place} for place, label in enumerate(labels, 1)]
    return payload
