"""A WSGI server under full load, with pages that take a moment to make."""

import load

import greenscope.runtime as g
from greenscope.runtime.wsgi import WSGIServer


def page(environ, start_response):
    body = "".join(f"<li>{number}</li>" for number in range(200)).encode() + b"!"
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(body)))])
    return [body]


server = WSGIServer(("127.0.0.1", 0), page, log=None)
server.start()
load.start("http", server.server_port, 50)
g.get_hub().join()
