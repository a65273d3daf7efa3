"""Our client sends to Postfix; Postfix's own clients deliver to our servers."""

from collections.abc import Iterator

import pytest

from interop.postfix import Postfix, running_postfix
from smtp_pop_adapters.blocking import connect_smtp
from smtp_pop_core import smtp


@pytest.fixture(scope="module")
def postfix(programs: dict[str, str]) -> Iterator[Postfix]:
    with running_postfix(programs["postfix"]) as it:
        yield it


@pytest.mark.parametrize("domain", ["example.com", "lmtp.example.com"])
@pytest.mark.parametrize("chunking", [False, True])
def test_postfix_takes_our_messages_and_brings_them_back(
    postfix: Postfix, domain: str, chunking: bool
) -> None:
    store = postfix.by_smtp if domain == "example.com" else postfix.by_lmtp
    before = len(store.taken)
    recipients = [f"one@{domain}", f"two@{domain}"]
    content = b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\nthe end\r\n"
    with connect_smtp("127.0.0.1", postfix.port) as client:
        assert {"PIPELINING", "CHUNKING", "DSN"} <= set(client.extensions)
        result = client.send_mail(
            "a@example.com", recipients, content, chunking=chunking
        )
    result.check()
    envelope, octets = store.wait_for(before + 1)[-1]
    assert sorted(envelope.recipients) == recipients
    assert octets.endswith(content)


def test_refused_recipients_do_not_stop_the_others(postfix: Postfix) -> None:
    before = len(postfix.by_smtp.taken)
    recipients = ["nobody@example.com", "three@example.com", "x@elsewhere.invalid"]
    with connect_smtp("127.0.0.1", postfix.port) as client:
        result = client.send_mail("a@example.com", recipients[:2], b"Subject: x\n\nx\n")
        assert result.outcome is smtp.Outcome.PARTLY_ACCEPTED
        assert result.refused == ["nobody@example.com"]
        again = client.send_mail("a@example.com", recipients[:1], b"x\n")
        assert again.outcome is smtp.Outcome.REFUSED
        last = client.send_mail("a@example.com", ["four@example.com"], b"x: y\n\nz\n")
        assert last.outcome is smtp.Outcome.ACCEPTED
    assert len(postfix.by_smtp.wait_for(before + 2)) == before + 2


def test_25_megabytes_go_there_and_back(postfix: Postfix) -> None:
    before = len(postfix.by_smtp.taken)
    line = b"y" * 76 + b"\r\n"
    content = b"Subject: large\r\n\r\n" + line * (25_000_000 // len(line))
    with connect_smtp("127.0.0.1", postfix.port) as client:
        client.send_mail(
            "a@example.com", ["big@example.com"], content, chunking=True
        ).check()
    _, octets = postfix.by_smtp.wait_for(before + 1)[-1]
    assert octets.endswith(content)


def test_8_bit_content_and_utf8_addresses_go_there_and_back(postfix: Postfix) -> None:
    before = len(postfix.by_smtp.taken)
    content = "Subject: grüße\r\n\r\nhéllo\r\n".encode()
    with connect_smtp("127.0.0.1", postfix.port) as client:
        assert "SMTPUTF8" in client.extensions
        client.send_mail("jörg@example.com", ["ünal@example.com"], content).check()
    envelope, octets = postfix.by_smtp.wait_for(before + 1)[-1]
    assert envelope.mail.smtputf8
    assert envelope.mail.body is smtp.Body.EIGHT_BIT_MIME
    assert envelope.recipients == ("ünal@example.com",), octets
    assert octets.endswith(content)


def test_what_is_wanted_of_notices_is_passed_on(postfix: Postfix) -> None:
    before = len(postfix.by_smtp.taken)
    mail = smtp.Mail("a@example.com", ret=smtp.Ret.HDRS, envid="QQ+314 159")
    rcpt = smtp.Rcpt(
        "five@example.com",
        notify=(smtp.Notify.SUCCESS, smtp.Notify.FAILURE),
        orcpt=("rfc822", "Five=5@example.com"),
    )
    with connect_smtp("127.0.0.1", postfix.port) as client:
        client.send_mail(mail, [rcpt], b"Subject: x\n\nx\n").check()
    envelope, _ = postfix.by_smtp.wait_for(before + 1)[-1]
    assert envelope.mail.ret is smtp.Ret.HDRS
    assert envelope.mail.envid == "QQ+314 159"
    [taken] = envelope.rcpts
    assert set(taken.notify) == set(rcpt.notify)
    assert taken.orcpt == rcpt.orcpt


@pytest.mark.parametrize("domain", ["example.com", "lmtp.example.com"])
def test_postfix_understands_our_refusals(postfix: Postfix, domain: str) -> None:
    with connect_smtp("127.0.0.1", postfix.port) as client:
        client.send_mail("", [f"full@{domain}"], b"Subject: x\n\nx\n").check()
    line = postfix.wait_for_log(rf"to=<full@{domain}>.*")
    assert "dsn=5.2.2, status=bounced" in line
    assert "552 5.2.2 Mailbox full" in line
