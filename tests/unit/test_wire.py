"""What may be read again on port 53 is read again, and a name server's refusals are told apart."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import dns.message
import dns.rcode
import dns.rdataclass
import dns.rrset
import dns.update
import pytest

from migrator.errors import AbsentError, AccessError, RefusedError, RetryError, UnknownOutcomeError, VendorError
from migrator.zones.records import record_set
from migrator.zones.wire import Key, Server, delegated

pytestmark = pytest.mark.unit

SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I="
SET = record_set("x.example.", "www", "A", 60, ["192.0.2.1"])
Answer = Callable[[dns.message.Message], dns.message.Message | None]


@pytest.fixture
def playing() -> Iterator[Callable[..., Server]]:
    """Return ``playing(answer, …)``: a server on TCP and UDP that answers so, one connection after another."""
    open_sockets: list[socket.socket] = []

    def play(*answers: Answer) -> Server:
        left = list(answers)
        tcp = socket.create_server(("127.0.0.1", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(tcp.getsockname())
        open_sockets.extend([tcp, udp])

        def streams() -> None:
            while True:
                try:
                    connection, _ = tcp.accept()
                except OSError:
                    return
                with connection:
                    head = connection.recv(2)
                    question = dns.message.from_wire(connection.recv(int.from_bytes(head, "big")))
                    answer = left.pop(0)(question)
                    if answer is not None:
                        wire = answer.to_wire()
                        connection.sendall(len(wire).to_bytes(2, "big") + wire)

        def datagrams() -> None:
            while True:
                try:
                    said, whom = udp.recvfrom(65535)
                except OSError:
                    return
                if not said:
                    return
                answer = left.pop(0)(dns.message.from_wire(said))
                if answer is not None:
                    udp.sendto(answer.to_wire(), whom)

        for target in (streams, datagrams):
            threading.Thread(target=target, daemon=True).start()
        return Server.read(f"127.0.0.1:{tcp.getsockname()[1]}")

    yield play
    for one in open_sockets:
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        one.close()


def saying(code: dns.rcode.Rcode = dns.rcode.NOERROR, *lines: str) -> Answer:
    def answer(question: dns.message.Message) -> dns.message.Message:
        made = dns.message.make_response(question)
        made.set_rcode(code)
        for line in lines:
            name, ttl, type, value = line.split(" ", 3)
            made.answer.append(dns.rrset.from_text(name, int(ttl), "IN", type, value))
        return made

    return answer


def silence(question: dns.message.Message) -> None:
    return None


SOA = "x.example. 60 SOA ns. host. 1 2 3 4 5"


def test_a_transfer_that_breaks_off_is_begun_again(playing: Callable[..., Server]) -> None:
    server = playing(silence, saying(dns.rcode.NOERROR, SOA, "www.x.example. 60 A 192.0.2.1", SOA))
    assert {one.id for one in server.transferred("x.example.")} == {SET.id, "x.example. SOA x.example."}


def test_a_transfer_that_breaks_off_each_time_is_said_so(playing: Callable[..., Server]) -> None:
    with pytest.raises(RetryError, match="broke off"):
        list(playing(silence, silence, silence).transferred("x.example."))


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("www.x.example. 60 A 192.0.2.1", SOA),
        (SOA, "www.x.example. 60 A 192.0.2.1", SOA.replace("1 2", "9 2")),
        (SOA, SOA, "www.x.example. 60 A 192.0.2.1"),
    ],
)
def test_a_transfer_without_its_frame_is_none(playing: Callable[..., Server], lines: tuple[str, ...]) -> None:
    with pytest.raises(RetryError, match="broke off"):
        list(playing(*[saying(dns.rcode.NOERROR, *lines)] * 3).transferred("x.example."))


@pytest.mark.parametrize(
    ("code", "error"), [("REFUSED", AccessError), ("NOTAUTH", AbsentError), ("NXDOMAIN", AbsentError)]
)
def test_a_refused_transfer_is_no_empty_zone(playing: Callable[..., Server], code: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        list(playing(saying(dns.rcode.from_text(code))).transferred("x.example."))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("YXRRSET", RefusedError),
        ("NXRRSET", RefusedError),
        ("REFUSED", RefusedError),
        ("FORMERR", RefusedError),
        ("NOTAUTH", AccessError),
        ("SERVFAIL", RetryError),
    ],
)
def test_what_a_server_says_of_an_update_decides_what_is_done_next(
    playing: Callable[..., Server], code: str, error: type[Exception]
) -> None:
    with pytest.raises(error, match=code if error is not RefusedError else None) as caught:
        playing(saying(dns.rcode.from_text(code))).updated("x.example.", [(None, SET)])
    assert type(caught.value) is error
    assert getattr(caught.value, "answer", code) == code


def test_an_update_without_an_answer_has_an_unknown_outcome(playing: Callable[..., Server]) -> None:
    with pytest.raises(UnknownOutcomeError):
        playing(silence).updated("x.example.", [(None, SET)])


def test_an_update_that_nobody_takes_was_not_carried_out() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(RetryError, match="no connection"):
        Server.read(f"127.0.0.1:{port}").updated("x.example.", [(None, SET)])


def test_an_update_asks_for_what_was_and_nothing_else(playing: Callable[..., Server]) -> None:
    seen: list[dns.message.Message] = []

    def noted(question: dns.message.Message) -> dns.message.Message:
        seen.append(question)
        return dns.message.make_response(question)

    becomes = record_set("x.example.", "www", "A", 30, ["192.0.2.9"])
    playing(noted).updated(
        "x.example.", [(None, record_set("x.example.", "new", "A", 1, ["192.0.2.2"])), (SET, becomes)]
    )
    (update,) = seen
    assert isinstance(update, dns.update.UpdateMessage)
    wanted = [(str(one.name), one.deleting, [r.to_text() for r in one]) for one in update.prerequisite]
    none = dns.rdataclass.NONE
    assert wanted == [("new.x.example.", none, []), ("www.x.example.", None, ["192.0.2.1"])]


def test_a_parents_referral_tells_how_long_it_is_kept(playing: Callable[..., Server]) -> None:
    def referral(question: dns.message.Message) -> dns.message.Message:
        made = dns.message.make_response(question)
        made.authority.append(dns.rrset.from_text("x.example.", 172800, "IN", "NS", "ns1.x.example."))
        return made

    server = playing(referral, saying(dns.rcode.NOERROR, "x.example. 3600 DS 1 8 2 " + "ab" * 32))
    assert delegated(server.name, "x.example.") == (172800, 3600)


@pytest.mark.parametrize("text", ["", "hmac-sha256:name", f"md9:name:{SECRET}:more"])
def test_a_key_that_is_none_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(AccessError) as caught:
        Key.read(text)
    assert SECRET[:10] not in str(caught.value)


def test_a_key_shows_its_secret_nowhere() -> None:
    key = Key.read(f"hmac-sha256:migrator:{SECRET}")
    assert "secret" not in repr(Server("ns1", "127.0.0.1", key=key)).lower()
    assert SECRET not in repr(key)


def test_a_servers_address_may_have_a_port() -> None:
    assert (Server.read("127.0.0.1").port, Server.read("[::1]:5353").address) == (53, "::1")
    with pytest.raises(VendorError):
        Server.read("no-such-host.invalid")
