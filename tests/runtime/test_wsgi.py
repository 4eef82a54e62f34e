"""The WSGI server, as an application sees it: environ, input, start_response, write, what it returns."""

from __future__ import annotations

import http.client
import io
import json
import logging
from typing import ClassVar
from wsgiref.validate import validator

import pytest

import greenscope.runtime as runtime
from greenscope.runtime import pywsgi, socket
from greenscope.runtime.wsgi import WSGIHandler, WSGIServer
from tests.runtime.wsgi_help import (
    CLOSING,
    GET,
    ask,
    connect,
    echo,
    head_and_body,
    hello,
    one_answer,
    read_all,
    serving,
)


def test_an_application_is_called_and_answers():
    with serving(hello) as server:
        status, headers, body = head_and_body(ask(server, CLOSING))
    assert (status, body) == ("200 OK", b"hello")
    assert headers["content-length"] == "5"
    assert headers["connection"] == "close"
    assert headers["date"].endswith(" GMT")
    assert server.errors.getvalue() == ""


def test_a_connection_is_kept_for_the_next_request():
    with serving(hello) as server, connect(server) as client, client.makefile("rb") as file:
        for _ in range(3):
            client.sendall(GET)
            status, headers, body = one_answer(file)
            assert (status, body) == ("200 OK", b"hello")
            assert "connection" not in headers


def test_requests_that_are_sent_ahead_are_answered_in_order():
    def path(environ, start_response):
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode()]

    with serving(path) as server, connect(server) as client, client.makefile("rb") as file:
        client.sendall(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(50)))
        assert [one_answer(file)[2] for _ in range(50)] == [b"/%d" % number for number in range(50)]


def test_a_connection_whose_requests_are_there_already_lets_others_have_their_turn():
    turns, served = 0, []

    def other():
        nonlocal turns
        while True:
            turns += 1
            runtime.sleep(0)

    def application(environ, start_response):
        served.append(turns)
        return hello(environ, start_response)

    with serving(application) as server, connect(server) as greedy:
        neighbour = runtime.spawn(other)
        greedy.sendall(GET * 40)
        greedy.shutdown(socket.SHUT_WR)
        read_all(greedy)
        neighbour.kill()
    assert len(served) == 40
    assert max(served.count(turn) for turn in served) <= 9


def test_the_environ_is_as_the_specification_says():
    seen = []

    def look(environ, start_response):
        seen.append(environ)
        return hello(environ, start_response)

    request = (
        b"GET /caf%C3%A9/a%2Fb?q=%20a&b HTTP/1.1\r\nHost: example.org:81\r\nX-One: a\r\nx-one:  b \r\n"
        b"Cookie: a=1\r\nCookie: b=2\r\nX_One: spoof\r\nContent-Type: text/x\r\nX-Latin: \xe9\r\n"
        b"Connection: close\r\n\r\n"
    )
    with serving(look, environ={"extra": 1}) as server, connect(server) as client:
        port = client.getsockname()[1]
        client.sendall(request)
        client.recv(1000)
    environ = seen[0]
    assert type(environ) is dict
    expected = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/caf\xc3\xa9/a/b",
        "QUERY_STRING": "q=%20a&b",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(server.server_port),
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": str(port),
        "GATEWAY_INTERFACE": "CGI/1.1",
        "CONTENT_TYPE": "text/x",
        "HTTP_HOST": "example.org:81",
        "HTTP_X_ONE": "a,b",
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_X_LATIN": "\xe9",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "wsgi.errors": server.error_log,
        "extra": 1,
    }
    assert {key: environ[key] for key in expected} == expected
    assert "CONTENT_LENGTH" not in environ and "HTTP_CONTENT_TYPE" not in environ


