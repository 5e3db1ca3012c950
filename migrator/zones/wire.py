"""Port 53: zones transferred, names asked for, dynamic updates. What the world sees, and not what an API says of it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import dns.update
import dns.xfr

from migrator.errors import (
    AbsentError,
    AccessError,
    ForbiddenError,
    RefusedError,
    RetryError,
    UnknownOutcomeError,
    VendorError,
)
from migrator.zones.records import RecordSet, Told, of_rdata, of_rdatas, of_told, parsed

T = TypeVar("T")
Answer = tuple[str, str, int, Told]  # name and type as record sets have them, TTL, one value
SECONDS = 10.0  # for one answer
TRANSFER_SECONDS = 300.0
TRIES = 3
NOBODYS = (dns.rcode.NOTAUTH, dns.rcode.BADSIG, dns.rcode.BADKEY, dns.rcode.BADTIME)


@dataclass(frozen=True)
class Key:
    """A TSIG key: ``algorithm:name:secret``, as dig -y takes it."""

    name: dns.name.Name
    algorithm: dns.name.Name
    ring: Mapping[dns.name.Name, dns.tsig.Key] = field(repr=False)

    @classmethod
    def read(cls, text: str) -> Key:
        """Return the key. Raises AccessError, which does not show the secret."""
        try:
            algorithm, name, secret = text.split(":")
            said = dns.name.from_text(algorithm)
            return cls(dns.name.from_text(name), said, dns.tsigkeyring.from_text({name: (said, secret)}))
        except (ValueError, dns.exception.DNSException) as err:
            raise AccessError("a TSIG key is written algorithm:name:secret, such as hmac-sha256:migrator:…") from err


@dataclass(frozen=True)
class Server:
    """An authoritative server. ``name``: as the person named it; ``address``: where it answers."""

    name: str
    address: str
    port: int = 53
    key: Key | None = None

    @classmethod
    def read(cls, text: str, key: Key | None = None) -> Server:
        """Return ``host``, ``host:port`` or ``[address]:port``. Raises VendorError where the host has no address."""
        host, _, port = text.strip().rpartition(":") if ":" in text and not text.endswith("]") else (text, "", "53")
        try:
            found = socket.getaddrinfo(host.strip("[] "), int(port), type=socket.SOCK_DGRAM)
        except (OSError, ValueError) as err:
            raise VendorError(f"the server {text.strip()!r} has no address: {err}") from err
        return cls(text.strip(), str(found[0][4][0]), int(port), key)

    def transferred(self, zone: str) -> Iterator[RecordSet]:
        """Yield the zone's record sets, the way they are served, each once.

        Raises ForbiddenError where transfers are refused, AbsentError where the zone is not served, RetryError.
        """
        gathered: dict[tuple[str, str], tuple[int, list[Told]]] = {}
        for name, type, ttl, told in _patiently(lambda: list(self._transfer(zone))):
            if type == "SOA" and (name, type) in gathered:
                continue  # the last record of a transfer is the first one again
            least, values = gathered.setdefault((name, type), (ttl, []))
            values.append(told)
            if ttl < least:
                gathered[name, type] = (ttl, values)
        for (name, type), (ttl, values) in gathered.items():
            yield of_told(zone, name, type, ttl, values)

    def _transfer(self, zone: str) -> Iterator[Answer]:
        try:
            how: dict[str, Any] = {"timeout": SECONDS, "lifetime": TRANSFER_SECONDS, "relativize": False}
            if self.key:
                how |= {"keyring": self.key.ring, "keyname": self.key.name, "keyalgorithm": self.key.algorithm}
            for message in dns.query.xfr(self.address, zone, port=self.port, **how):
                for rrset in message.answer:
                    name, of = rrset.name.canonicalize().to_text(), dns.rdatatype.to_text(rrset.rdtype)
                    yield from ((name, of, rrset.ttl, of_rdata(rdata)) for rdata in rrset)
        except dns.xfr.TransferError as err:
            if err.rcode in (dns.rcode.REFUSED, dns.rcode.SERVFAIL):
                said = f"{self.name} refuses to transfer {zone} ({dns.rcode.to_text(err.rcode)})"
                raise ForbiddenError(f"{said}; allow this address, or the key, to transfer it") from err
            if err.rcode in NOBODYS and self.key:
                raise AccessError(f"{self.name}: {zone}: the key is refused ({dns.rcode.to_text(err.rcode)})") from err
            raise AbsentError(f"{self.name} does not serve {zone} ({dns.rcode.to_text(err.rcode)})") from err
        except (dns.tsig.PeerError, dns.tsig.BadSignature) as err:
            raise AccessError(f"{self.name}: the key is refused ({type(err).__name__})") from err
        except (OSError, EOFError, dns.exception.DNSException) as err:
            raise RetryError(f"{self.name}: the transfer of {zone} broke off ({type(err).__name__})") from err

    def asked(self, zone: str, name: str, type: str) -> RecordSet | None:
        """Return what the server answers to one question, None where there is no such set.

        Raises AbsentError where it does not serve the zone, RetryError.
        """
        question = dns.message.make_query(name, type, use_edns=True, payload=4096)
        question.flags &= ~dns.flags.RD
        self._signed(question)

        def once() -> dns.message.Message:
            try:
                return dns.query.udp_with_fallback(question, self.address, SECONDS, self.port)[0]
            except (OSError, EOFError, dns.exception.DNSException) as err:
                raise RetryError(f"{self.name}: no answer for {name} {type} ({err.__class__.__name__})") from err

        answer = _patiently(once)
        if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise AbsentError(f"{self.name}: {name} {type}: {dns.rcode.to_text(answer.rcode())}")
        asked, of = dns.name.from_text(name), dns.rdatatype.from_text(type)
        for section in (answer.answer, answer.authority, answer.additional):  # a delegation, its glue
            found = answer.get_rrset(section, asked, dns.rdataclass.IN, of)
            if found:
                return of_rdatas(zone, found.name, type, found.ttl, found)
        return None

    def serial(self, zone: str) -> int | None:
        """Return the zone's serial here, None where it is not served."""
        try:
            found = self.asked(zone, zone, "SOA")
        except AbsentError:
            return None
        return int(found.values[0].split()[2]) if found else None

    def updated(self, zone: str, changes: Sequence[tuple[RecordSet | None, RecordSet | None]]) -> None:
        """Carry out one dynamic update (RFC 2136): record sets from what they were to what they shall be.

        All of it or nothing: what was none must still be none, and what was there must still have these values.
        Raises RefusedError, AccessError, RetryError (nothing was done), UnknownOutcomeError.
        """
        message = dns.update.UpdateMessage(zone)
        for was, becomes in changes:
            one = becomes or was
            assert one is not None
            if was is None:
                message.absent(one.name, one.type)
            else:
                message.present(one.name, *[parsed(was.type, text) for text in was.texts()])
                message.delete(one.name, one.type)
            for text in becomes.texts() if becomes else ():
                message.add(one.name, one.ttl, parsed(one.type, text))
        self._signed(message)
        said = f"update of {zone} at {self.name}"
        try:
            wire = message.to_wire(max_size=65535)
        except dns.exception.TooBig as err:
            raise RefusedError(f"{said}: {len(changes)} record sets are more than one message holds") from err

        def connected() -> socket.socket:
            try:
                return socket.create_connection((self.address, self.port), SECONDS)
            except OSError as err:
                raise RetryError(f"{said}: no connection ({err})") from err

        with _patiently(connected) as connection:
            connection.settimeout(TRANSFER_SECONDS)
            try:
                connection.sendall(len(wire).to_bytes(2, "big") + wire)
                answer, _ = dns.query.receive_tcp(connection, keyring=message.keyring, request_mac=message.mac)
            except (dns.tsig.PeerError, dns.tsig.BadSignature) as err:
                raise AccessError(f"{said}: the key is refused ({type(err).__name__})") from err
            except (OSError, EOFError, dns.exception.DNSException) as err:
                raise UnknownOutcomeError(f"{said}: no answer ({type(err).__name__})") from err
        _judged(answer.rcode(), said)

    def _signed(self, message: Any) -> None:
        if self.key:
            message.use_tsig(self.key.ring, self.key.name, algorithm=self.key.algorithm)


