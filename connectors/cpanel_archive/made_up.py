"""A made-up account's archive, for tests and trials: laid out as cPanel lays it out, and never real."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Sequence

from migrator.connectors.archives.written import AT, entry, write

__all__ = ["AT", "DOMAIN", "DUMP", "FILES", "ROOT", "USER", "ZONE", "entries", "entry", "write"]

ROOT, USER, DOMAIN = "cpmove-acme", "acme", "acme.example"
CERTIFICATE = (
    "-----BEGIN PRIVATE KEY-----\nbWFkZSB1cA==\n-----END PRIVATE KEY-----\n"
    "-----BEGIN CERTIFICATE-----\nMIIBCg==\n-----END CERTIFICATE-----\n"
)
ZONE = """$TTL 14400
acme.example. 86400 IN SOA ns1.old.example. root.acme.example. 2026010101 3600 1800 1209600 86400
acme.example. 86400 IN NS ns1.old.example.
acme.example. IN A 192.0.2.10
acme.example. IN MX 0 acme.example.
acme.example. IN TXT "v=spf1 +a \\"+mx\\" ip4:192.0.2.10 ~all; x"
default._domainkey IN TXT "v=DKIM1; k=rsa; p=KEY1" "KEY2"
www IN CNAME acme.example.
_sip._tcp IN SRV 10 60 5060 sip.acme.example.
cpanel IN A 192.0.2.10
webmail IN A 192.0.2.99
""".replace("KEY1", "A" * 237).replace("KEY2", "B" * 160)
FILTERS = """filter:
  - filtername: spam
    enabled: 1
    rules:
      - {part: "$header_subject:", match: contains, val: "[SPAM]", opt: or}
      - {part: "$header_from:", match: is, val: "x@spam.example", opt: or}
    actions:
      - {action: save, dest: "$home/mail/acme.example/ann/.Junk"}
  - filtername: by a program
    enabled: 1
    rules:
      - {part: "$header_to:", match: contains, val: "robot", opt: or}
    actions:
      - {action: pipe, dest: "/home/acme/bin/robot"}
"""
GRANTS = """-- cPanel mysql backup
GRANT USAGE ON *.* TO 'acme_wp'@'localhost' IDENTIFIED BY PASSWORD '*0123456789ABCDEF0123456789ABCDEF01234567';
GRANT ALL PRIVILEGES ON `acme\\_wp`.* TO 'acme_wp'@'localhost';
GRANT ALL PRIVILEGES ON `acme\\_wp`.* TO 'acme_wp'@'192.0.2.10';
CREATE USER 'acme_ro'@'%' IDENTIFIED WITH 'mysql_native_password' AS '*00112233445566778899AABBCCDDEEFF00112233';
GRANT SELECT, SHOW VIEW ON `acme\\_wp`.* TO `acme_ro`@`%`;
"""
DUMP = """/*M!999999\\- enable the sandbox mode */
-- MariaDB dump 10.19; the text "it's" is no quote here
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
DROP TABLE IF EXISTS `wp_posts`;
CREATE TABLE `wp_posts` (`id` int NOT NULL, `text` longtext COMMENT 'a; b') ENGINE=InnoDB;
LOCK TABLES `wp_posts` WRITE;
INSERT INTO `wp_posts` VALUES (1,'GRANT ALL; it''s \\'quoted\\'\\\\'),(2,'-- no; comment');
UNLOCK TABLES;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER t BEFORE INSERT ON wp_posts FOR EACH ROW BEGIN
  UPDATE other SET n = n + 1; DELETE FROM third; END */;;
