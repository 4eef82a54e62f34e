"""What the debug middleware decides: whose trace, which responses get a bar, where it goes, what the headers say."""

from __future__ import annotations

import gzip
import re
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenscope.errors import GreenscopeError
from greenscope.trace.debugging import debugging
from greenscope.trace.events import Wait
from greenscope.trace.traceparent import take_over
from greenscope.web.middleware.bar import bar_of
from greenscope.web.middleware.figures import WAITS, Figures, server_timing
from greenscope.web.middleware.insertion import Stream, insert
from greenscope.web.middleware.plan import MOST, Insert, Plan, plan_of, with_bar
from greenscope.web.middleware.settings import settings_of

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HTML = ("Content-Type", "text/html; charset=utf-8")

# -- traceparent: the cases of https://www.w3.org/TR/trace-context/ and of its test suite ---------


@pytest.mark.parametrize(
    ("header", "flags"),
    [
        (f"00-{TRACE}-{CALLER}-01", 1),
        (f"00-{TRACE}-{CALLER}-00", 0),
        (f"00-{TRACE}-{CALLER}-ff", 1),  # of the others nobody may say what they do not know
        (f"00-{TRACE}-{CALLER}-02", 0),
        (f" \t00-{TRACE}-{CALLER}-01\t ", 1),
        (f"cc-{TRACE}-{CALLER}-01", 1),
        (f"cc-{TRACE}-{CALLER}-01-what-the-future-will-be-like", 1),
    ],
)
def test_a_trace_goes_on_with_our_own_span_in_it(header: str, flags: int) -> None:
    ours = take_over(header)
    assert (ours.trace, ours.parent, ours.flags) == (TRACE, CALLER, flags)
    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-0{flags}", ours.header)
    assert ours.span != CALLER
    assert ours.line == f"{ours.header} {CALLER}"


@pytest.mark.parametrize(
    "header",
    [
        None, "", "x",
        f"ff-{TRACE}-{CALLER}-01",
        f"00-{'0' * 32}-{CALLER}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{CALLER}-01",
        f"00-{TRACE}-{CALLER}-1",
        f"00-{TRACE}-{CALLER}-01-",
        f"00-{TRACE}-{CALLER}-01-more",
        f"00-{TRACE}-{CALLER}-01.",
        f"cc-{TRACE}-{CALLER}-01.what-the-future-will-be-like",
        f"00-{TRACE[:-1]}-{CALLER}-01",
        f"00-{TRACE}-{CALLER}0-01",
        f"00-{TRACE}-{CALLER}-01,00-{TRACE}-{CALLER}-01",
        f"0-{TRACE}-{CALLER}-01",
    ],
)  # fmt: skip
def test_what_is_no_traceparent_is_as_if_it_were_not_there(header: str | None) -> None:
    ours = take_over(header)
    assert ours.parent == "" and ours.trace not in {TRACE, "0" * 32}
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", ours.header)
    assert ours.line == ours.header


