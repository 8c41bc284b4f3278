"""The look of the hosted pages: plain HTML without scripts, which says on every page that no money moves."""

from collections.abc import Sequence
from html import escape

from apps.billing.sandbox.routes import Page

STYLE = """
:root { color-scheme: light dark; --ink: #1a1f36; --soft: #5b6472; --line: #d9dee7; --ground: #f6f8fa; --card: #fff;
  --accent: #3b4fd8; --on: #fff; --bad: #b3261e; --mark: #fff4d6; --on-mark: #5f4400; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ebf1; --soft: #a3acba; --line: #343b4a; --ground: #12151c;
  --card: #1b202b; --accent: #8f9dff; --on: #10131a; --bad: #ff9d94; --mark: #3a300f;
  --on-mark: #ffe6a3; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
.mode { background: var(--mark); color: var(--on-mark); text-align: center; padding: .5rem 1rem; font-weight: 600; }
main { max-width: 40rem; margin: 2rem auto; padding: 0 1rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1.25rem;
  margin: 0 0 1rem; overflow-x: auto; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem; } h2 { font-size: 1.1rem; margin: 0 0 .75rem; }
table { border-collapse: collapse; width: 100%; } td, th { padding: .45rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); } td:last-child, th:last-child { text-align: right; white-space: nowrap; }
tr:last-child td { border-bottom: 0; } .sum td { font-weight: 700; }
label { display: block; font-weight: 600; margin: .75rem 0 .25rem; }
input, select { width: 100%; font: inherit; padding: .6rem .7rem; border: 1px solid var(--line); border-radius: .4rem;
  background: var(--ground); color: var(--ink); }
.row { display: flex; gap: .75rem; } .row > div { flex: 1; min-width: 0; }
button, .button { font: inherit; font-weight: 600; padding: .65rem 1.1rem; border-radius: .4rem; cursor: pointer;
  border: 1px solid var(--accent); background: var(--accent); color: var(--on); text-decoration: none;
  display: inline-block; margin: 1rem .5rem 0 0; }
button.quiet, .button.quiet { background: transparent; color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
a { color: var(--accent); } .soft { color: var(--soft); } .bad { color: var(--bad); font-weight: 600; }
p { margin: 0 0 .75rem; } details { margin-top: 1rem; } td button, section > .button:only-child { margin: 0; }
section > form:first-child > label:first-child { margin-top: 0; } section > p:last-child { margin-bottom: 0; }
"""


def document(title: str, *sections: str, status: int = 200) -> Page:
    """`sections` are HTML already."""
    body = "".join(f"<section>{section}</section>" for section in sections)
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        '<div class="mode" role="note">Test mode: no money moves</div>'
        f"<main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    return Page(text.encode(), status=status)


def notice(title: str, text: str, *, status: int = 200) -> Page:
    return document(title, f"<p>{escape(text)}</p>", status=status)


def redirect(location: str) -> Page:
    return Page(status=303, location=location)


def table(rows: Sequence[tuple[str, ...]], *, head: tuple[str, ...] | None = None, last_is_sum: bool = False) -> str:
    """Cells are HTML already."""
    top = "<thead><tr>" + "".join(f'<th scope="col">{cell}</th>' for cell in head) + "</tr></thead>" if head else ""
    body = "".join(
        f"<tr{' class=sum' if last_is_sum and row is rows[-1] else ''}>"
        + "".join(f"<td>{cell}</td>" for cell in row)
        + "</tr>"
        for row in rows
    )
    return f"<table>{top}<tbody>{body}</tbody></table>"


def money(cents: int, currency: str) -> str:
    unit = "$" if currency == "usd" else f"{currency.upper()} "
    return f"{'-' if cents < 0 else ''}{unit}{abs(cents) // 100:,}.{abs(cents) % 100:02}"
