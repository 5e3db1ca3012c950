"""A cPanel account moves into a subscription of Plesk, changes there with it, and is taken back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from migrator import registry
from migrator.connector import Unit, Written
from migrator.errors import AccessError, ForbiddenError, RefusedError, UnknownOutcomeError
from migrator.migration import Account
from migrator.passport import passport
from migrator.project import side
from migrator.stage import Stage
from migrator.testing.sandbox import Sandbox, mount
from tests.support.connectors import connector
from tests.support.server_desks import steps_into

pytestmark = pytest.mark.sandbox
AGENT = "/enterprise/control/agent.php"


@pytest.fixture
def panel() -> Sandbox:
    box: Sandbox = registry.connector("plesk").sandbox.create()
    return box


def opened_at(panel: Sandbox, monkeypatch: pytest.MonkeyPatch, *, secret: str = "", **more: Any) -> Any:
    module = connector("plesk.sandbox")
    monkeypatch.setenv("MIGRATOR_TEST_PASSWORD", secret or module.TOKEN)
    secrets = more.pop("secrets", None) or {"key": "env:MIGRATOR_TEST_PASSWORD"}
    account = Account(vendor="plesk", url=panel.base_url, settings=module.SETTINGS, secrets=secrets, workers=1, **more)
    clock = panel.clock
    return side(account, None, "test").open(session=mount(panel), sleep=clock.sleep, monotonic=clock.monotonic)


def unit(kind: str, payload: Mapping[str, Any], action: str = "create", there: str = "", variant: str = "") -> Unit:
    variant = variant or {"alias": "forwarder"}.get(kind, kind)
    return Unit(kind, f"{kind}-0", variant, dict(payload), {}, "key", {}, action=action, there=there)


def test_a_cpanel_account_arrives_changes_and_goes_again(
    panel: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, cpanel = registry.connector("cpanel").sandbox.create(), connector("cpanel.sandbox")
    registry.connector("cpanel").part("demo").fill(old)
    cpanel.seed(old, "forwarders", [{"dest": "late@acme.example", "forward": "ann@acme.example"}])
    old.store["listed default_addresses"][1]["defaultaddress"] = "ann@acme.example"
    before = {stream: dict(held) for stream, held in panel.store.items() if held}
    run = steps_into(
        tmp_path / "w", old, panel, monkeypatch, channels=("command_line",), policies={"deleted": "delete"}
    )

    def round() -> dict[tuple[str, str], int]:
        run.extract()
        plan = run.plan()
        assert not plan.unaccounted
        loaded = run.load(plan.digest, accept_losses=True)
        assert loaded.finished
        assert loaded.quarantined == 0
        verified, differences = run.verify()
        assert verified.proven, differences
        counted: dict[tuple[str, str], int] = {}
        for line in plan.dispositions:
            counted[line.kind, line.action] = counted.get((line.kind, line.action), 0) + line.count
        return counted

    first = round()
    assert {kind for kind, _ in first} >= set(registry.connector("cpanel").mapping.kinds)
    held = {table: len(rows) for table, rows in panel.store.items() if table not in ("dns", "others") and rows}
    assert held == {"site": 4, "site_alias": 1, "mail": 5, "cron": 1}
    sites = {site["name"]: site for site in panel.store["site"].values()}
    assert sites["second.example"]["mailservice"] is False  # its mail is elsewhere: nothing may be delivered to it here
    assert sites["second.example"]["unknown"] == ("forward", "ann@acme.example")
    assert sites["blog.second.example"]["parent"] == sites["second.example"]["id"]
    assert sites["acme.example"]["hosting"]["php_handler_id"] == "plesk-php83-fpm"
    assert ("database", "manual") in first  # UAPI has no dump of it
    assert first["database_user", "skip"] == 1  # and so no right, which would make the user
    zone = {(row["type"], row["host"], row["value"]) for row in panel.store["dns"].values()}
    assert ("A", "acme.example.", "192.0.2.10") in zone
    assert ("A", "acme.example.", "203.0.113.5") not in zone  # of Plesk's template
    with Stage(tmp_path / "w" / "stage.duckdb") as stage:
        plesk = registry.connector("plesk")
        verdicts = {login.verdict for login in passport(stage, plesk.kinds, plesk.manifest)}
    assert "goes along" not in verdicts  # cPanel's UAPI shows no hash

    told = old.store["listed forwarders"]
    told[0] = {**told[0], "forward": "eve@elsewhere.example"}
    old.store["listed forwarders"] = {n: one for n, one in told.items() if one["dest"] != "late@acme.example"}
    lines = old.store["listed zone_lines"]
    old.store["listed zone_lines"] = {n: one for n, one in lines.items() if one["line"].get("record_type") != "SRV"}
    second = round()
    assert second["alias", "update"] == 1
    assert not any(row["type"] == "SRV" for row in panel.store["dns"].values())
    assert "late@acme.example" not in panel.store["mail"]
    to = panel.store["mail"]["sales@acme.example"]["to"]
    assert sorted(to) == ["bob@acme.example", "eve@elsewhere.example", "out@elsewhere.example"]

    undone = run.undo()
    assert run.load(undone.digest).finished
    assert {stream: dict(rows) for stream, rows in panel.store.items() if rows} == before


# ---- one account of mail has several parts ---------------------------------------------------------------------------


def test_a_mailbox_its_forwarding_and_its_answer_come_and_go_alone(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, address = opened_at(panel, monkeypatch), "ann@main.example"

    def written(kind: str, payload: Mapping[str, Any], action: str = "create", at: str = "") -> str:
        [outcome] = there.write([unit(kind, {"address": address, **payload}, action, at)])
        assert isinstance(outcome, Written), outcome
        return outcome.id

    forward = written("alias", {"to": ["x@else.example"], "box": False})
    box = written("mailbox", {"quota": 2048})  # into the account that only forwards
    answer = written("autoresponder", {"subject": "Weg", "text": "Grüße <3 & bald", "id": box})
    held = panel.store["mail"][address]
    assert (held["mailbox"], held["quota"], held["to"]) == (True, "2048", ["x@else.example"])
    assert held["answer"]["text"] == "Grüße <3 & bald"
    written("autoresponder", {"subject": "Fort"}, "update", answer)
    assert held["answer"]["text"] == "Grüße <3 & bald"
    assert held["answer"]["subject"] == "Fort"
    written("mailbox", {}, "delete", box)
    assert held["mailbox"] is False
    assert held["forwarding"] is True
    written("autoresponder", {}, "delete", answer)
    written("alias", {}, "delete", forward)
    assert address not in panel.store["mail"]
    written("alias", {}, "delete", forward)  # gone already


@pytest.mark.parametrize("box", [True, False])
def test_a_copy_that_plesk_would_keep_otherwise_is_refused_with_the_reason(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch, box: bool
) -> None:
    there = opened_at(panel, monkeypatch)
    if not box:
        there.write([unit("mailbox", {"address": "ann@main.example"})])
    [outcome] = there.write([unit("alias", {"address": "ann@main.example", "to": ["x@else.example"], "box": box})])
    assert isinstance(outcome, RefusedError)
    assert "copy" in str(outcome)
    assert not any(one.get("forwarding") for one in panel.store["mail"].values())


def test_of_several_mailboxes_in_a_packet_one_is_refused_and_the_others_arrive(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("ann", "no good", "bob", "eve")
    units = [unit("mailbox", {"address": f"{name}@main.example"}) for name in names]
    outcomes = opened_at(panel, monkeypatch).write(units)
    assert [isinstance(one, Written) for one in outcomes] == [True, False, True, True]
    assert set(panel.store["mail"]) == {"ann@main.example", "bob@main.example", "eve@main.example"}
    assert len([one for one in panel.exchanges if b"<create>" in one.body]) == 1


# ---- databases -------------------------------------------------------------------------------------------------------


def test_a_user_is_made_with_his_right_and_goes_with_it(panel: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    there = opened_at(panel, monkeypatch)
    [made] = there.write([unit("database", {"name": "acme_wp", "type": "mysql"})])
    [user] = there.write([unit("database_user", {"login": "acme_wp"})])
    assert not panel.store["database_user"]
    grant = unit("database_grant", {"id": user.id, "db-id": int(made.id)})
    [right] = there.write([grant])
    assert len(panel.store["database_user"]["acme_wp"]["password"]) > 30
    assert there.find([grant], set()) == [right]
    [listed] = there.pages("database_user", None, lambda stream: [])
    assert [one.id for one in listed.records] == ["acme_wp"]
    assert b"password" not in listed.records[0].body
    there.write([unit("database_grant", {}, "delete", right.id)])
    assert not panel.store["database_user"]
    assert there.find([grant], set()) == [None]
    there.write([unit("database", {}, "delete", made.id)])
    assert not panel.store["database"]


# ---- zones -----------------------------------------------------------------------------------------------------------


def test_a_record_set_of_which_one_value_is_refused_leaves_nothing_behind(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, before = opened_at(panel, monkeypatch), {id: dict(row) for id, row in panel.store["dns"].items()}
    told = {"zone": "main.example.", "name": "x.main.example.", "type": "A", "values": ["192.0.2.1", "zz"]}
    with pytest.raises(RefusedError, match="Invalid IP"):
        there.write([unit("record_set", told)])
    assert {id: dict(row) for id, row in panel.store["dns"].items()} == before


def test_a_change_that_is_refused_half_way_puts_back_what_it_had_taken_away(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = opened_at(panel, monkeypatch)
    id = "main.example. A mail.main.example."
    with pytest.raises(RefusedError, match="Invalid IP"):
        there.write([unit("record_set", {"values": ["192.0.2.1", "zz"]}, "update", id)])
    rows = [row["value"] for row in panel.store["dns"].values() if row["host"] == "mail.main.example."]
    assert rows == ["203.0.113.5"]


def test_a_record_set_beside_which_another_stands_is_not_added_to(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"zone": "main.example.", "name": "main.example.", "type": "A", "values": ["192.0.2.1"]}
    with pytest.raises(RefusedError, match="another one there already"):
        opened_at(panel, monkeypatch).write([unit("record_set", told)])


# ---- who may, and who answers ----------------------------------------------------------------------------------------


def test_either_a_key_or_a_password_opens_the_subscription_and_no_other(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for secrets in ({"key": "env:MIGRATOR_TEST_PASSWORD"}, {"password": "env:MIGRATOR_TEST_PASSWORD"}):
        there = opened_at(panel, monkeypatch, secrets=secrets)
        assert {one["name"] for one in there.sites()} == {"main.example"}
        with pytest.raises(AccessError) as said:
            opened_at(panel, monkeypatch, secrets=secrets, secret="wrong-secret").sites()
        assert "wrong-secret" not in str(said.value)


def test_check_names_the_list_that_the_user_may_not_see(panel: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    panel.state["forbidden"].add("ftp-user/get")
    findings = {finding.what: finding for finding in opened_at(panel, monkeypatch).check()}
    assert [what for what, one in findings.items() if not one.ok] == ["ftp_user"]
    with pytest.raises(ForbiddenError):
        list(opened_at(panel, monkeypatch).pages("ftp_user", None, lambda stream: []))


def test_a_php_version_that_is_not_there_is_told_before_anything_is_written(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = opened_at(panel, monkeypatch)
    assert there.complaint("website", {"php_version": "8.3"}) is None
    assert "8.1, 8.3" in there.complaint("website", {"php_version": "5.6"})


def test_a_write_that_a_stranger_answers_is_in_doubt(panel: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    there = opened_at(panel, monkeypatch)
    there.site_of("main.example")
    hostile = b'<!DOCTYPE packet [<!ENTITY a "x">]><packet><mail>&a;</mail></packet>'

    def answered(*args: Any, **how: Any) -> requests.Response:
        said = requests.Response()
        said.status_code, said._content = 200, hostile
        return said

    monkeypatch.setattr(there.client.session, "request", answered)
    with pytest.raises(UnknownOutcomeError, match="document type"):
        there.write([unit("mailbox", {"address": "ann@main.example"})])


# ---- the twin refuses what the documentation refuses -----------------------------------------------------------------

CREATE = "<mail><create><filter><site-id>1</site-id><mailname><name>a</name>{}</mailname></filter></create></mail>"


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        (CREATE.format("<mailbox><enabled>true</enabled><quota>1</quota></mailbox>"), ""),
        (CREATE.format("<mailbox><quota>1</quota><enabled>true</enabled></mailbox>"), "1014"),  # out of order
        (CREATE.format("<no-such-node/>"), "1014"),
        (CREATE.format("").replace("<site-id>1<", "<site-id>99<"), "1013"),
        ("<mail><no_such_operation/></mail>", "1014"),
        ("<mail><create>", "1014"),
    ],
)
def test_the_twin_takes_a_packet_only_in_the_documented_order(panel: Sandbox, inner: str, code: str) -> None:
    module = connector("plesk.sandbox")
    with mount(panel) as session:
        said = session.post(
            f"{panel.base_url}{AGENT}", data=f"<packet>{inner}</packet>".encode(), headers={"KEY": module.TOKEN}
        )
    assert said.status_code == 200
    assert (f"<errcode>{code}</errcode>" in said.text) is bool(code)
    assert ("<status>ok</status>" in said.text) is not bool(code)
