"""A way to a PostgreSQL server that can lose an answer, or stand still, when a test says so."""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Lock, Thread

from psycopg.conninfo import conninfo_to_dict, make_conninfo


@dataclass
class Made:
    """How far a connection is made. is_done: it is, and something else was asked of the server since."""

    is_done: bool = False
    _is_greeted: bool = False

    def hear(self, request: bytes) -> None:
        self.is_done = self._is_greeted
        self._is_greeted = self._is_greeted or b"search_path" in request


class Proxy:
    """Hands on what client and server say to each other.

    lose: from when it is set, what the server says next on any connection is dropped, and the connection is cut, once;
    but for what it says while the connection is being made.
    open: cleared, nothing is handed on until it is set again. then_stall: whether it is cleared with the loss.
    deaf_to: a connection on which a client says something with this in it is silent from then on. withheld: what the
    server says with this in it waits for `given`, with all that follows on that connection.
    """

    def __init__(self, dsn: str) -> None:
        given = conninfo_to_dict(dsn)
        self._host, self._port = str(given.get("host") or "localhost"), int(given.get("port") or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.dsn = make_conninfo(dsn, host="127.0.0.1", port=self._listener.getsockname()[1])
        self.lose = Event()
        self.lost = Event()
        self.open = Event()
        self.open.set()
        self.then_stall = False
        self.deaf_to = b""
        self.withheld = b""
        self.is_withheld = Event()
        self.given = Event()
        self._is_closing = Event()
        self._freezes = 0
        self._guard = Lock()
        self._sockets: list[socket.socket] = []
        self._threads = [Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def freeze(self) -> None:
        """Have the connections that there are say nothing any more, as when a router forgets them."""
        self._freezes += 1

    def close(self) -> None:
        for event in (self.open, self.given, self._is_closing):
            event.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = self._connect()
            self._sockets += [client, server]
            made = Made()
            for source, target, is_answer in ((client, server, False), (server, client, True)):
                thread = Thread(target=self._hand_on, args=(source, target, is_answer, made), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _connect(self) -> socket.socket:
        if not self._host.startswith("/"):
            return socket.create_connection((self._host, self._port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{self._host}/.s.PGSQL.{self._port}")
        return server

    def _hand_on(self, source: socket.socket, target: socket.socket, is_answer: bool, made: Made) -> None:
        freezes = self._freezes
        with suppress(OSError):
            while data := source.recv(65536):
                self.open.wait(60)
                if not is_answer:
                    made.hear(data)
                elif made.is_done and self._loses():
                    break
                if is_answer and self.withheld and self.withheld in data:
                    self.is_withheld.set()
                    self.given.wait(60)
                if freezes < self._freezes or (not is_answer and self.deaf_to and self.deaf_to in data):
                    self._is_closing.wait(60)
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _loses(self) -> bool:
        with self._guard:
            if not self.lose.is_set():
                return False
            self.lose.clear()
            if self.then_stall:
                self.open.clear()
            self.lost.set()
            return True


@contextmanager
def proxied(dsn: str) -> Generator[Proxy]:
    """A proxy before a server."""
    proxy = Proxy(dsn)
    try:
        yield proxy
    finally:
        proxy.close()
