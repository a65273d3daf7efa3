"""nginx in front of our server, which hears in XCLIENT who the clients are."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final

import pytest

from peers import free_port, public_folder, running
from smtp_pop_adapters.blocking import connect_smtp, serve_smtp
from smtp_pop_core import Blocks, sasl, smtp

CLIENT: Final = "127.0.0.7"  # where clients connect from
CONFIGURATION: Final = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/log info;
load_module /usr/lib/nginx/modules/ngx_mail_module.so;
events {{ }}
mail {{
    auth_http 127.0.0.1:{auth}/;
    server_name mx.example.com;
    server {{
        listen 127.0.0.1:{port};
        protocol smtp;
        smtp_auth plain none;
        xclient on;
    }}
}}
"""


@dataclass(frozen=True)
class Noted:
    """Who has sent a message."""

    address: str
    helo: str
    identity: str
    protocol: str
    trusted: bool


class Noting(smtp.Application):
    """Takes messages, and notes from whom."""

    noted: list[Noted]

    def message(self, envelope: smtp.Envelope, content: Blocks) -> None:
        content.read()
        peer = self.peer
        trusted = "XCLIENT" in peer.extensions
        who = (peer.address, peer.helo, peer.identity, peer.protocol)
        self.noted.append(Noted(*who, trusted))


@pytest.fixture
def noting() -> type[Noting]:
    return type("Fresh", (Noting,), {"noted": []})


@pytest.fixture
def port(programs: dict[str, str], noting: type[Noting]) -> Iterator[int]:
    """Run nginx in front of our server, and give its port."""
    with (
        serve_smtp(noting, "127.0.0.1", xclient=["127.0.0.1"]) as server,
        public_folder() as folder,
    ):
        where = {"Auth-Server": "127.0.0.1", "Auth-Port": str(server.addresses[0][1])}

        class Auth(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                for name, value in {"Auth-Status": "OK", **where}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Auth) as auth:
            thread = Thread(target=auth.serve_forever)
            thread.start()
            port = free_port()
            file = folder / "nginx.conf"
            file.write_text(
                CONFIGURATION.format(folder=folder, auth=auth.server_port, port=port)
            )
            with running([programs["nginx"], "-c", str(file), "-p", str(folder)], port):
                yield port
            auth.shutdown()
            thread.join()


def test_who_has_logged_in_at_nginx_is_known(port: int, noting: type[Noting]) -> None:
    sock = socket.create_connection(("127.0.0.1", port), source_address=(CLIENT, 0))
    user = sasl.Password("joe+x@example.com", "secret")
    with connect_smtp(
        sock=sock,
        domain="me.example",
        tls="none",
        auth=user,
        allow_insecure_auth=True,
    ) as client:
        client.send_mail("a@example.com", "b@example.com", b"a: b\r\n\r\nc\r\n").check()
    assert noting.noted == [Noted(CLIENT, "me.example", user.user, "ESMTP", False)]


def test_a_client_that_does_not_log_in_is_known_by_its_address(
    port: int, noting: type[Noting]
) -> None:
    sock = socket.create_connection(("127.0.0.1", port), source_address=(CLIENT, 0))
    with connect_smtp(sock=sock, domain="me.example") as client:
        client.send_mail("a@example.com", "b@example.com", b"a: b\r\n\r\nc\r\n").check()
    assert noting.noted == [Noted(CLIENT, "me.example", "", "ESMTP", False)]
