"""Four applications that say the same with four frameworks, each below a path of its own and in the middleware.

``python wsgi_apps.py SERVER FD``: serves them on a listening descriptor.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

PAGE = "<!doctype html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
SLEEP = 0.01
LONG = "<p>a long page, worth packing</p>" * 40


def pieces(name: str) -> Iterator[bytes]:
    yield f"<html><body>{name}".encode()
    time.sleep(SLEEP)
    yield b"streamed</body></html>"


def flask_app() -> Any:
    import flask

    app = flask.Flask(__name__)

    @app.get("/page")
    def page() -> Any:
        time.sleep(SLEEP)
        response = flask.make_response(PAGE.format("flask"))
        response.add_etag()
        return response.make_conditional(flask.request)

    @app.get("/json")
    def data() -> Any:
        return {"passed": flask.request.headers["traceparent"], "number": flask.request.environ["greenscope.request"]}

    @app.get("/stream")
    def stream() -> Any:
        return flask.Response(pieces("flask"), mimetype="text/html")

    @app.get("/broken")
    def broken() -> Any:
        raise KeyError("made up")

    @app.get("/file")
    def file() -> Any:
        return flask.send_file(__file__, mimetype="text/plain")

    return app.wsgi_app


def django_app() -> Any:
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
    from django.urls import path

    def page(request: Any) -> Any:
        time.sleep(SLEEP)
        return HttpResponse(PAGE.format("django"))

    def data(request: Any) -> Any:
        found = {"passed": request.headers["traceparent"], "number": request.META["greenscope.request"]}
        return JsonResponse(found)

    def stream(request: Any) -> Any:
        return StreamingHttpResponse(pieces("django"))

    def broken(request: Any) -> Any:
        raise KeyError("made up")

    def packed(request: Any) -> Any:
        return HttpResponse(PAGE.format("django" + LONG))

    def file(request: Any) -> Any:
        return FileResponse(open(__file__, "rb"), content_type="text/plain")

    views = {"page": page, "json": data, "stream": stream, "broken": broken, "packed": packed, "file": file}
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DEBUG=True,  # its page for errors is one with a lot of markup
        ROOT_URLCONF=type("urls", (), {"urlpatterns": [path(name, view) for name, view in views.items()]}),
        SECRET_KEY="x",
        LOGGING_CONFIG=None,
        MIDDLEWARE=[
            "django.middleware.gzip.GZipMiddleware",
            "django.middleware.http.ConditionalGetMiddleware",
            "django.middleware.common.CommonMiddleware",
        ],
    )
    django.setup()
    return get_wsgi_application()


def bottle_app() -> Any:
    import bottle

    app = bottle.Bottle()

    @app.get("/page")
    def page() -> str:
        time.sleep(SLEEP)
        return PAGE.format("bottle")

    @app.get("/json")
    def data() -> dict[str, Any]:
        environ = bottle.request.environ
        return {"passed": environ["HTTP_TRACEPARENT"], "number": environ["greenscope.request"]}

    @app.get("/stream")
    def stream() -> Iterator[bytes]:
        return pieces("bottle")

    @app.get("/broken")
    def broken() -> Any:
        raise KeyError("made up")

    @app.get("/file")
    def file() -> Any:
        directory, _, name = __file__.rpartition("/")
        return bottle.static_file(name, root=directory, mimetype="text/plain")

    return app


def pyramid_app() -> Any:
    from pyramid.config import Configurator
    from pyramid.response import FileResponse, Response

    def page(request: Any) -> Any:
        time.sleep(SLEEP)
        response = Response(PAGE.format("pyramid"))
        response.md5_etag(set_content_md5=False)
        response.conditional_response = True
        return response

    def data(request: Any) -> Any:
        found = {"passed": request.headers["traceparent"], "number": request.environ["greenscope.request"]}
        return Response(json=found)

    def stream(request: Any) -> Any:
        return Response(app_iter=pieces("pyramid"))

    def broken(request: Any) -> Any:
        raise KeyError("made up")

    def packed(request: Any) -> Any:
        response = Response(PAGE.format("pyramid" + LONG))
        response.encode_content()
        return response

    def file(request: Any) -> Any:
        return FileResponse(__file__, content_type="text/plain")

    with Configurator() as config:
        for view in (page, data, stream, broken, packed, file):
            name = {"data": "json"}.get(view.__name__, view.__name__)
            config.add_route(name, f"/{name}")
            config.add_view(view, route_name=name)
    return config.make_wsgi_app()


def application() -> Any:
    """All of them; an exception that leaves one is a 500."""
    from greenscope.web import DebugMiddleware

    makers = {"flask": flask_app, "django": django_app, "bottle": bottle_app, "pyramid": pyramid_app}
    apps = {name: DebugMiddleware(make(), enabled=True) for name, make in makers.items()}

    def dispatch(environ: Any, start_response: Any) -> Any:
        name, _, rest = environ["PATH_INFO"][1:].partition("/")
        if name not in apps:
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"up"]
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = f"/{name}", f"/{rest}"
        return apps[name](environ, start_response)

    return dispatch


def main(server: str, listener: socket.socket) -> None:
    if server == "greenscope":
        from greenscope.runtime import monkey

        monkey.patch_all()
        from greenscope.runtime import socket as green
        from greenscope.runtime.wsgi import WSGIServer

        listening = green.socket(fileno=listener.detach())
        WSGIServer(listening, application(), log=None).serve_forever()
    else:
        from gevent import monkey as gevent_monkey
        from gevent import socket as gevent_socket
        from gevent.pywsgi import WSGIServer as Pywsgi

        gevent_monkey.patch_all()
        Pywsgi(gevent_socket.socket(fileno=listener.detach()), application(), log=None).serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "gevent":
        import greenscope.auto  # noqa: F401
    main(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