# -- which responses get a bar ----------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 404, 500])
def test_a_page_gets_a_bar_whether_it_is_an_error_or_not(status: int) -> None:
    assert plan_of("GET", status, [HTML]) == Plan(Insert.STREAM)
    assert plan_of("POST", status, [HTML, ("content-length", " 20")]) == Plan(Insert.WHOLE, 20)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Content-Type", "application/json")],
        [("Content-Type", "application/xhtml+xml")],
        [HTML, HTML],
        [("Content-Type", "text/html; charset=utf-16")],
        [("Content-Type", "text/html; charset=UTF-7")],
        [("Content-Type", "text/html; charset=iso-2022-jp")],
        [("Content-Type", "text/html; charset=cp037")],
        [("Content-Type", "text/html; charset=what")],
        [("Content-Type", "text/html; charset=\0")],
        [HTML, ("Content-Encoding", "br"), ("Content-Length", "20")],
        [HTML, ("Content-Encoding", "gzip, gzip"), ("Content-Length", "20")],
        [HTML, ("Content-Encoding", "gzip")],  # streamed
        [HTML, ("Content-Disposition", 'attachment; filename="a.html"')],
        [HTML, ("Content-Range", "bytes 0-9/20")],
        [HTML, ("Content-MD5", "x")],
        [HTML, ("Repr-Digest", "sha-256=:x:")],
        [HTML, ("Content-Length", "0")],
        [HTML, ("Content-Length", "-1")],
        [HTML, ("Content-Length", "20"), ("Content-Length", "20")],
        [HTML, ("Content-Length", str(MOST + 1))],
        [HTML, ("Content-Length", "9" * 30)],
        [HTML, ("Content-Security-Policy", "default-src 'self'")],
        [HTML, ("Content-Security-Policy", "style-src 'self' 'unsafe-inline' 'sha256-x'")],
        [HTML, ("Content-Security-Policy", "style-src-elem 'none'; style-src 'unsafe-inline'")],
        [HTML, ("Content-Security-Policy", "img-src *"), ("content-security-policy", "style-src 'self'")],
        [HTML, ("Content-Security-Policy", "style-src 'nonce-a', style-src 'nonce-b'")],
    ],
)  # fmt: skip
def test_what_is_not_surely_a_page_that_may_have_one_is_left_as_it_is(headers: list[tuple[str, str]]) -> None:
    assert plan_of("GET", 200, headers) == Plan(Insert.NOT)


@pytest.mark.parametrize("status", [100, 204, 205, 206, 304])
def test_nothing_is_put_into_what_has_no_body_or_is_a_part(status: int) -> None:
    assert plan_of("GET", status, [HTML, ("Content-Length", "20")]) == Plan(Insert.NOT)


def test_a_page_within_a_page_gets_none() -> None:
    assert plan_of("GET", 200, [HTML], "iframe").insert is Insert.NOT
    assert plan_of("GET", 200, [HTML], "document").insert is Insert.STREAM


def test_what_was_asked_for_by_head_does_not_say_the_length_of_a_page_without_a_bar() -> None:
    assert plan_of("HEAD", 200, [HTML, ("Content-Length", "20")]) == Plan(Insert.NOT, drop_length=True)
    assert plan_of("HEAD", 200, [("Content-Type", "text/css"), ("Content-Length", "20")]) == Plan(Insert.NOT)


@pytest.mark.parametrize(
    ("charset", "encoding"), [("", ""), ("; charset=latin-1", "identity"), ('; charset="Shift_JIS"', "")]
)
def test_a_charset_with_the_bytes_of_ascii_is_as_good_as_utf8(charset: str, encoding: str) -> None:
    headers = [("Content-Type", f"Text/HTML{charset}"), ("Content-Encoding", encoding)]
    assert plan_of("GET", 200, headers).insert is Insert.STREAM


@pytest.mark.parametrize(
    ("policy", "nonce"),
    [
        ("script-src 'none'", ""),
        ("default-src 'self'; style-src 'self' 'unsafe-inline'", ""),
        ("default-src 'self'; style-src 'nonce-abc123=='", "abc123=="),
        ("default-src 'self' 'nonce-n1'; script-src 'nonce-n2'", "n1"),
        ("style-src 'nonce-n1', default-src 'unsafe-inline'; img-src *", "n1"),
    ],
)
def test_a_policy_is_met_with_its_own_nonce(policy: str, nonce: str) -> None:
    assert plan_of("GET", 200, [HTML, ("Content-Security-Policy", policy)]) == Plan(Insert.STREAM, nonce=nonce)


def test_a_page_with_a_bar_has_a_weak_etag_its_own_length_and_no_parts() -> None:
    headers = [HTML, ("ETag", '"a"'), ("Content-Length", "20"), ("Accept-Ranges", "bytes"), ("etag", 'W/"b"')]
    assert with_bar(headers, 99) == [HTML, ("ETag", 'W/"a"'), ("Content-Length", "99"), ("etag", 'W/"b"')]
    assert with_bar(headers, None) == [HTML, ("ETag", 'W/"a"'), ("etag", 'W/"b"')]


# -- where it goes ----------------------------------------------------------------------------------


