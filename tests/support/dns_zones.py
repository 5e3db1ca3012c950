"""A zone with everything that has broken a DNS migration, and our own look at port 53, without anything of ours."""

from __future__ import annotations

from pathlib import Path

import dns.name
import dns.query
import dns.rdatatype
import dns.tsigkeyring
import dns.zone

ZONE = "awkward.example."
LONG = "v=DKIM1; k=rsa; p=" + "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A+/" * 14
AWKWARD = rf"""$ORIGIN {ZONE}
$TTL 3600
@ IN SOA ns1.old.example. host\.master.old.example. 2026112601 7200 900 1209600 600
@ IN NS ns1.old.example.
@ IN NS ns2.old.example.
@ 300 IN A 192.0.2.10
@ 300 IN A 192.0.2.11
@ IN AAAA 2001:DB8:0:0:0:0:0:1
@ IN MX 10 Mail.Awkward.Example.
@ IN MX 20 mx.elsewhere.example.
@ IN TXT "v=spf1 ip4:192.0.2.0/24 include:_spf.elsewhere.example -all"
@ IN TXT "semi;colon and \"quote\" and back\\slash"
@ IN TXT "two strings " "cut by hand" ""
@ IN CAA 0 issue "letsencrypt.org; validationmethods=dns-01"
@ IN CAA 128 iodef "mailto:security@awkward.example"
@ IN HTTPS 1 . alpn="h2,h3" ipv4hint=192.0.2.10
@ IN LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
@ IN RP ann.awkward.example. txt.awkward.example.
mail IN A 192.0.2.25
www IN CNAME @
WWW2 IN CNAME Elsewhere.Example.
* IN A 192.0.2.99
*.wild IN TXT "any"
k1._domainkey IN TXT "{LONG[:250]}" "{LONG[250:]}"
utf8 IN TXT "gr\195\188\195\159e \240\159\142\137"
empty IN TXT ""
bytes IN TXT "\000\001\127\255"
spaces IN TXT "  blanks  " "	tab"
xn--mnchen-3ya IN A 192.0.2.42
_sip._tcp IN SRV 10 60 5060 sip.awkward.example.
_imap._tcp IN SRV 0 0 0 .
_443._tcp.www2 IN TLSA 3 1 1 0D6FCE3285F6BC5ACF53C1AA2FB4C0DE0D6FCE3285F6BC5ACF53C1AA2FB4C0DE
host IN SSHFP 4 2 123456789ABCDEF67890123456789ABCDEF67890123456789ABCDEF123456789
naptr IN NAPTR 100 50 "s" "z3950+I2L+I2C" "!^urn:cid:.+@([^\\.]+\\.)(.*)$!\\2!i" _z3950._tcp.awkward.example.
svc IN SVCB 2 Svc.Elsewhere.Example. port=8443 alpn=h2
uri IN URI 10 1 "https://www.awkward.example/a;b?c=\"d\""
hinfo IN HINFO "PC \"486\"" "Li;nux"
afs IN AFSDB 1 afs.awkward.example.
pgp IN OPENPGPKEY mQENBFVHm5sBCACuS/sP
smime._smimecert IN SMIMEA 3 0 0 308201
cert IN CERT 1 12345 8 MIIBIjANBgkq
dname IN DNAME other.example.
ptr IN PTR target.elsewhere.example.
sub IN NS ns1.sub
sub IN NS ns.elsewhere.example.
ns1.sub IN A 192.0.2.53
sub IN DS 12345 13 2 49FD46E6C4B45C55D4AC49FD46E6C4B45C55D4AC49FD46E6C4B45C55D4AC1234
zero 0 IN A 192.0.2.1
forever 2147483647 IN A 192.0.2.2
a\.dot IN A 192.0.2.3
under_score IN A 192.0.2.4
private IN TYPE65333 \# 4 0A000001
"""
Served = dict[tuple[str, str], tuple[int, tuple[str, ...]]]  # (name, type) to (TTL, values)


def transferred(address: str, zone: str = ZONE, key: str | None = None) -> Served:
    """Return what a server serves of a zone, but for what is its own: SOA and NS at the apex."""
    host, _, port = address.rpartition(":")
    how: dict[str, object] = {}
    if key:
        algorithm, name, secret = key.split(":")
        ring = dns.tsigkeyring.from_text({name: (algorithm, secret)})
        how = {"keyring": ring, "keyname": dns.name.from_text(name), "keyalgorithm": dns.name.from_text(algorithm)}
    found = dns.zone.from_xfr(
        dns.query.xfr(host, zone, port=int(port), relativize=False, **how), relativize=False, check_origin=False
    )
    return served(found, zone)


def of_file(path: Path, zone: str = ZONE) -> Served:
    """Return what a zone file says, likewise."""
    return served(dns.zone.from_file(str(path), zone, relativize=False, check_origin=False), zone)


def of_text(text: str, zone: str = ZONE) -> Served:
    """Return what a zone's text says, likewise."""
    return served(dns.zone.from_text(text, zone, relativize=False, check_origin=False), zone)


def served(zone: dns.zone.Zone, apex: str) -> Served:
    """Return a zone's sets as bytes on the wire, so that no text form of anybody's matters; TXT joined."""
    found: Served = {}
    for name, rdataset in zone.iterate_rdatasets():
        type = dns.rdatatype.to_text(rdataset.rdtype)
        if name.to_text().lower() == apex and type in ("SOA", "NS"):
            continue
        values = sorted(
            b"".join(one.strings).hex()
            if type == "TXT"
            else one.to_wire(origin=None, canonicalize=True).hex()
            if not hasattr(one, "target")
            else one.to_text().lower()
            for one in rdataset
        )
        found[name.to_text().lower(), type] = (rdataset.ttl, tuple(values))
    return found