DELIMITER ;
-- Dump completed"""
FILES: dict[str, str] = {
    "version": "archive_version: 4\n",
    "cp/acme": "USER=acme\nDNS=acme.example\nPHPVERSION=ea-php83\nPLAN=gold\n",
    "homedir_paths": "/home/acme\n",
    "userdata/main": "main_domain: acme.example\naddon_domains:\n  second.example: second.acme.example\n"
    "parked_domains: [acme.test]\nsub_domains: [second.acme.example, blog.acme.example]\n",
    "userdata/acme.example": "servername: acme.example\nserveralias: www.acme.example mail.acme.example\n"
    "documentroot: /home/acme/public_html\nphpversion: ea-php82\n",
    "userdata/second.acme.example": "servername: second.acme.example\ndocumentroot: /home/acme/second\n",
    "dnszones/acme.example.db": ZONE,
    "dnszones/acme-example.cpanel.site.db": "; a temporary domain\n",
    "va/acme.example": '*: ":fail: No such person here"\nsales@acme.example: ann@acme.example,out@elsewhere.example\n'
    "ann@acme.example: ann@acme.example,bob@acme.example\n"
    'hook@acme.example: "|/home/acme/bin/ticket --new, now"\n'
    'bob@acme.example: "|/usr/local/cpanel/bin/autorespond bob@acme.example /home/acme/.autorespond"\n',
    "va/second.example": "*: acme\n",
    "vad/second.example": "second.example: acme.example\n",
    "homedir/.autorespond/bob@acme.example": "From: Bob <bob@acme.example>\nContent-type: text/plain; charset=utf-8\n"
    "Subject: Away\n\nBack on Monday.\n",
    "homedir/.autorespond/bob@acme.example.json": '{"start": 1719792000, "stop": 0, "interval": 24}',
    "homedir/etc/acme.example/passwd": "ann:x:1000:1000::/home/acme/mail/acme.example/ann:/bin/false\n"
    "bob:x:1000:1000::/home/acme/mail/acme.example/bob:/bin/false\n",
    "homedir/etc/acme.example/shadow": "ann:$6$salt$hash:16000::::::\nbob:!$6$salt$other:16000::::::\n",
    "homedir/etc/acme.example/quota": "ann:262144000\n",
    "homedir/etc/acme.example/ann/filter.yaml": FILTERS,
    "cron/acme": 'MAILTO="ann@acme.example"\nSHELL="/bin/bash"\n# nightly\n'
    "*/5 * * * 1-5 php -q $HOME/cron.php\n@daily /home/acme/bin/x\n",
    "proftpdpasswd": "acme:$6$a:1000:1000:acme:/home/acme:/bin/false\n"
    "up@acme.example:$6$b:1000:1000:acme:/home/acme/public_html/up:/bin/false\n",
    "mysql.sql": GRANTS,
    "mysql/acme_wp.create": "CREATE DATABASE `acme_wp` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;\n",
    "mysql/acme_wp.sql": DUMP,
    "apache_tls/acme.example": CERTIFICATE,
    "mm/news_acme.example/config.pck": "cos\nsystem\n(S'touch loaded'\ntR.",
    "homedir/public_html/index.php": "<?php echo 'hi';\n",
    "homedir/public_html/.htaccess": "Redirect 301 /old /new\n",
    "homedir/mail/acme.example/ann/subscriptions": "V\t2\n\nArchive\t2024\n",
    "homedir/mail/acme.example/ann/dovecot-keywords": "0 $Forwarded\n1 NonJunk\n",
    "homedir/mail/acme.example/ann/dovecot.index.log": "not a message",
    "logs/acme.example.gz": "not read",
}  # fmt: skip


def entries(
    messages: Sequence[bytes] = (), *, box: str = "homedir/mail/acme.example/ann", flags: str = "S"
) -> list[tuple[tarfile.TarInfo, bytes]]:
    """Return the account's entries; the messages lie in the INBOX and, every fourth, in Archive.2024."""
    made = [entry(f"{ROOT}/{path}", text.encode()) for path, text in FILES.items()]
    for folder in ("", "/.Archive", "/.Archive.2024", "/.Entw&APw-rfe", "/.Empty"):
        made += [
            entry(f"{ROOT}/{box}{folder}/{part}", type=tarfile.DIRTYPE, mode=0o700) for part in ("cur", "new", "tmp")
        ]
    made.append(entry(f"{ROOT}/homedir/mail/acme.example/bob/cur", type=tarfile.DIRTYPE))
    made.append(entry(f"{ROOT}/homedir/empty", type=tarfile.DIRTYPE, mode=0o755))
    made.append(entry(f"{ROOT}/homedir/www", type=tarfile.SYMTYPE, linkname="public_html"))
    made.append(
        entry(f"{ROOT}/homedir/copy.php", type=tarfile.LNKTYPE, linkname=f"{ROOT}/homedir/public_html/index.php")
    )
    for number, body in enumerate(messages):
        folder = "/.Archive.2024" if number % 4 == 3 else ""
        packed = gzip.compress(body, mtime=0) if number % 5 == 1 else body
        name = (
            f"{ROOT}/{box}{folder}/cur/{AT + number}.M1P{number}.old,S={len(body)}:2,{flags}{'a' * (number % 3 == 0)}"
        )
        made.append(entry(name, packed, mtime=AT + number % 60))
    return made
