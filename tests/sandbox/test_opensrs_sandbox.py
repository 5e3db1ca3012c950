"""An OpenSRS account into another one: zones and mail first, name servers, lock and renewal at the cut-over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.errors import AbsentError
from migrator.migration import Account
from migrator.steps import Steps
from migrator.testing.conformance import SandboxGround
from migrator.testing.sandbox import Sandbox, mount
from tests.servers.dns.conftest import filed
from tests.support.dns_zones import AWKWARD, ZONE
from tests.support.server_desks import Side, steps_between

pytestmark = pytest.mark.sandbox
CONNECTOR = registry.connector("opensrs")
TWIN = CONNECTOR.sandbox


def account(box: Sandbox) -> Side:
    """Return the account at a sandbox, with the values of its secrets."""
    settings = {"user": TWIN.USER, "mail_user": TWIN.MAIL_USER}
    made = Account(vendor="opensrs", url=box.base_url, settings=settings, workers=1)
    return made, {"key": TWIN.TOKEN, "mail_password": TWIN.TOKEN}


def having(*names: str) -> Sandbox:
    """Return an account to which these domains were transferred."""
    box: Sandbox = TWIN.create(limits=False)
    TWIN.seed(box, "domains", [{"name": name} for name in names])
    return box


def moving(folder: Path, source: Side, old: Sandbox, new: Sandbox, patch: pytest.MonkeyPatch) -> Steps:
    """Return a migration into the new sandbox."""
    run = steps_between(folder, source, account(new), patch, new.clock)
    run.source_session, run.destination_session = mount(old), mount(new)
    return run


def left(plan: Any) -> dict[str, str]:
    return {line.kind: line.reason for line in plan.dispositions if line.action == "manual"}


def records(box: Sandbox) -> dict[str, list[Any]]:
    """Return what an account's zones hold, whatever the order."""
    held = box.store["record_sets"]
    return {id: sorted(sorted((k, str(v)) for k, v in one.items()) for one in held[id]["records"]) for id in held}


def test_an_account_moves_whole_and_its_name_servers_at_the_cut_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old: Sandbox = TWIN.create(limits=False)
    names = CONNECTOR.part("demo").fill(old)
    new = having(*names[:-1])  # the last one is still on its way
    TWIN.seed(new, "mail_domains", [{"domain": "acme.example"}, {"domain": "acme1.example"}])
    run = moving(tmp_path / "w", account(old), old, new, monkeypatch)
    run.extract()
    plan = run.plan()
    assert not plan.losses
    assert run.load(plan.digest).finished
    verified, differences = run.verify()
    assert verified.proven, differences[:3]
    assert records(new) == records(old)
    assert new.store["scripts"] == old.store["scripts"]
    assert set(new.store["mailboxes"]) == set(old.store["mailboxes"])
    passwords = {one["attributes"]["password"] for one in new.store["mailboxes"].values()}
    assert len(passwords) == len(new.store["mailboxes"]), "nobody is given what another one has"
    assert not new.store["domains"]["acme.example"]["nameserver_list"], "not before the cut-over"

    switch = run.plan(cutover=True)
    assert "not in this account" in left(switch)["registered_domain"]
    assert run.load(switch.digest, cutover=True).finished
    verified, differences = run.verify()
    assert verified.proven, differences[:3]
    for name in names[:-1]:
        for part in ("nameserver_list", "lock_state", "auto_renew"):
            assert new.store["domains"][name][part] == old.store["domains"][name][part], (name, part)


def test_a_zone_file_goes_there_and_what_opensrs_cannot_hold_is_left_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, box = filed(tmp_path / "old"), having(ZONE.rstrip("."))
    text = "\n".join(line for line in AWKWARD.splitlines() if not line.startswith("empty "))
    (tmp_path / "old" / f"{ZONE}zone").write_text(text, encoding="utf-8")
    (tmp_path / "old" / "else.example.zone").write_text(
        "$ORIGIN else.example.\n@ 60 IN SOA a. b. 1 2 3 4 5\n@ 60 IN A 192.0.2.1\n", encoding="utf-8"
    )
    run = moving(tmp_path / "w", source, box, box, monkeypatch)
    run.extract()
    plan = run.plan()
    why = {line.reason for line in plan.dispositions if line.action == "manual"}
    assert any("else.example is not in this account" in reason for reason in why)
    assert any("CAA" in reason for reason in why)
    assert any("XML cannot carry" in reason or "no UTF-8" in reason for reason in why)
    assert {(loss.field, loss.how) for loss in plan.losses} == {("ttl", "dropped")}
    assert run.load(plan.digest).finished
    verified, differences = run.verify()
    assert verified.proven, differences[:3]
    assert box.store["record_sets"]
    run.undo()
    assert run.load(run.saved_plan()["digest"]).finished
    assert not box.store["zones"]
    assert not box.store["record_sets"]


def test_the_first_page_of_domains_is_not_skipped_and_strangers_are_told_nothing() -> None:
    box = having(*(f"d{number}.example" for number in range(45)))
    unasked = TWIN.ACTIONS["GET_DOMAINS_BY_EXPIREDATE"](box, {"exp_from": "1990-01-01", "exp_to": "2199-12-31"})
    assert len(unasked["exp_domains"]) == 5, "who names no page is given the second"
    ground = SandboxGround(CONNECTOR, box)
    [page] = list(ground.open().pages("domains", None, lambda parent: []))
    assert {record.id for record in page.records} == set(box.store["domains"])
    assert [finding.ok for finding in ground.open(token="another").check()] == [False, False]


def test_a_mailbox_gets_its_owners_password_and_none_is_made_for_somebody_else() -> None:
    box: Sandbox = TWIN.create(limits=False)
    CONNECTOR.part("demo").fill(box)
    opened: Any = SandboxGround(CONNECTOR, box).open()
    address = next(iter(box.store["mailboxes"]))
    users = len(box.store["mailboxes"]) + len(box.store["aliases"])
    assert opened.opens("mailbox")
    assert not opened.opens("alias")
    opened.set_password("mailbox", address, "of her own choice")
    assert box.store["mailboxes"][address]["attributes"]["password"] == "of her own choice"
    with pytest.raises(AbsentError):
        opened.set_password("mailbox", f"nobody@{address.rpartition('@')[2]}", "of nobody's choice")
    assert len(box.store["mailboxes"]) + len(box.store["aliases"]) == users