def _patiently(call: Callable[[], T]) -> T:
    """Return what a call returns that may be repeated; a name server has no pauses to keep, its timeouts are enough."""
    for attempt in range(1, TRIES + 1):
        try:
            return call()
        except RetryError:
            if attempt == TRIES:
                raise
    raise AssertionError("unreachable")


def delegated(server: str, zone: str) -> tuple[int | None, int | None]:
    """Return the TTLs of a zone's NS and DS as a server of the zone above tells them, None where it has none."""
    parent = Server.read(server)
    ns, ds = (parent.asked(zone, zone, type) for type in ("NS", "DS"))
    return ns.ttl if ns else None, ds.ttl if ds else None


def _judged(code: dns.rcode.Rcode, said: str) -> None:
    """Raise what a server's answer to an update amounts to; an update is carried out as a whole, or not at all."""
    word = dns.rcode.to_text(code)
    if code == dns.rcode.NOERROR:
        return
    if code in NOBODYS:
        raise AccessError(f"{said}: {word}: the server takes no updates of it from here, or with this key")
    if code == dns.rcode.SERVFAIL:
        raise RetryError(f"{said}: {word}")
    why = {
        dns.rcode.YXRRSET: "a record set is there already that was not when the plan was made",
        dns.rcode.NXRRSET: "a record set is no longer what it was when it was looked at",
    }.get(code, "refused")
    raise RefusedError(f"{said}: {why}", status=int(code), answer=word)
