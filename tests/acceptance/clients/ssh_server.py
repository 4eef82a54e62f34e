"""paramiko as a server. usage: ssh_server.py. Prints its port and key; SIGTERM ends it.

Commands: "together N" is answered when N channels have asked for that; "cat" gives back what comes in;
"fail" ends with status 3.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import threading

import paramiko
from crowd import Gauge, answer

inside = Gauge()
gates: dict[int, threading.Barrier] = {}


class Door(paramiko.ServerInterface):
    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.AUTH_SUCCESSFUL if (username, password) == ("crowd", "secret") else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=run, args=(channel, command.decode())).start()
        return True


def run(channel: paramiko.Channel, command: str) -> None:
    what, _, number = command.partition(" ")
    with inside, channel:
        if what == "together":
            gates.setdefault(int(number), threading.Barrier(int(number))).wait(60)
            channel.sendall(f"{inside.peak}\n".encode())
        elif what == "cat":
            while data := channel.recv(4096):
                channel.sendall(data)
        while channel.recv(4096):  # it is only asked for now: the client has to hear that it may, before it ends
            pass
        channel.send_exit_status(3 if what == "fail" else 0)


def main() -> None:
    key = paramiko.ECDSAKey.generate()
    listener = socket.create_server(("127.0.0.1", 0))
    transports: list[paramiko.Transport] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(key)
            transports.append(transport)
            with contextlib.suppress(EOFError, paramiko.SSHException):  # who is refused may go before we are done
                transport.start_server(server=Door())

    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    thread = threading.Thread(target=serve)
    thread.start()
    answer(port=listener.getsockname()[1], key=key.get_base64())
    ended.wait()
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    listener.close()
    for transport in transports:
        transport.close()


if __name__ == "__main__":
    main()