def bar() -> bytes:
    return b"[BAR]"


PAGES = {
    b"<p>hi</p></body></html>\n": b"<p>hi</p>[BAR]</body></html>\n",
    b"<p>hi</p></BODY >": b"<p>hi</p>[BAR]</BODY >",
    b"<script>'</body>'</script><p></body>": b"<script>'</body>'</script><p>[BAR]</body>",
    b"</body></bodyguard>": b"[BAR]</body></bodyguard>",
    b"<!doctype html>\n<title>404</title><h1>Nothing</h1>": b"<!doctype html>\n<title>404</title><h1>Nothing</h1>[BAR]",
    b"\xef\xbb\xbf<!-- hi --> <HTML lang=en><p>hi</html>": b"\xef\xbb\xbf<!-- hi --> <HTML lang=en><p>hi</html>[BAR]",
}
UNTOUCHED = [
    b"",
    b"<p>a fragment</p>",
    b"</bodyguard>",
    b"</bod",
    b"<p>of <!doctype html>",
    b"<htmlx>",
    b"<!---->" * 140 + b"<p>nothing but comments before it, of which one may be many",
    b"<!doctype html><meta http-equiv='Content-Security-Policy' content='default-src none'>",
    b"<meta http-equiv='Content-Security-Policy' content='default-src none'><body></body>",
]


@pytest.mark.parametrize("page", PAGES)
def test_the_bar_goes_before_the_last_end_of_the_body_or_of_a_document_without_one(page: bytes) -> None:
    assert insert(page, "", bar) == PAGES[page]


@pytest.mark.parametrize("page", UNTOUCHED)
def test_a_fragment_is_not_touched(page: bytes) -> None:
    assert insert(page, "", bar) is None
    assert streamed([page]) == page


@pytest.mark.parametrize(("encoding", "pack", "unpack"), [("gzip", gzip.compress, gzip.decompress),
                                                          ("deflate", zlib.compress, zlib.decompress)])  # fmt: skip
def test_a_compressed_page_is_unpacked_and_packed_again(encoding: str, pack: object, unpack: object) -> None:
    for page, wanted in PAGES.items():
        changed = insert(pack(page), encoding, bar)  # type: ignore[operator]
        assert changed is not None
        assert unpack(changed) == wanted  # type: ignore[operator]
    assert insert(pack(b"<p>"), encoding, bar) is None  # type: ignore[operator]


@pytest.mark.parametrize(
    "data",
    [
        b"no gzip",
        gzip.compress(b"</body>")[:-4],
        gzip.compress(b"</body>") + b"more",
        gzip.compress(b" " * (MOST + 1) + b"</body>"),
    ],
)
def test_what_does_not_unpack_to_its_end_is_left_as_it_is(data: bytes) -> None:
    assert insert(data, "gzip", bar) is None


def streamed(pieces: list[bytes]) -> bytes:
    stream = Stream(bar)
    return b"".join([stream.feed(piece) for piece in pieces] + [stream.finish()])


@given(
    pieces=st.lists(
        st.sampled_from(
            [b"<p>hi", b"<!doctype html>", b"</", b"bo", b"dy", b">", b"</body>", b"</html>", b"\n", b"", b"</BODY"]
        )
    )
)
def test_a_streamed_page_is_the_same_page_with_at_most_one_bar(pieces: list[bytes]) -> None:
    page = b"".join(pieces)
    out = streamed(pieces)
    assert out.replace(b"[BAR]", b"") == page
    assert out.count(b"[BAR]") == (insert(page, "", bar) is not None)


@given(cuts=st.lists(st.integers(0, 40), max_size=6))
def test_a_streamed_page_has_its_bar_before_its_end_however_it_is_cut(cuts: list[int]) -> None:
    page = b"<html><body><p>hi</p></body>\n</html>\n"
    edges = [0, *sorted(min(cut, len(page)) for cut in cuts), len(page)]
    pieces = [page[a:b] for a, b in pairwise(edges)]
    assert streamed(pieces) == b"<html><body><p>hi</p>[BAR]</body>\n</html>\n"