def test_environs_are_not_shared():
    def count(environ, start_response):
        start_response("200 OK", [])
        environ["count"] = environ.get("count", 0) + 1
        return [str(environ["count"]).encode()]

    with serving(count) as server, connect(server) as client, client.makefile("rb") as file:
        client.sendall(GET * 2)
        assert [one_answer(file)[2] for _ in range(2)] == [b"1", b"1"]


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        (b"http://other:8080/x?y", "/x", "other:8080"),
        (b"http://user@other", "/", "other"),
        (b"http://other?y", "/", "other"),
        (b"//double", "//double", "here"),
        (b"/%", "/%", "here"),
        (b"/a%00b", "/a\0b", "here"),
    ],
)
def test_targets_of_every_form_are_understood(target, path, host):
    def look(environ, start_response):
        start_response("200 OK", [])
        return [json.dumps([environ["PATH_INFO"], environ["HTTP_HOST"]]).encode()]

    with serving(look) as server:
        answer = ask(server, b"GET %b HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n" % target)
    assert json.loads(head_and_body(answer)[2]) == [path, host]


def test_OPTIONS_of_the_server_itself_have_a_star_for_a_path():
    def look(environ, start_response):
        start_response("204 No Content", [("X-Path", environ["PATH_INFO"])])
        return []

    with serving(look) as server:
        answer = ask(server, b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    status, headers, body = head_and_body(answer)
    assert (status, headers["x-path"], body) == ("204 No Content", "*", b"")
    assert "content-length" not in headers and "transfer-encoding" not in headers


@pytest.mark.parametrize("result", [[b"one", b"two"], (b"one", b"two"), [b"onetwo"], [bytearray(b"onetwo")]])
def test_a_list_has_its_length_said(result):
    def application(environ, start_response):
        start_response("200 OK", [])
        return result

    with serving(application) as server:
        _, headers, body = head_and_body(ask(server, CLOSING))
    assert (headers["content-length"], body) == ("6", b"onetwo")


def test_an_iterable_is_sent_in_chunks_each_before_the_next_is_asked_for():
    got, clients = [], []

    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"one"
        got.append(clients[0].recv(1000))
        yield b""
        yield b"three"
        got.append(clients[0].recv(1000))

    with serving(application) as server, connect(server) as client:
        clients.append(client)
        client.sendall(GET)
        while len(got) < 2:
            runtime.sleep(0.001)
        assert client.recv(1000) == b"0\r\n\r\n"
    assert b"Transfer-Encoding: chunked\r\n" in got[0] and got[0].endswith(b"\r\n\r\n3\r\none\r\n")
    assert got[1] == b"5\r\nthree\r\n"


def test_chunks_are_read_by_the_standard_library():
    def application(environ, start_response):
        start_response("200 OK", [])
        return (bytes([65 + number]) * 1000 * number for number in range(20))

    with serving(application) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
        connection.sock = connect(server)
        for _ in range(2):
            connection.request("GET", "/")
            answer = connection.getresponse()
            assert answer.read() == b"".join(bytes([65 + number]) * 1000 * number for number in range(20))
        connection.close()


def test_HTTP_1_0_gets_no_chunks_but_the_end_of_the_connection():
    def application(environ, start_response):
        assert environ["SERVER_PROTOCOL"] == "HTTP/1.0"
        start_response("200 OK", [])
        yield b"one"
        yield b"two"

    with serving(application) as server:
        _, headers, body = head_and_body(ask(server, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"))
    assert body == b"onetwo"
    assert headers["connection"] == "close" and "transfer-encoding" not in headers


def test_HTTP_1_0_is_kept_only_if_it_asks_for_that():
    with serving(hello) as server:
        with connect(server) as client, client.makefile("rb") as file:
            for _ in range(2):
                client.sendall(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                assert one_answer(file)[1]["connection"] == "keep-alive"
        assert head_and_body(ask(server, b"GET / HTTP/1.0\r\n\r\n"))[1]["connection"] == "close"


@pytest.mark.parametrize("result", [[b"hello"], (piece for piece in [b"hello"])])
def test_HEAD_has_the_head_and_no_body(result):
    def application(environ, start_response):
        start_response("200 OK", [])
        return result

    with serving(application) as server:
        answer = ask(server, b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + CLOSING.replace(b"GET", b"HEAD"))
    first, _, second = answer.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200 OK") and second.startswith(b"HTTP/1.1 200 OK")
    assert answer.count(b"\r\n\r\n") == 2 and answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_an_answer_that_has_no_body_gets_none(status):
    def application(environ, start_response):
        start_response(status, [])
        return [b"never seen"]

    with serving(application) as server:
        answer = ask(server, GET + CLOSING)
    assert answer.count(status.encode()) == 2 and b"never" not in answer


def test_write_sends_before_the_function_returns():
    def application(environ, start_response):
        write = start_response("200 OK", [("Content-Length", "11")])
        write(b"hello ")
        write(b"wor")
        return [b"ld"]

    with serving(application) as server:
        assert head_and_body(ask(server, CLOSING))[2] == b"hello world"
    assert not server.errors.getvalue()


def test_large_answers_arrive_whole():
    data = bytes(range(256)) * 40000

    def application(environ, start_response):
        start_response("200 OK", [])
        return [data] if environ["PATH_INFO"] == "/list" else iter([data])

    with serving(application) as server, connect(server) as client, client.makefile("rb") as file:
        client.sendall(GET.replace(b"/ ", b"/list ", 1))
        assert one_answer(file)[2] == data


def test_the_body_is_read_in_every_way():
    body = b"one\ntwo\n\nlast"
    ways = [
        lambda file: [file.read()],
        lambda file: [file.read(2), file.read(100), file.read(1)],
        lambda file: list(file),
        lambda file: file.readlines(),
        lambda file: file.readlines(5),
        lambda file: [file.readline(2), file.readline(), file.readline(-1), file.readline(0), file.read(None)],
        lambda file: [file.readline(4), next(iter(file)), file.read(0), file.read()],
    ]
    expected = [way(io.BytesIO(body)) for way in ways]
    got = []

    def application(environ, start_response):
        got.append(ways[len(got)](environ["wsgi.input"]))
        return hello(environ, start_response)

    for pieces in ([body], [body[:5], body[5:]], [bytes([byte]) for byte in body]):
        got.clear()
        with serving(application) as server:
            for _ in ways:
                chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
                head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                ask(server, head, chunks, b"0\r\nTrailer: x\r\n\r\n")
        assert got == expected


def test_a_body_with_a_length_is_read_to_its_end_and_no_further():
    with serving(echo) as server, connect(server) as client, client.makefile("rb") as file:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" + GET)
        assert one_answer(file)[2] == b"hello"
        assert one_answer(file)[2] == b""
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200000)
        assert one_answer(file)[2] == b"x" * 200000


def test_a_body_that_nobody_read_does_not_become_the_next_request():
    with serving(hello) as server, connect(server) as client, client.makefile("rb") as file:
        for length in (5, 100_000):
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length)
            client.sendall(b"x" * length)
            assert one_answer(file)[0] == "200 OK"
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + GET)
        assert [one_answer(file)[0] for _ in range(2)] == ["200 OK"] * 2


def test_a_body_that_is_too_long_to_be_thrown_away_ends_the_connection_and_the_answer_arrives():
    with serving(hello) as server, connect(server) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 100_000)
        _, headers, body = head_and_body(client.recv(10_000))
        assert (headers["connection"], body) == ("close", b"hello")


