"""What Plesk's documentation lets stand in a packet, and in which order: "put nodes in the order they follow"."""

from __future__ import annotations

from xml.etree.ElementTree import Element

# docs.plesk.com, XML API reference (Obsidian, Onyx), the sections "Request Packet Structure", read 2026-11-27
ORDER: dict[str, str] = {
    "webspace/get": "filter dataset",
    "webspace/get/filter": "id owner-id name owner-login guid owner-guid external-id owner-external-id",
    "webspace/get/dataset": "gen_info hosting limits stat prefs disk_usage performance subscriptions permissions",
    "site/add": "gen_setup hosting prefs",
    "site/add/gen_setup": "name htype status webspace-name webspace-id webspace-guid parent-site-id parent-site-name",
    "site/get": "filter dataset",
    "site/get/filter": "id parent-id parent-site-id name parent-name parent-site-name guid parent-guid",
    "site/get/dataset": "gen_info hosting stat prefs disk_usage",
    "site/set": "filter values",
    "site/set/filter": "id parent-id parent-site-id name parent-name parent-site-name guid",
    "site/set/values": "gen_setup prefs hosting disk_usage",
    "site/set/values/hosting": "vrt_hst std_fwd frm_fwd none",
    "site/set/values/hosting/vrt_hst": "property ip_address",
    "site/set/values/hosting/vrt_hst/property": "name value",
    "site/del": "filter",
    "site/del/filter": "id parent-id parent-site-id name parent-name parent-site-name guid",
    "site-alias/create": "status pref manage-dns site-id name",
    "site-alias/get": "filter",
    "site-alias/get/filter": "id name site-id site-name",
    "site-alias/delete": "filter",
    "site-alias/delete/filter": "id name site-id site-name",
    "mail/create": "filter",
    "mail/update": "add remove set",
    "mail/get_info": "filter mailbox mailbox-usage forwarding aliases autoresponder",
    "mail/get_info/filter": "site-id name",
    "mail/remove": "filter",
    "mail/remove/filter": "site-id name",
    "mail/get_prefs": "filter",
    "mail/get_prefs/filter": "site-id",
    "mail/set_prefs": "filter prefs",
    "mail/set_prefs/filter": "site-id",
    "mail/set_prefs/prefs": "nonexistent-user webmail spam-protect-sign greylisting mailservice webmail-certificate",
    "mail/set_prefs/prefs/nonexistent-user": "bounce forward reject",
    "database/add-db": "webspace-id name type db-server-id",
    "database/del-db": "filter",
    "database/del-db/filter": "id webspace-id webspace-name",
    "database/get-db": "filter",
    "database/get-db/filter": "id webspace-id webspace-name",
    "database/add-db-user": "db-id webspace-id db-server-id login password password-type acl",
    "database/get-db-users": "filter",
    "database/get-db-users/filter": "id db-id",
    "database/del-db-user": "filter",
    "database/del-db-user/filter": "id db-id",
    "ftp-user/add": "name password home create-non-existent quota permissions webspace-id webspace-name",
    "ftp-user/set": "filter values",
    "ftp-user/set/filter": "id name webspace-id webspace-name",
    "ftp-user/set/values": "name password home create-non-existent quota permissions",
    "ftp-user/get": "filter",
    "ftp-user/get/filter": "id name webspace-id webspace-name",
    "ftp-user/del": "filter",
    "ftp-user/del/filter": "id name webspace-id webspace-name",
    "dns/add_rec": "site-id site-alias-id type host value opt",
    "dns/get_rec": "filter template",
    "dns/get_rec/filter": "id site-id site-alias-id",
    "dns/del_rec": "filter template",
    "dns/del_rec/filter": "id site-id site-alias-id",
    "php-handler/get": "filter",
    "php-handler/get/filter": "id",
}
MAILNAME = {
    "filter": "site-id mailname",
    "filter/mailname": "id name cp-access mailbox forwarding alias autoresponder password antivir",
    "filter/mailname/mailbox": "enabled quota",
    "filter/mailname/forwarding": "enabled address",
    "filter/mailname/autoresponder": "enabled subject content_type charset text attachment end_date",
    "filter/mailname/password": "value type",
}
for _operation in ("mail/create", "mail/update/set", "mail/update/add", "mail/update/remove"):
    ORDER |= {f"{_operation}/{path}": names for path, names in MAILNAME.items()}
    if _operation != "mail/create":
        ORDER[_operation] = "filter"


def fault(node: Element, path: str) -> str:
    """Return what a parser would say of the first element that may not stand where it does; nothing where all may."""
    allowed, at = ORDER.get(path, "").split(), 0
    for one in node:
        if one.tag not in allowed or allowed.index(one.tag) < at:
            return (
                f"Parser error: Request is invalid. Error in line 1: Element '{one.tag}': This element is not expected."
            )
        at = allowed.index(one.tag)
        if problem := fault(one, f"{path}/{one.tag}"):
            return problem
    return ""