def test_nothing_of_a_stream_is_kept_back_but_its_end() -> None:
    stream = Stream(bar)
    assert stream.feed(b"<p>one</p>") == b"<p>one</p>"
    assert stream.feed(b"<p>two</p></body></html>") == b"<p>two</p>"
    assert stream.feed(b"<script>late()</script>") == b"</body></html><script>late()</script>"
    assert stream.finish() == b"[BAR]"


# -- what is said -----------------------------------------------------------------------------------

METRIC = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+(;desc=\"[^\"\\]*\")?(;dur=\d+\.\d+)?")


def metrics(header: str) -> dict[str, float]:
    """Name and milliseconds of each metric of a Server-Timing header, which has to be a valid one."""
    found = {}
    for metric in re.split(r", (?=[a-z-]+;)", header):
        assert METRIC.fullmatch(metric), metric
        found[metric.partition(";")[0]] = float((re.search(r"dur=([\d.]+)", metric) or [0, "nan"])[1])
    return found


def test_the_header_has_a_metric_for_each_thing_that_time_went_to() -> None:
    figures = Figures(20_000_000, True, True, 5_000_000, 1_500_000, ((Wait.READ, 13_000_000), (Wait.LOCK, 1000)), 2, 70)
    assert metrics(server_timing(figures)) == {
        "total": 20, "run": 5, "ready": 1.5, "wait-read": 13, "wait-lock": 0.001, "spawned": 0,
    }  # fmt: skip


def test_without_a_ring_the_total_is_all_and_what_was_lost_is_said() -> None:
    assert metrics(server_timing(Figures(20_000_000, False))) == {"total": 20}
    assert "lost" in metrics(server_timing(Figures(1, True, False)))


def test_every_kind_of_wait_has_a_metric_of_its_own_and_one_that_is_unknown_is_other() -> None:
    assert set(WAITS) == set(Wait)
    waits = tuple((int(wait), 1) for wait in Wait)
    assert len(metrics(server_timing(Figures(1, True, waits=waits)))) == 3 + len(Wait)
    assert "wait-other" in server_timing(Figures(1, True, waits=((200, 1),)))
    assert b"waited" in bar_of(Figures(1, True, waits=((200, 1),)), "GET /", 200, "", "")


def test_the_bar_is_ascii_says_what_it_was_given_and_lets_nothing_in() -> None:
    figures = Figures(20_000_000, True, False, 5_000_000, 0, ((Wait.READ, 1),), 1, 5)
    html = bar_of(figures, "GET /<script>\N{LATIN SMALL LETTER E WITH ACUTE}", 404, '/x/#ring="1"&request=2', 'n"1')
    text = html.decode("ascii")
    assert "GET /&lt;script&gt;&#233;" in text and "<script" not in text
    assert 'nonce="n&quot;1"' in text and 'href="/x/#ring=&quot;1&quot;&amp;request=2"' in text
    assert "20.0 ms" in text and "waited to read" in text and "1 greenlet that it spawned" in text
    assert "these are not all" in text and "style=" not in text


# -- how it is set ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "on"), [("1", True), ("0", False), ("", False), ("yes", False), (None, False)])
def test_it_is_off_unless_debugging_is_asked_for(text: str | None, on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debugging, "always_traced", False)
    monkeypatch.setattr(debugging, "unrecorded", ())
    monkeypatch.delenv("GREENSCOPE_DEBUG", raising=False)
    if text is not None:
        monkeypatch.setenv("GREENSCOPE_DEBUG", text)
    assert settings_of(None, "/__greenscope__", True).enabled is on
    assert debugging.always_traced is on
    assert settings_of(not on, "/__greenscope__", True).enabled is not on


@pytest.mark.parametrize("prefix", ["", "/", "x", "/x/", "/a b", "//", None])
def test_a_prefix_that_is_no_path_is_refused_with_what_it_should_be(prefix: str) -> None:
    with pytest.raises(GreenscopeError, match=r"give a path that begins with /"):
        settings_of(True, prefix, True)
