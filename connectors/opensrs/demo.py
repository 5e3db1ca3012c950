"""A made-up account with one of everything, for the sandbox."""

from __future__ import annotations

from typing import Any

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox

OWN = ("ns1.systemdns.com", "ns2.systemdns.com")
PERSON: Native = {"first_name": "Ann", "last_name": "Grün", "org_name": "Acme", "email": "ann@acme.example"}
RECORDS: dict[str, list[Native]] = {
    "A": [{"subdomain": "", "ip_address": "192.0.2.10"}, {"subdomain": "*", "ip_address": "192.0.2.11"}],
    "AAAA": [{"subdomain": "www", "ipv6_address": "2001:db8::1"}],
    "CNAME": [{"subdomain": "shop", "hostname": "shops.example"}],
    "MX": [{"subdomain": "", "priority": 10, "hostname": "mx.a.hostedemail.com"}],
    "SRV": [{"subdomain": "_sip._tcp", "priority": 1, "weight": 2, "port": 5060, "hostname": "sip.acme.example"}],
    "TXT": [{"subdomain": "", "text": f'v=spf1 ip4:192.0.2.{n} -all; "é" <&>'} for n in range(12)],
}
SIEVE = 'require ["fileinto"];\nif header :contains "subject" "<b>" { fileinto "Junk"; }\n'


def fill(box: Sandbox) -> Any:
    """Put nine domains, a zone and five users in."""
    names = ["acme.example", *(f"acme{number}.example" for number in range(8))]
    servers = [{"name": name, "sortorder": number} for number, name in enumerate(OWN, start=1)]
    contacts = dict.fromkeys(("owner", "admin", "billing", "tech"), PERSON)
    bodies = [{"name": name, "nameserver_list": servers, "contact_set": contacts} for name in names]
    sandbox.seed(box, "domains", [{**bodies[0], "lock_state": "1", "auto_renew": "1"}, *bodies[1:]])
    sandbox.ACTIONS["CREATE_DNS_ZONE"](box, {"domain": "acme.example", "records": RECORDS})
    sandbox.seed(box, "mail_domains", [{"domain": "acme.example"}, {"domain": "acme1.example"}])
    call = sandbox.METHODS
    for name in ("ann", "bob", "eve"):
        given: Native = {"password": "x", "name": name.title(), "quota": 5 * 2**30, "delivery_local": True}
        call["change_user"](box, {"user": f"{name}@acme.example", "attributes": given})
    away = {"delivery_autoresponder": True, "autoresponder": "Away.\nÜ", "autoresponder_option_interval": 24}
    call["change_user"](box, {"user": "ann@acme.example", "attributes": {**away, "aliases": ["sales@acme.example"]}})
    both = {"delivery_forward": True, "forward_recipients": ["bob@elsewhere.example"]}
    call["change_user"](box, {"user": "bob@acme.example", "attributes": both})
    only = {"type": "forward", "delivery_forward": True, "forward_recipients": ["ann@acme.example", "x@y.example"]}
    call["change_user"](box, {"user": "team@acme1.example", "attributes": only})
    rules: Native = {"user": "ann@acme.example", "ruleset": "managesieve", "data": SIEVE, "active_rule": "managesieve"}
    call["set_sieve"](box, rules)
    return names
