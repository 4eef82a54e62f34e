"""docs/embedding.md: its application runs, its commands say what the page says that they do."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from websockets.sync.client import connect

from greenscope.trace.recorder import open_recorder

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "embedding.md").read_text()
PROGRAMS = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL))
UVICORN = re.search(r"^    uvicorn (.*) --port 8000$", PAGE, re.MULTILINE)
HERE = {"host": "127.0.0.1"}


@dataclass
class Application:
    """A running one, with the dashboard in it."""

    process: subprocess.Popen[str]
    url: str


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Application]:
    (tmp_path / "app.py").write_text(PROGRAMS["app.py"])
    assert UVICORN is not None
    command = [sys.executable, "-m", "uvicorn", *UVICORN[1].split(), "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while not (found := re.search(r"running on (http://127\.0\.0\.1:\d+)", line := process.stderr.readline())):
            assert line
        yield Application(process, found[1])
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(20)


def test_the_application_has_the_dashboard_below_its_path(application: Application) -> None:
    ring = open_recorder(1, "MainThread")
    assert ring.path is not None
    base = f"{application.url}/greenscope/"
    page = httpx.get(f"{application.url}/greenscope", follow_redirects=True)
    assert str(page.url) == base
    assert "default-src 'self'" in page.headers["content-security-policy"]
    addresses = re.findall(r'(?:href|src)="([^"#]+)"', page.text)
    assert {Path(address).name for address in addresses} == {
        "app.css", "app.js", "favicon.svg", "language.js", "theme.js",
    }  # fmt: skip
    for address in [*addresses, "plotly.min.js"]:
        assert httpx.get(urljoin(base, address)).status_code == 200
    rings = httpx.get(f"{base}api/rings").json()
    assert rings["stream"] == "websocket"
    assert [each["id"] for each in rings["rings"]] == [ring.path.stem]
    with connect(f"{base.replace('http', 'ws')}api/rings/{ring.path.stem}/stream") as socket:
        assert json.loads(socket.recv(timeout=10))["type"] == "hello"
    for headers in [{"host": "evil.example"}, {"x-forwarded-for": "127.0.0.1"}, {"origin": "http://evil.example"}]:
        assert httpx.get(base, headers=headers).status_code == 403
        assert httpx.get(f"{base}api/rings", headers=headers).status_code == 403
    assert httpx.get(application.url, headers={"host": "evil.example"}).status_code == 404  # not the dashboard's
    ring.close()

    token = command("token").stdout.strip()
    with httpx.Client(headers={"host": "shop.example"}) as client:
        brought = client.get(f"{base}?token={token}")
        assert (brought.status_code, brought.headers["location"]) == (303, "./")
        cookie = brought.headers["set-cookie"].split(";")[0]
        assert client.get(f"{base}api/rings", headers={"cookie": cookie}).status_code == 200
        assert client.get(f"{base}api/rings", headers={"authorization": f"Bearer {token}"}).status_code == 200

    application.process.send_signal(signal.SIGINT)
    _, said = application.process.communicate(timeout=20)
    assert application.process.returncode in (0, -signal.SIGINT, 128 + signal.SIGINT)
    assert not re.search("Traceback|Task|Error", said), said


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "greenscope", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_token_is_the_directorys_or_ones_own() -> None:
    assert "    greenscope token\n" in PAGE
    first, second = command("token"), command("token")
    assert first.stdout == second.stdout
    own = "x" * 16
    assert command("token", GREENSCOPE_TOKEN=own).stdout == f"{own}\n"
    short = command("token", GREENSCOPE_TOKEN="x")
    assert (short.returncode, short.stderr.count("\n")) == (2, 1)
    assert "give at least 16" in short.stderr


def test_serve_listens_elsewhere_for_those_who_have_the_printed_address() -> None:
    assert "    greenscope serve --host 0.0.0.0\n" in PAGE
    arguments = [sys.executable, "-m", "greenscope", "serve", "--host", "0.0.0.0", "--port", "0"]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = re.search(r"http://[^:]+:(\d+)(/\?token=\S+)", process.stderr.readline())
        assert found
        url = f"http://127.0.0.1:{found[1]}"
        assert httpx.get(url).status_code == 403
        assert "token" in httpx.get(f"{url}/api/rings").text
        with httpx.Client(base_url=url) as client:
            assert client.get(found[2], follow_redirects=True).status_code == 200
            assert client.get("/api/rings").status_code == 200  # the cookie
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    wrong = command("serve", "--host", "192.0.2.1", "--port", "0")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "no address of this machine" in wrong.stderr


NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
LOCATION = re.search(r"```nginx\n(.*?)```", PAGE, re.DOTALL)
CONFIGURATION = """
daemon off; master_process off; worker_processes 1; pid {directory}/nginx.pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    server {{ listen 127.0.0.1:{port}; {location} }}
}}
"""


@pytest.mark.skipif(
    NGINX is None and os.environ.get("GREENSCOPE_REQUIRE_DAEMONS") != "1",
    reason="no nginx here: `apt-get install nginx-light`",
)
def test_the_page_works_behind_nginx_as_it_is_set_up_there(application: Application, tmp_path: Path) -> None:
    ring = open_recorder(1, "MainThread")
    assert ring.path is not None
    assert LOCATION is not None
    assert NGINX is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # There it is the viewer that is behind it; the application's dashboard is a path deeper, and all the same.
    location = LOCATION[1].replace("http://127.0.0.1:8765/", f"{application.url}/greenscope/")
    (tmp_path / "nginx.conf").write_text(CONFIGURATION.format(directory=tmp_path, port=port, location=location))
    base = f"http://127.0.0.1:{port}/traces/"
    token = command("token").stdout.strip()
    with subprocess.Popen([NGINX, "-e", "stderr", "-c", str(tmp_path / "nginx.conf")]) as nginx:
        try:
            with httpx.Client(transport=httpx.HTTPTransport(retries=20)) as client:  # until it listens
                assert client.get(base).status_code == 403  # it says that it is a proxy
                page = client.get(f"{base}?token={token}", follow_redirects=True)
                assert (page.status_code, str(page.url)) == (200, base)
                for address in re.findall(r'(?:href|src)="([^"#]+)"', page.text):
                    assert client.get(urljoin(base, address)).status_code == 200
                assert client.get(f"{base}api/rings").json()["rings"][0]["id"] == ring.path.stem
                polled = client.post(f"{base}api/rings/{ring.path.stem}/poll", json=[], headers={"origin": base[:-8]})
                assert polled.status_code == 200
                (cookie,) = client.cookies.jar
                assert cookie.path == "/traces"
                headers = {"cookie": f"{cookie.name}={cookie.value}"}
            with connect(
                f"{base.replace('http', 'ws')}api/rings/{ring.path.stem}/stream", additional_headers=headers
            ) as ws:
                assert json.loads(ws.recv(timeout=10))["type"] == "hello"
        finally:
            nginx.terminate()
    ring.close()
