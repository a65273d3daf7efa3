"""Relay: `python examples/relay.py HOST PORT` hands mail on to that server as it comes.

One flow drives both sides: what `on` labels goes to the server, all else to the client.
Nothing is kept: the client hears what the server says.
"""

import contextlib
import socket
import sys
from threading import Thread

import smtp_pop_core as core
from smtp_pop_adapters.blocking import Driver, Stream
from smtp_pop_core import Flow, MessageData, On, Read, Write, on, smtp

PASSED_ON = ("PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")


def relay() -> Flow[None]:
    back = smtp.Connection(core.CLIENT)
    yield from on("back", smtp.open(back))
    offers = [back.extensions[each] for each in PASSED_ON if each in back.extensions]
    front = smtp.Connection(core.SERVER, extensions=offers)
    while (event := front.next_event()) != core.ConnectionClosed():
        match event:
            case core.Signal():
                front.receive_data((yield Read()))
                continue
            case MessageData():
                yield On("back", Write(back.send(event)))
                continue
            case smtp.Mail() | smtp.Rcpt() | smtp.Data() | smtp.EndOfMessage(None):
                reply = yield from on("back", smtp.exchange(back, event))
            case smtp.Ehlo() | smtp.Helo() | smtp.Rset():
                yield from on("back", smtp.reset(back))
                reply = front.default_reply(event)
            case _:
                reply = front.default_reply(event)
        yield Write(front.send(reply))
    yield from on("back", smtp.quit(back))  # not in the middle of content


def session(client: socket.socket, end: tuple[str, str]) -> None:
    with client, socket.create_connection(end) as server:
        driver = Driver(Stream(client), others={"back": Stream(server)})
        with contextlib.suppress(core.Error):  # content that cannot be sent, a loss
            driver.run(relay())


def main(host: str, port: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print("listening on", *listener.getsockname(), flush=True)
        while True:
            client, _ = listener.accept()
            Thread(target=session, args=(client, (host, port)), daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
