"""Each vendor's own form of a record set says the same again when it is read."""

from __future__ import annotations

from xml.etree import ElementTree

import dns.rdatatype
import dns.zone
import pytest

from migrator import registry
from migrator.connectors.cloudflare import connection as cloudflare
from migrator.connectors.digitalocean import connection as digitalocean
from migrator.connectors.powerdns import connection as powerdns
from migrator.connectors.route53 import connection as route53
from migrator.zones.records import RecordSet, of_rdatas, record_set
from tests.support.dns_zones import AWKWARD, ZONE

pytestmark = pytest.mark.unit


def awkward(vendor: str) -> list[RecordSet]:
    """Return the awkward zone's sets that a vendor takes."""
    write = registry.connector(vendor).manifest.write("record_set")
    assert write is not None
    types = write.takes.get("type")
    zone = dns.zone.from_text(AWKWARD, ZONE, relativize=False, check_origin=False)
    found = [
        of_rdatas(ZONE, name, dns.rdatatype.to_text(rdataset.rdtype), rdataset.ttl, rdataset)
        for name, rdataset in zone.iterate_rdatasets()
    ]
    return [one for one in found if not one.body().get("provided") and (types is None or one.type in types)]


def same(one: RecordSet, other: RecordSet) -> bool:
    return (one.id, one.ttl, one.values) == (other.id, other.ttl, other.values)


@pytest.mark.parametrize("one", awkward("cloudflare"), ids=lambda one: one.id)
def test_cloudflares_records(one: RecordSet) -> None:
    assert same(cloudflare._told(ZONE, [dict(record) for record in cloudflare.records_of(one)]), one)


@pytest.mark.parametrize("one", awkward("digitalocean"), ids=lambda one: one.id)
def test_digitaloceans_records(one: RecordSet) -> None:
    if b"\\127" in one.values[0].encode():
        pytest.skip("bytes that are no text cannot be told in JSON")
    assert same(digitalocean._told(ZONE, digitalocean.records_of(one)), one)


@pytest.mark.parametrize("one", awkward("route53"), ids=lambda one: one.id)
def test_route53s_sets(one: RecordSet) -> None:
    assert same(route53._told(ZONE, ElementTree.fromstring(route53.set_of(one))), one)


@pytest.mark.parametrize("one", awkward("powerdns"), ids=lambda one: one.id)
def test_powerdns_sets(one: RecordSet) -> None:
    told = powerdns._told(ZONE, powerdns._rrset(None, one))
    assert same(told, one)
    assert told.pieces == one.pieces


def test_powerdns_keeps_what_is_switched_off_and_the_note() -> None:
    one = RecordSet(ZONE, f"x.{ZONE}", "A", 60, ("192.0.2.1",), beside={"disabled": ["192.0.2.2"], "comment": "a\nb"})
    assert powerdns._told(ZONE, powerdns._rrset(None, one)) == one


def test_route53_keeps_a_backslash_that_stands_before_digits() -> None:
    one = record_set(ZONE, "t", "TXT", 60, [r'"\\195 and \\\195\188 and \\101"'])
    assert same(route53._told(ZONE, ElementTree.fromstring(route53.set_of(one))), one)


def test_an_alias_of_route53_has_a_rule_and_no_values_and_weighted_sets_are_told_apart() -> None:
    alias = "<S><Name>a.x.</Name><Type>A</Type><AliasTarget><DNSName>lb.aws.</DNSName></AliasTarget></S>"
    told = route53._told("x.", ElementTree.fromstring(alias))
    assert (told.values, told.body()["policy"]) == ((), "alias of lb.aws.")
    weighted = (
        "<S><Name>\\052.x.</Name><Type>A</Type><SetIdentifier>eu west</SetIdentifier><Weight>3</Weight><TTL>60</TTL>"
        "<ResourceRecords><ResourceRecord><Value>192.0.2.1</Value></ResourceRecord></ResourceRecords></S>"
    )
    told = route53._told("x.", ElementTree.fromstring(weighted))
    assert (told.id, told.name) == ("x. A *.x.|eu_west", "*.x.")
    assert told.body()["policy"] == "SetIdentifier eu west; Weight 3"


@pytest.mark.parametrize("content", [b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", b"<x", b"{}"])
def test_route53_answers_that_are_more_or_less_than_xml_are_refused(content: bytes) -> None:
    with pytest.raises(Exception, match="Route 53"):
        route53._parsed(content)
