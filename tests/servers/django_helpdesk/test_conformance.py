"""django-helpdesk held to the suite, at the true server: by its API, and through its host project's fixtures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migrator.testing.conformance import Check, Suite, checks
from migrator.testing.conformance.ground import Ground
from migrator.testing.servers import Proxy
from migrator.testing.servers.django_helpdesk import DjangoHelpdesk
from tests.servers.django_helpdesk.conftest import ground
from tests.servers.django_helpdesk.rows import filled

HARMS = ("429", "reset", "unanswered", "failed")
PLACE: dict[str, Any] = {}  # the session's server, for suites that are written down before it runs


def api() -> Ground:
    return ground(PLACE["server"], PLACE["proxy"])


def fixtures() -> Ground:
    return ground(PLACE["server"], PLACE["proxy"], "fixtures")


def fill(desk: DjangoHelpdesk) -> None:
    desk.insert(filled(desk))


API = Suite("django_helpdesk", fill=fill, records=4, step=4, ground=api, harms=HARMS)
# No request of the channel passes a proxy: what ends its command is tried in test_crashes.
FIXTURES = Suite("django_helpdesk", fill=fill, records=4, ground=fixtures, harms=(), channels=("fixtures",))
CHECKS = [pytest.param(c, id=f"{name}: {c}") for name, s in (("api", API), ("fixtures", FIXTURES)) for c in checks(s)]


@pytest.mark.parametrize("check", CHECKS)
def test_conformance(check: Check, tmp_path: Path, server: DjangoHelpdesk, proxy: Proxy) -> None:
    PLACE.update(server=server, proxy=proxy)
    check(tmp_path)