def test_the_validator_of_the_standard_library_has_nothing_to_say():
    def application(environ, start_response):
        body = environ["wsgi.input"].read(-1)
        environ["wsgi.errors"].write("said\n")
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [body or b"nothing"]

    def pieces(environ, start_response):
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"first ")
        return iter([environ["wsgi.input"].readline(10), b"second"])

    for one in (application, pieces):
        with serving(validator(one)) as server:
            answer = ask(
                server,
                b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
                b"GET /b?x HTTP/1.1\r\nHost: x\r\n\r\nHEAD / HTTP/1.0\r\n\r\n",
            )
            assert answer.count(b"HTTP/1.1 200 OK") == 3
            assert "Traceback" not in server.errors.getvalue()


def test_it_can_be_used_as_gevents():
    assert pywsgi.WSGIServer is WSGIServer and pywsgi.WSGIHandler is WSGIHandler

    class Handler(WSGIHandler):
        def get_environ(self):
            return {**super().get_environ(), "mine": self.client_address[0]}

        def log_request(self):
            logged.append(self.format_request())

    class Server(WSGIServer):
        handler_class = Handler
        base_env: ClassVar = {**WSGIServer.base_env, "base": "set"}

    def application(environ, start_response):
        start_response("200 OK", [])
        return [f"{environ['mine']} {environ['base']}".encode()]

    logged = []
    with serving(application, Server) as server:
        assert head_and_body(ask(server, CLOSING))[2] == b"127.0.0.1 set"
    assert len(logged) == 1 and '"GET / HTTP/1.1" 200 13 ' in logged[0]
    assert server.get_environ()["base"] == "set"


