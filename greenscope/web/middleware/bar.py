"""The bar that a page gets: what became of the request's time, and the way to its timeline.

It is an element of its own with a shadow root that the HTML itself declares: no script, nothing fetched, and neither
do the page's styles reach it nor its the page. It is a ``details``, which the keyboard opens and closes. Browsers
that know no declared shadow roots (before 2024) show nothing. Nothing but ASCII is in it, so that it fits any charset
that has ASCII's bytes.
"""

from __future__ import annotations

from html import escape
from time import localtime, strftime

from greenscope.web.middleware.figures import Figures, wait_of

__all__ = ["bar_of"]

_RUN, _READY, _WAIT, _REST = "run", "ready", "wait", "rest"
_ROWS = 6  # kinds of waits that are named

_STYLE = """
:host{all:initial!important;position:fixed!important;right:12px!important;bottom:12px!important;
z-index:2147483647!important;display:block!important;max-width:calc(100vw - 24px)!important;
color-scheme:light dark!important;
--ink:#1c2430;--dim:#5b6675;--paper:#fff;--line:#d4dae2;--link:#0b5cad;--run:#2a9d57;--ready:#d9a400;--wait:#8aa0b8;
--rest:#e3e8ee;font:13px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif!important;
color:var(--ink)!important}
@media(prefers-color-scheme:dark){:host{--ink:#e8edf3;--dim:#9aa7b6;--paper:#161c24;--line:#343f4d;--link:#79b8ff;
--run:#3fc275;--ready:#e5b93c;--wait:#5f7690;--rest:#2a3440}}
@media print{:host{display:none!important}}
details{background:var(--paper);border:1px solid var(--line);border-radius:9px;box-shadow:0 2px 10px #0003;
overflow:hidden;margin-left:auto;width:max-content;max-width:100%;box-sizing:border-box}
details[open]{width:min(340px,100%)}
summary{display:flex;align-items:center;gap:8px;padding:5px 10px;cursor:pointer;list-style:none;white-space:nowrap;
user-select:none}
summary::-webkit-details-marker{display:none}
summary:focus-visible,a:focus-visible{outline:2px solid var(--link);outline-offset:-2px;border-radius:8px}
summary::after{content:"";width:6px;height:6px;border:solid var(--dim);border-width:0 1.5px 1.5px 0;
transform:translateY(2px) rotate(225deg);margin-left:auto;flex:none}
details[open] summary::after{transform:translateY(-1px) rotate(45deg)}
details[open] summary{border-bottom:1px solid var(--line)}
b{font-weight:600}
.n{font-variant-numeric:tabular-nums}
.d{color:var(--dim)}
.m{display:flex;height:8px;border-radius:4px;overflow:hidden;background:var(--rest);width:64px;flex:none}
.m i,.k{background:var(--rest)}.k.all{background:var(--ink)}
.m .run,.k.run{background:var(--run)}.m .ready,.k.ready{background:var(--ready)}.m .wait,.k.wait{background:var(--wait)}
.in{padding:9px 10px 10px;max-height:min(60vh,420px);overflow:auto}
.in .m{width:100%;margin-bottom:8px}
p{margin:0 0 8px;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;margin:0 0 8px}
td{padding:2px 0;vertical-align:baseline}
td+td{text-align:right;white-space:nowrap;padding-left:12px}
.k{display:inline-block;width:8px;height:8px;border-radius:2px;margin-right:7px}
a{color:var(--link);text-decoration:none;font-weight:600}
a:hover{text-decoration:underline}
"""
_TIGHT = _STYLE.replace("\n", "")


def bar_of(figures: Figures, what: str, status: int, link: str, nonce: str) -> bytes:
    """The bar, as bytes of HTML.

    Args:
        figures: what became of the request's time.
        what: the request.
        status: the response's.
        link: to its timeline; empty if there is none.
        nonce: what lets the page's policy accept the style.
    """
    widths, meter = _meter(figures)
    allowed = f' nonce="{escape(nonce)}"' if nonce else ""
    total = _duration(figures.total)
    drawn = f'<span class="m" aria-hidden="true">{meter}</span>' if figures.recorded else ""
    html = (
        f'<greenscope-bar><template shadowrootmode="open"><style{allowed}>{_TIGHT}{widths}</style>'
        f'<details part="bar"><summary title="greenscope: where this request spent its time">'
        f"<b>greenscope</b>{drawn}"
        f'<span class="n">{total}</span></summary><div class="in">'
        f'<p><b>{escape(what)}</b> <br><span class="d">{status or ""} at {strftime("%H:%M:%S", localtime())}</span></p>'
        f"{drawn}<table>{_rows(figures)}</table>{_below(figures, link)}"
        f"</div></details></template></greenscope-bar>"
    )
    return html.encode("ascii", "xmlcharrefreplace")


def _meter(figures: Figures) -> tuple[str, str]:
    """A rule for each part's width, since an attribute would be one more thing that a policy may forbid; the parts."""
    parts = [(_RUN, figures.run), (_READY, figures.ready), (_WAIT, sum(time for _, time in figures.waits))]
    widths = "".join(f".m .{name}{{width:{100 * time / max(figures.total, 1):.2f}%}}" for name, time in parts)
    return widths, "".join(f'<i class="{name}"></i>' for name, _ in parts)


def _rows(figures: Figures) -> str:
    rows = [("all", "total, so far", figures.total)]
    if figures.recorded:
        rows += [(_RUN, "ran", figures.run), (_READY, "ready, waited for its turn", figures.ready)]
        rows += [(_WAIT, wait_of(reason)[1], time) for reason, time in figures.waits[:_ROWS]]
        rest = sum(time for _, time in figures.waits[_ROWS:])
        if rest:
            rows.append((_WAIT, "waited for other things", rest))
        if figures.spawned:
            rows.append((_REST, f"{figures.spawned_words} that it spawned ran", figures.spawned_run))
    return "".join(
        f'<tr><td><span class="k {key}"></span>{escape(words)}</td><td class="n">{_duration(time)}</td></tr>'
        for key, words, time in rows
    )


def _below(figures: Figures, link: str) -> str:
    said = ""
    if not figures.recorded:
        said = "<p class=d>Nothing is recorded here: this is the clock alone. Under a green server there is more.</p>"
    elif not figures.whole:
        said = "<p class=d>More happened than is still there to read: these are not all.</p>"
    if link:
        said += f'<a href="{escape(link)}" target="_blank" rel="noopener">Open its timeline</a>'
    return said


def _duration(nanoseconds: int) -> str:
    milliseconds = nanoseconds / 1e6
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.2f} s"
    return f"{milliseconds:.1f} ms" if milliseconds >= 10 else f"{milliseconds:.2f} ms"
