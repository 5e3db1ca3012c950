"""Recorded answers of DNS vendors through the connectors, and what these send against the official specifications."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import dns.zone
import pytest

from migrator.zones.account import ZoneAccount
from migrator.zones.records import RecordSet, of_rdatas, record_set
from tests.support.dns_vendors import Played, Sent, cassette, lists, opened
from tests.support.dns_zones import AWKWARD, ZONE
from tests.support.openapi import NOT_SPECIFIED, Spec
from tests.support.vendor_data import vendor_file

pytestmark = pytest.mark.recorded

CASSETTES = "dns/{}/lexicon-cassettes/IntegrationTests"


def awkward() -> list[RecordSet]:
    """Return the awkward zone's sets but for its apex."""
    zone = dns.zone.from_text(AWKWARD, ZONE, relativize=False, check_origin=False)
    found = [
        of_rdatas(ZONE, name, rdataset.to_text(name).split()[3], rdataset.ttl, rdataset)
        for name, rdataset in zone.iterate_rdatasets()
    ]
    return [one for one in found if not one.body().get("provided")]


def folders(vendor: str) -> list[Path]:
    return sorted(vendor_file(CASSETTES.format(vendor)).glob("*.yaml"))


def test_every_recorded_list_of_cloudflare_is_read_record_by_record(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = 0
    for path in folders("cloudflare"):
        zones = next((said for at, said in lists(path) if at.endswith("/zones")), None)
        for at, said in lists(path):
            if not at.endswith("/dns_records") or zones is None:
                continue
            names = {one["id"]: one["name"] for one in json.loads(zones)["result"]}
            played = Played({("GET", "/client/v4/zones"): zones, ("GET", at): said})
            account = opened("cloudflare", "https://api.cloudflare.com", played, monkeypatch)
            zone = names[at.split("/")[4]] + "."
            wanted = Counter((f"{one['name']}.", one["type"]) for one in json.loads(said)["result"])
            held = {(one.name, one.type): one for one in account.held(zone)}
            assert set(held) == set(wanted)
            for key, one in held.items():
                assert len(one.values) == wanted[key]
                seen += len(one.values)
    assert seen > 30


def test_every_recorded_list_of_powerdns_is_read_set_by_set(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = 0
    for path in folders("powerdns"):
        for at, said in lists(path):
            zone = json.loads(said)
            if "rrsets" not in zone:
                continue
            account = opened("powerdns", "http://127.0.0.1:8081", Played({("GET", at): said}), monkeypatch)
            held = {(one.name, one.type): one for one in account.held(zone["name"])}
            assert set(held) == {(one["name"], one["type"]) for one in zone["rrsets"]}
            texts = {(one["name"], one["type"]): [r["content"] for r in one["records"]] for one in zone["rrsets"]}
            for key, one in held.items():
                assert sorted(one.texts()) == sorted(texts[key])
                seen += 1
    assert seen > 100


def test_every_recorded_list_of_route53_is_read_set_by_set(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = 0
    for path in folders("route53"):
        zones = next((said for at, said in lists(path) if at.endswith("hostedzonesbyname")), b"")
        for at, said in lists(path):
            if not at.endswith("/rrset") or b"<Name>" not in zones:
                continue
            played = Played({("GET", "/2013-04-01/hostedzone"): zones, ("GET", at): said})
            account = opened("route53", "https://route53.amazonaws.com", played, monkeypatch, access_key="AKIA")
            (zone,) = [one["id"] for one in account.zones()]
            held = list(account.held(zone))
            assert len(held) == said.count(b"<ResourceRecordSet>")
            assert sum(len(one.values) for one in held) == said.count(b"<ResourceRecord>")
            seen += len(held)
    assert seen > 100


def test_what_route53_recorded_as_sent_is_what_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The very change batches that others sent, and AWS took, made by our writer from the record sets."""
    from xml.etree import ElementTree

    compared = 0
    for path in folders("route53"):
        for one in cassette(path):
            body = one["request"]["body"] or ""
            body = body.decode() if isinstance(body, bytes) else body
            if "<Action>CREATE</Action>" not in body or one["response"]["status"]["code"] != 200:
                continue
            recorded = _plain(ElementTree.fromstring(body))
            rrset = recorded.find("ChangeBatch/Changes/Change/ResourceRecordSet")
            assert rrset is not None
            values = [value.text or "" for value in rrset.iter("Value")]
            said = {part: str(rrset.findtext(part)) for part in ("Name", "Type", "TTL")}
            zone = ".".join(said["Name"].rstrip(".").split(".")[-2:]) + "."
            made = record_set(zone, said["Name"], said["Type"], said["TTL"], values)
            played = Played({("GET", "/2013-04-01/hostedzone"): _zones(zone)})
            account = opened("route53", "https://route53.amazonaws.com", played, monkeypatch, access_key="AKIA")
            with pytest.raises(Exception, match="404"):
                account.change(zone, [(None, made)])
            ours = _plain(ElementTree.fromstring(played.sent[-1].body)).find("ChangeBatch/Changes/Change")
            theirs = recorded.find("ChangeBatch/Changes/Change")
            assert ours is not None
            assert theirs is not None
            assert _words(ours) == _words(theirs)
            compared += 1
    assert compared > 5


def _plain(root: Any) -> Any:
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _words(root: Any) -> list[tuple[str, str]]:
    return [(one.tag, (one.text or "").strip().rstrip(".")) for one in root.iter()]


def _zones(zone: str) -> bytes:
    return (
        b"<?xml version='1.0'?><ListHostedZonesResponse><HostedZones><HostedZone><Id>/hostedzone/Z1</Id><Name>"
        + zone.encode()
        + b"</Name></HostedZone></HostedZones><IsTruncated>false</IsTruncated></ListHostedZonesResponse>"
    )


def test_the_recorded_records_of_digitalocean_are_read_record_by_record(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = vendor_file("dns/digitalocean/octodns")
    pages = [json.loads((folder / f"digitalocean-page-{n}.json").read_text("utf-8")) for n in (1, 2)]
    records = [one for page in pages for one in page["domain_records"]]
    played = Played({("GET", "/v2/domains/unit.tests/records"): {"domain_records": records, "links": {}}})
    account = opened("digitalocean", "https://api.digitalocean.com", played, monkeypatch)
    held = list(account.held("unit.tests."))
    assert sum(len(one.values) for one in held) == len([one for one in records if one["type"] != "SOA"])
    by_id = {one.id: one for one in held}
    assert by_id["unit.tests. CNAME cname.unit.tests."].values == ("unit.tests.",)
    assert by_id["unit.tests. CAA unit.tests."].values == ('0 issue "ca.unit.tests"',)


# ---- requests against the specifications -----------------------------------------------------------------------------


def _taken(account: ZoneAccount) -> list[RecordSet]:
    write = account.manifest.write("record_set")
    assert write is not None
    types = write.takes.get("type")
    ttl = write.fields["ttl"]  # a plan raises and lowers it before anything is sent
    within = [replace(one, ttl=min(max(one.ttl, ttl.least or 0), ttl.most or one.ttl)) for one in awkward()]
    return [one for one in within if types is None or one.type in types]


def test_what_is_sent_to_powerdns_fits_its_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = Spec(vendor_file("dns/powerdns/spec/authoritative-api-openapi.yaml"), prefix="/api/v1")
    address = f"/api/v1/servers/localhost/zones/{ZONE}"
    zones = "/api/v1/servers/localhost/zones"
    played = Played({("PATCH", address): {}, ("POST", zones): {}})
    account = opened("powerdns", "http://127.0.0.1:8081", played, monkeypatch)
    account.open_zone({"name": ZONE})
    account.change(ZONE, [(None, one) for one in awkward()])
    account.change(ZONE, [(one, None) for one in awkward()])
    _fits(spec, played.sent)


def test_what_is_sent_to_cloudflare_fits_its_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    from migrator.connectors.cloudflare.connection import records_of

    spec = Spec(vendor_file("dns/cloudflare/spec/openapi-2023-08-dns-trimmed.json"), prefix="/client/v4")
    account = opened("cloudflare", "https://api.cloudflare.com", Played({}), monkeypatch)
    bodies = [body for one in _taken(account) for body in records_of(one)]
    # Batches are younger than the specification: each record of one as if it were sent alone. So is the name of an SRV,
    # which that of 2023 both asks for and calls its own.
    bodies = [body for body in bodies if body["type"] != "SRV"]
    sent = [Sent("POST", f"/client/v4/zones/{'0' * 32}/dns_records", json.dumps(body).encode()) for body in bodies]
    assert {body["type"] for body in bodies} >= {"A", "CAA", "TXT", "TLSA", "HTTPS", "NAPTR", "DS", "URI"}
    server = (
        "id",
        "proxiable",
        "locked",
        "zone_id",
        "zone_name",
        "created_on",
        "modified_on",
    )  # the specification asks for its own
    for one in sent:
        wrong = spec.check_request(one)
        if b'"data"' in one.body:
            server = (*server, "content")  # what it makes of the parts
        assert [said for said in wrong if not any(f"'{name}' is a required" in said for name in server)] == [], one.body


def _without_files(node: Any) -> Any:
    """Return a specification without references to files that were left out of it."""
    if isinstance(node, list):
        return [_without_files(one) for one in node]
    if isinstance(node, dict):
        kept = {k: v for k, v in node.items() if k != "discriminator" and not (k == "$ref" and str(v)[0] != "#")}
        return {k: _without_files(v) for k, v in kept.items()}
    return node


def test_what_is_sent_to_digitalocean_fits_its_specification(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = json.loads(vendor_file("dns/digitalocean/spec/openapi-domains-trimmed.json").read_text("utf-8"))
    (tmp_path / "spec.json").write_text(json.dumps(_without_files(whole)), encoding="utf-8")
    spec = Spec(tmp_path / "spec.json")
    records = f"/v2/domains/{ZONE.rstrip('.')}/records"
    made = {"domain_record": {"id": 1}}
    answers = {
        ("GET", records): {"domain_records": [], "links": {}},
        ("POST", records): made,
        ("POST", "/v2/domains"): {},
    }
    played = Played(answers)
    account = opened("digitalocean", "https://api.digitalocean.com", played, monkeypatch)
    account.open_zone({"name": ZONE})
    account.change(ZONE, [(None, one) for one in _taken(account)])
    _fits(spec, [one for one in played.sent if one.method != "GET"])


def _fits(spec: Spec, sent: list[Sent]) -> None:
    assert sent
    for one in sent:
        wrong = spec.check_request(one)
        assert wrong == [], (wrong, one.body[:600])
        assert not any(said.startswith(NOT_SPECIFIED) for said in wrong)
