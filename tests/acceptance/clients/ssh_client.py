"""paramiko as a client: many channels over a few connections. usage: ssh_client.py HOST PORT KEY"""

from __future__ import annotations

import base64
import sys

import paramiko
from crowd import SIZE, answer, count, crowd

CONNECTIONS = 8


def connect(host: str, port: int, key: str) -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    name = f"[{host}]:{port}"
    client.get_host_keys().add(name, "ecdsa-sha2-nistp256", paramiko.ECDSAKey(data=base64.b64decode(key)))
    client.connect(host, port, "crowd", "secret", allow_agent=False, look_for_keys=False, banner_timeout=60)
    return client


def execute(client: paramiko.SSHClient, command: str, text: bytes = b"") -> tuple[bytes, int]:
    """What a command says, and its status."""
    source, output, _ = client.exec_command(command, timeout=60)
    with source.channel:
        source.write(text)
        source.channel.shutdown_write()
        return output.read(), output.channel.recv_exit_status()


def main(host: str, port: int, key: str) -> None:
    clients = crowd(lambda _: connect(host, port, key), CONNECTIONS)

    def work(number: int) -> str:
        client = clients[number % CONNECTIONS]
        seen, _ = execute(client, f"together {SIZE}")
        text = f"{number} ".encode() * 2000
        echoed, _ = execute(client, "cat", text)
        return str((int(seen) == SIZE, echoed == text, execute(client, "fail")[1]))

    results = crowd(work)
    stranger = paramiko.SSHClient()
    stranger.set_missing_host_key_policy(paramiko.RejectPolicy())
    try:
        stranger.connect(host, port, "crowd", "secret", allow_agent=False, look_for_keys=False)
    except paramiko.SSHException as error:
        refused = "not found in known_hosts" in str(error)
    stranger.close()
    for client in clients:
        client.close()
    answer(results=count(results), refused=refused)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
