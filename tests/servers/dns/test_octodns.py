"""The awkward zone through octoDNS's providers, to true servers and back, judged by the wire and never by octoDNS."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from migrator.errors import RefusedError
from migrator.ledger import Ledger
from migrator.migration import Account
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.conformance.ground import HastyClock
from migrator.testing.servers import moto, powerdns
from migrator.testing.servers.moto import Moto
from migrator.testing.servers.name_servers import KEY, NameServer
from migrator.testing.servers.powerdns import PowerDNS
from tests.support.dns_zones import AWKWARD, ZONE, Served, of_file, of_text, transferred
from tests.support.server_desks import Side, steps_between

from .conftest import filed

pytest.importorskip("octodns")
# What octoDNS and its providers say of each other's old interfaces.
pytestmark = [pytest.mark.servers, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

# What octoDNS's providers are known to spoil, beside the rest; and without a name that PowerDNS takes from nobody.
ODD = r"""quoted IN TXT "\"begins\" with a quote"
blanks IN TXT "a\" \"b"
backs IN TXT "back\\;semi and \\195 and \195\188\\"
"""
WIDE = r"\195\188" * 90
ODDER = AWKWARD.replace("a\\.dot IN A 192.0.2.3\n", "") + ODD + f'wide IN TXT "{WIDE}x" "{WIDE}"\n'


def through(provider: str, secret: str = "", *, zones: str = ZONE, servers: str = "", **arguments: Any) -> Side:
    """Return the account behind a provider of octoDNS, and its secret."""
    settings = {"provider": provider, "arguments": json.dumps(arguments)} | ({"zones": zones} if zones else {})
    options = {"servers": servers} if servers else {}
    return Account(vendor="octodns", settings=settings, options=options, workers=1), {"secret": secret}


def by_powerdns(server: PowerDNS, **more: Any) -> Side:
    """Return a PowerDNS by way of octodns-powerdns."""
    named = "octodns_powerdns.PowerDnsProvider"
    return through(named, powerdns.KEY, host="127.0.0.1", port=server.api, api_key="{secret}", **more)


@pytest.fixture
def amazon(running: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Moto:
    """Return Route 53 as moto plays it, where boto3 looks for Amazon."""
    server: Moto = running(moto.start, "moto-octodns")
    monkeypatch.setenv("AWS_ENDPOINT_URL_ROUTE_53", server.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    # moto 5.2 leaves IsTruncated out of its list of health checks, on which the provider insists.
    monkeypatch.setattr("octodns_route53.Route53Provider.health_checks", {})
    server.reset()
    return server


def moved(
    folder: Path, source: Side, destination: Side, patch: pytest.MonkeyPatch
) -> tuple[Steps, set[tuple[str, str]]]:
    """Move what may be moved, see it proven; return what was left to a person, each with a reason."""
    run = steps_between(folder, source, destination, patch, HastyClock())
    run.extract()
    plan = run.plan()
    assert plan.losses == [], plan.losses
    assert run.load(plan.digest).finished, Ledger(run.workspace.ledger).quarantined()
    verified, differences = run.verify()
    assert verified.proven, differences[:5]
    left = set()
    with Stage(run.workspace.stage) as stage:
        for id, reason in stage.rows("SELECT id, reason FROM plan.planned WHERE action = 'manual'"):
            assert "octoDNS" in reason, (id, reason)
            _, type, name = id.split(" ")
            left.add((name, type))
    return run, left


def without(wanted: Served, left: set[tuple[str, str]]) -> Served:
    """Return a zone's sets without those that were left to a person."""
    assert left <= set(wanted)
    return {key: one for key, one in wanted.items() if key not in left}


def written(folder: Path) -> Side:
    """Return a folder with the awkward zone in a file."""
    side = filed(folder)
    (folder / f"{ZONE}zone").write_text(ODDER, encoding="utf-8")
    return side


def test_the_awkward_zone_goes_through_octodns_into_a_powerdns_and_out_again(
    new: PowerDNS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = by_powerdns(new, servers=new.address)
    run, left = moved(tmp_path / "1", written(tmp_path / "old"), there, monkeypatch)
    wanted = without(of_text(ODDER), left)
    assert transferred(new.address) == wanted
    moved(tmp_path / "2", by_powerdns(new), filed(tmp_path / "back"), monkeypatch)
    assert of_file(tmp_path / "back" / f"{ZONE}zone") == wanted
    account: Any = run.destination()
    was = {one.id: one for one in account.held(ZONE)}[f"{ZONE} TXT quoted.{ZONE}"]
    account.change(ZONE, [(was, replace(was, ttl=60))])
    assert transferred(new.address)[f"quoted.{ZONE}", "TXT"] == (60, wanted[f"quoted.{ZONE}", "TXT"][1])
    with pytest.raises(RefusedError, match="no longer what it was"):
        account.change(ZONE, [(was, None)])
    with pytest.raises(RefusedError, match="no longer what it was"):
        account.change(ZONE, [(None, was)])
    account.change(ZONE, [(replace(was, ttl=60), None)])
    assert (f"quoted.{ZONE}", "TXT") not in transferred(new.address)
    account.change(ZONE, [(replace(was, ttl=60), None)])  # gone already


def test_the_awkward_zone_goes_through_octodns_into_route53_and_out_again(
    amazon: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = through(
        "octodns_route53.Route53Provider", "not-a-secret", zones="", access_key_id="A", secret_access_key="{secret}"
    )
    _, left = moved(tmp_path / "1", written(tmp_path / "old"), there, monkeypatch)
    moved(tmp_path / "2", there, filed(tmp_path / "back"), monkeypatch)
    assert of_file(tmp_path / "back" / f"{ZONE}zone") == without(of_text(ODDER), left)


def test_the_awkward_zone_goes_by_updates_of_octodns_into_bind_and_by_its_transfer_into_yaml_and_out_again(
    bind: NameServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    algorithm, name, secret = KEY.split(":")
    host, _, port = bind.address.partition(":")
    how = {"host": host, "port": int(port), "key_name": name, "key_algorithm": algorithm, "key_secret": "{secret}"}
    there = through("octodns_bind.Rfc2136Provider", secret, **how)
    _, left = moved(tmp_path / "1", written(tmp_path / "old"), there, monkeypatch)
    wanted = without(of_text(ODDER), left)
    assert transferred(bind.address, key=KEY) == wanted
    (tmp_path / "yaml").mkdir()
    filed_there = through(
        "octodns.provider.yaml.YamlProvider", directory=str(tmp_path / "yaml"), zones="", escaped_semicolons=True
    )
    _, left = moved(tmp_path / "2", through("octodns_bind.AxfrSource", secret, **how), filed_there, monkeypatch)
    moved(tmp_path / "3", filed_there, filed(tmp_path / "back"), monkeypatch)
    assert of_file(tmp_path / "back" / f"{ZONE}zone") == without(wanted, left)