def test_a_line_is_written_for_every_request():
    with serving(hello) as server:
        ask(server, GET + b"nonsense\r\n\r\n")
    first, second = server.lines.getvalue().splitlines()
    assert first.startswith("127.0.0.1 - - [20") and '] "GET / HTTP/1.1" 200 5 0.' in first
    assert '] "" 501 ' in second or '] "" 400 ' in second


def test_a_logger_may_be_the_log(caplog):
    caplog.set_level(logging.INFO)

    def fail(environ, start_response):
        raise ValueError("application")

    with serving(fail, log=logging.getLogger("requests"), error_log=logging.getLogger("errors")) as server:
        ask(server, CLOSING)
    levels = {(record.name, record.levelname) for record in caplog.records}
    assert levels == {("requests", "INFO"), ("errors", "ERROR")}
    assert "ValueError: application" in caplog.text


def test_without_logs_nothing_is_written(capsys):
    def fail(environ, start_response):
        environ["wsgi.errors"].write("x")
        raise ValueError("application")

    with serving(fail, log=None, error_log=None) as server:
        assert b"500 Internal" in ask(server, CLOSING)
    assert capsys.readouterr() == ("", "")


def test_a_log_that_is_none_is_refused():
    with pytest.raises(TypeError, match="log"):
        WSGIServer(("127.0.0.1", 0), hello, log=5)


def test_the_file_wrapper_sends_a_file_and_closes_it():
    file = io.BytesIO(b"x" * 100_000)

    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "100000")])
        return environ["wsgi.file_wrapper"](file, 4096)

    with serving(application) as server:
        assert head_and_body(ask(server, CLOSING))[2] == b"x" * 100_000
    assert file.closed


def test_the_greenlet_is_called_as_the_request():
    names = []

    def application(environ, start_response):
        names.append(runtime.getcurrent().name)
        return hello(environ, start_response)

    with serving(application) as server:
        ask(server, GET.replace(b"/", b"/one?x=y", 1) + CLOSING.replace(b"/", b"/two", 1))
    assert names == ["GET /one", "GET /two"]


def test_a_handler_may_go_on_in_another_protocol():
    class Upgrading(WSGIHandler):
        def run_application(self):
            if self.environ.get("HTTP_UPGRADE") != "shout":
                super().run_application()
                return
            self.start_response("101 Switching Protocols", [("Connection", "Upgrade"), ("Upgrade", "shout")])
            self.write(b"")
            while line := self.rfile.readline():
                self.socket.sendall(line.upper())

    upgrade = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n"
    with serving(hello, handler_class=Upgrading) as server, connect(server) as client, client.makefile("rb") as file:
        client.sendall(GET + upgrade + b"sent ahead\nGET / HT")
        assert one_answer(file)[2] == b"hello"
        status, headers, _ = one_answer(file)
        assert (status, headers["connection"], headers["upgrade"]) == ("101 Switching Protocols", "Upgrade", "shout")
        assert file.readline() == b"SENT AHEAD\n"
        client.sendall(b"TP/1.1\n")
        assert file.readline() == b"GET / HTTP/1.1\n"
        client.shutdown(socket.SHUT_WR)
        assert file.read() == b""
    assert server.errors.getvalue() == ""
