"""A made-up account's backup, for tests and trials: laid out as DirectAdmin lays it out, and never real."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence

from migrator.connectors.archives.written import AT, Entry, entry, packed, tar, write

__all__ = ["AT", "DOMAIN", "FILES", "HOME", "USER", "ZONE", "entries", "write"]
USER, DOMAIN = "acme", "acme.example"
D = f"backup/{DOMAIN}"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBCg==\n-----END CERTIFICATE-----\n"
ALL = "&".join(
    f"{one}_priv=Y"
    for one in (
        "alter alter_routine create create_routine create_tmp_table create_view delete drop event execute index insert "
        "lock_tables references select show_view trigger update"
    ).split()
)
ZONE = """$TTL 3600
@       IN      SOA     ns1.old.example.      hostmaster.acme.example. (
                                                2026010101
                                                3600
                                                3600
                                                1209600
                                                86400 )

acme.example.     3600   IN      NS      ns1.old.example.
acme.example.     14400  IN      A       192.0.2.10
ftp     3600   IN      A       192.0.2.10
mail    3600   IN      A       192.0.2.10
www     3600   IN      A       192.0.2.10
acme.example.     3600   IN      MX      10 mail
acme.example.     3600   IN      TXT     "v=spf1 a mx ip4:192.0.2.10 ~all"
x._domainkey      3600   IN      TXT     ( "v=DKIM1; k=rsa; p=KEY1"
                                           "KEY2" )
