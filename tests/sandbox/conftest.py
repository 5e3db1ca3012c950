"""What the tests of sandboxes share: a clock that stands still and Zendesk's specification, loaded once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from migrator.testing.sandbox import Clock, Sandbox, mount
from tests.support.connectors import connector
from tests.support.openapi import Spec
from tests.support.vendor_data import vendor_file


@pytest.fixture(scope="session")
def zendesk() -> Any:
    """Return Zendesk's sandbox module."""
    return connector("zendesk.sandbox")


@pytest.fixture(scope="session")
def zendesk_spec() -> Spec:
    """Return Zendesk's official specification, or skip."""
    return Spec(vendor_file("zendesk/spec/openapi.yaml"))


@pytest.fixture
def box(zendesk: Any) -> Sandbox:
    """Return a new account with nothing but what every account has."""
    furnished: Sandbox = zendesk.furnish(zendesk.create(clock=Clock("2026-11-01T00:00:00+00:00")))
    return furnished


@pytest.fixture
def desk(zendesk: Any, box: Sandbox) -> Iterator[requests.Session]:
    """Return an authorized session that reaches the account in process."""
    with mount(box) as session:
        session.auth = (f"{zendesk.EMAIL}/token", zendesk.TOKEN)
        yield session
