"""Bodies for the check API: JSON texts, right and wrong, from a seeded generator."""

import json
import random

NAMES = [
    "ip", "route", "user", "attributes", "namespace", "cost", "mode", "rules", "refundable", "limits", "amount",
    "checks", "", "IP", "a.b", "a/b", "~", "\n", "x` - at `$.cost", "$", "__proto__", "é", "\x00", "user ", "[0]",
]  # fmt: skip
TEXTS = [
    "", "u", "203.0.113.7", "2001:db8::1", "::ffff:1.2.3.4", "64:ff9b::1", "1.2.3.4/8", "fe80::1%1", "default",
    "consume", "peek", "report", "POST /v1", "x" * 256, "x" * 257, "é" * 128, "é" * 129, "\x00", "\ufeff", "𝄞",
    "\u2028", "e\u0301", "\\", '"', "a\nb", "user-rpm", "` - at `$.cost`",
]  # fmt: skip
NUMBERS = [
    "0", "1", "-0", "-1", "7", "2147483647", "2147483648", "1.0", "1e0", "1e400", "-1e-400", "9" * 30,
    "18446744073709551616", "0.1", "1E5", "01", "+1", ".5", "1.", "NaN", "Infinity", "-Infinity", "0x1", "1_0",
    "9" * 5_000, "1." + "0" * 400,
]  # fmt: skip
ATOMS = [
    *NUMBERS,
    "true",
    "false",
    "null",
    "nul",
    "{}",
    "[]",
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\\ud834\\udd1e"',
    '"\\u0000"',
    '"\\q"',
]
TOKENS = [
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\n", b"\x00", b"\xef\xbb\xbf", b"\xff", b"\xed\xa0\x80",
    b"\xc0\xaf",
    b"\\ud800", b"\\u", b"null", b"-", b"e", b".", b"//", b"/**/", b'"cost":1,', b'"cost":2', b"[" * 50,
    b'{"a":' * 50, b"'",
]  # fmt: skip


def text(chance: random.Random) -> str:
    return json.dumps(chance.choice(TEXTS), ensure_ascii=chance.random() < 0.5)


def value(chance: random.Random, depth: int = 0) -> str:
    match chance.randrange(6 if depth < 4 else 3):
        case 0 | 1:
            return text(chance)
        case 2 | 3:
            return chance.choice(ATOMS)
        case 4:
            return "[" + ",".join(value(chance, depth + 1) for _ in range(chance.randrange(4))) + "]"
        case _:
            members = (
                f"{json.dumps(chance.choice(NAMES))}:{value(chance, depth + 1)}" for _ in range(chance.randrange(4))
            )
            return "{" + ",".join(members) + "}"


def check(chance: random.Random) -> str:
    """Mostly of the right types, so that what lies behind them is reached."""
    right = {
        "ip": lambda: json.dumps(chance.choice(TEXTS[:8])),
        "route": lambda: text(chance),
        "user": lambda: text(chance),
        "attributes": lambda: (
            "{" + ",".join(f"{text(chance)}:{text(chance)}" for _ in range(chance.choice([0, 1, 2, 17]))) + "}"
        ),
        "namespace": lambda: chance.choice(['"default"', '"other"', text(chance)]),
        "cost": lambda: chance.choice(NUMBERS[:10]),
        "mode": lambda: chance.choice(['"consume"', '"peek"', '"report"', text(chance)]),
        "rules": lambda: (
            "[" + ",".join(chance.choice(['"a"', '"b-c"', text(chance)]) for _ in range(chance.randrange(3))) + "]"
        ),
        "limits": lambda: "[" + ",".join(inline_limit(chance) for _ in range(chance.choice([1, 1, 2, 6]))) + "]",
        "refundable": lambda: chance.choice(["false", "true"]),
    }
    members = []
    for _ in range(chance.randrange(5)):
        name = chance.choice(list(right)) if chance.random() < 0.97 else chance.choice(NAMES)
        made = right[name]() if name in right and chance.random() < 0.95 else value(chance)
        members.append(f"{json.dumps(name)}:{made}")
    space = chance.choice(["", "", " ", "\n\t"])
    return "{" + space + f",{space}".join(members) + "}"


def inline_limit(chance: random.Random) -> str:
    """Mostly right; what of it is wrong is often wrong only beside the rest."""
    keys = ['"user"', '"ip"', '"attributes.a"', '"attributes."', text(chance)]
    members = {
        "name": chance.choice(['"a"', '"b-c"', '"d"', '"d"', text(chance)]),
        "limit": chance.choice(["1", "5", "1000", "1001", "2147483647", "0"]),
        "window_ms": chance.choice(["1000", "60000", "1500", "34560000000", "34560001000", "999"]),
        "key": "[" + ",".join(chance.choices(keys, k=chance.randrange(3))) + "]",
        "algorithm": chance.choice(['"sliding_window"', '"token_bucket"', '"sliding_log"', text(chance)]),
        "burst": chance.choice(["0", "5", "5001", "-1"]),
        "x": "1",
    }  # fmt: skip
    names = ["name", "limit", "window_ms", *chance.choices(list(members)[3:6], k=chance.randrange(3))]
    if chance.random() < 0.05:
        names.append("x")
    if chance.random() < 0.05:
        names.pop(0)
    return "{" + ",".join(f'"{name}":{members[name]}' for name in names) + "}"


def body(chance: random.Random) -> bytes:
    kind = chance.random()
    if kind < 0.6:
        made = check(chance)
    elif kind < 0.65:
        made = f'{{"amount":{chance.choice(NUMBERS)}}}'
    elif kind < 0.8:
        made = '{"checks":[' + ",".join(check(chance) for _ in range(chance.choice([0, 1, 2, 3, 101]))) + "]}"
    else:
        made = value(chance)
    data = made.encode()
    for _ in range(chance.choice([0, 0, 0, 1, 1, 2, 4])):
        data = mutated(chance, data)
    return data


def mutated(chance: random.Random, data: bytes) -> bytes:
    at = chance.randrange(len(data) + 1)
    to = min(len(data), at + chance.choice([1, 1, 2, 8, 64]))
    match chance.randrange(5):
        case 0:
            return data[:at] + bytes(byte ^ (1 << chance.randrange(8)) for byte in data[at : at + 1]) + data[at + 1 :]
        case 1:
            return data[:at] + data[to:]
        case 2:
            return data[:to] + data[at:]
        case 3:
            return data[:at] + chance.choice(TOKENS) + data[at:]
        case _:
            return data[:at]