_acme-challenge   60     IN      TXT     "check"
""".replace("KEY1", "A" * 230).replace("KEY2", "B" * 160)
DUMP = """/*M!999999\\- enable the sandbox mode */
CREATE TABLE `wp_posts` (`id` int NOT NULL, `text` longtext) ENGINE=InnoDB;
INSERT INTO `wp_posts` VALUES (1,'GRANT ALL; it''s quoted');
-- Dump completed"""
FILES: dict[str, str] = {
    "backup/user.conf": "username=acme\ndomain=acme.example\nemail=ann@acme.example\nusertype=user\n",
    "backup/user.usage": "quota=1\n",
    "backup/crontab.conf": "1=*/5 * * * 1-5 php -q $HOME/cron.php?a=1\n2=@daily /home/acme/bin/x\n"
    "MAILTO=ann@acme.example\nPATH=/usr/local/php83/bin:/usr/bin\n",
    "backup/acme_wp.conf": "accesshosts=0=localhost&1=192.0.2.10\n"
    "db_collation=CATALOG_NAME=def&DEFAULT_CHARACTER_SET_NAME=utf8mb4&DEFAULT_COLLATION_NAME=utf8mb4_unicode_ci"
    f"&SCHEMA_NAME=acme_wp\nacme_wp={ALL}&grant_priv=N&passwd=%2A{'01' * 20}\n"
    "acme_ro=select_priv=Y&show_view_priv=Y&update_priv=N&passwd=%2A" + "AB" * 20 + "\n",
    "backup/acme_wp.sql": DUMP,
    f"{D}/domain.conf": "active=yes\ndomain=acme.example\ndefaultdomain=yes\nlocal_domain=1\nphp=ON\nsuspended=no\n",
    f"{D}/domain.pointers": "acme.test=alias\nold.test=type=pointer&local_mail=yes\n",
    f"{D}/subdomain.list": "blog\nshop\n",
    f"{D}/domain.subdomains.docroot.override": "shop=public_html=/domains/acme.example/store"
    "&private_html=/domains/acme.example/store\n",
    f"{D}/{DOMAIN}.db": ZONE,
    f"{D}/acme.test.db": "$TTL 3600\nacme.test. IN A 192.0.2.10\n",
    f"{D}/domain.cert": CERTIFICATE,
    f"{D}/domain.key": "-----BEGIN PRIVATE KEY-----\nbWFkZSB1cA==\n-----END PRIVATE KEY-----\n",
    f"{D}/ftp.passwd": "acme=passwd=$6$a&path=/home/acme&type=system\n"
    "up@acme.example=passwd=$6$b&path=/home/acme/domains/acme.example/public_html/up&type=custom\n",
    f"{D}/email/passwd": "ann:$6$salt$hash\nbob:!$6$salt$other\n",
    f"{D}/email/quota": "ann:262144000\nbob:0\n",
    f"{D}/email/aliases": "acme:acme\nsales:ann@acme.example,out@elsewhere.example\nann:bob\ninfo:acme\n"
    'hook:"|/home/acme/bin/ticket --new, now"\n',
    f"{D}/email/email.conf": "catchall=:fail:\n",
    f"{D}/email/autoresponder.conf": "sales:ann@acme.example\n",
    f"{D}/email/vacation.conf": "bob: endday=12&endmonth=7&endtime=evening&endyear=2026&startday=1&startmonth=07"
    "&starttime=morning&startyear=2026\n",
    f"{D}/email/reply/sales.msg": "We have it.\n",
    f"{D}/email/reply/sales.subject": "Thanks",
    f"{D}/email/reply/sales.headers": "Content-Type: text/html; charset=UTF-8\n",
    f"{D}/email/reply/sales.once_time": "2d",
    f"{D}/email/reply/bob.msg": "Back on Monday.\n",
    f"{D}/email/reply/bob.subject": "Away\n",
    f"{D}/email/filter": "# Exim filter\nif $header_subject: contains spam then seen finish endif\n",
    f"{D}/email/majordomo/lists/news": "x@else.example\nann@acme.example\n",
    f"{D}/email/majordomo/lists/news.config": "moderate = no\n",
    f"{D}/email/majordomo/lists/news-digest": "y@else.example\n",
    "backup/second.example/domain.conf": "domain=second.example\nlocal_domain=0\nphp1_select=2\nsuspended=yes\n",
    "backup/second.example/email/aliases": "acme:acme\n*:acme\n",
    "imap/acme.example/ann/sieve/main.sieve": 'require ["fileinto"];\r\nfileinto "INBOX.Archive";\r\n',
    "imap/acme.example/ann/sieve/other.sieve": "discard;\n",
    "imap/acme.example/ann/Maildir/subscriptions": "V\t2\n\nArchive\t2024\n",
    "imap/acme.example/ann/Maildir/dovecot-keywords": "0 $Forwarded\n",
    "imap/acme.example/ann/Maildir/dovecot.index.log": "not a message",
    "domains/acme.example/public_html/index.php": "<?php echo 'hi';\n",
    "domains/acme.example/public_html/.htaccess": "Redirect 301 /old /new\n",
}  # fmt: skip
HOME: dict[str, str] = {".bashrc": "alias x=y\n", "bin/x": "#!/bin/sh\n"}


def entries(messages: Sequence[bytes] = (), *, inner: str = "gzip", flags: str = "S") -> list[Entry]:
    """Return the backup's entries; the messages lie in ann's INBOX and, every fourth, in Archive.2024."""
    box = "imap/acme.example/ann/Maildir"
    made = [entry(one, type=tarfile.DIRTYPE, mode=0o755) for one in ("domains", "domains/acme.example", "backup", D)]
    made.append(entry("domains/acme.example/public_html", type=tarfile.DIRTYPE, mode=0o755))
    made += [entry(path, text.encode()) for path, text in FILES.items()]
    made.append(entry("domains/acme.example/private_html", type=tarfile.SYMTYPE, linkname="./public_html"))
    made.append(entry("imap/acme.example/ann/.dovecot.sieve", type=tarfile.SYMTYPE, linkname="sieve/main.sieve"))
    for folder in ("", "/.Archive.2024", "/.Entw&APw-rfe"):
        made += [entry(f"{box}{folder}/{part}", type=tarfile.DIRTYPE, mode=0o700) for part in ("cur", "new", "tmp")]
    made.append(entry("imap/acme.example/bob/Maildir", type=tarfile.DIRTYPE))
    for number, body in enumerate(messages):
        folder = "/.Archive.2024" if number % 4 == 3 else ""
        letters = "a" * (number % 3 == 0 and not folder)
        made.append(
            entry(f"{box}{folder}/cur/{AT + number}.M1P{number}.old:2,{flags}{letters}", body, mtime=AT + number)
        )
    made.append(entry(f"backup/home.tar{'.zst' if inner == 'zstd' else '.gz'}", packed(tar(_home()), inner)))
    return made


def _home() -> list[Entry]:
    some = [entry("./", type=tarfile.DIRTYPE, mode=0o711), entry("./bin", type=tarfile.DIRTYPE, mode=0o755)]
    some += [entry(f"./{path}", text.encode()) for path, text in HOME.items()]
    some.append(entry("./public_html", type=tarfile.SYMTYPE, linkname="./domains/acme.example/public_html"))
    some += [entry(f"./Maildir/{part}", type=tarfile.DIRTYPE) for part in ("cur", "new", "tmp")]
    some.append(entry(f"./Maildir/cur/{AT}.M1P1.old:2,F", b"Subject: to the account\n\nbody\n", mtime=AT))
    return some
