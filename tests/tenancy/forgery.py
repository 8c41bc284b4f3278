"""Tokens that nobody may get in with. Each is made of a good one, `good`, or of its claims."""

import base64
import hmac
import json
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

KID, SEED = settings.TOKEN_KEYS[0]
OURS, FOREIGN = Ed25519PrivateKey.from_private_bytes(SEED), Ed25519PrivateKey.from_private_bytes(b"f" * 32)
PUBLIC = OURS.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
PEM = OURS.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def b64(content):
    if not isinstance(content, bytes):
        content = (content if isinstance(content, str) else json.dumps(content)).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def header_of(token):
    return _read(token.split(".")[0])


def claims_of(token):
    return _read(token.split(".")[1])


def _read(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def signed(header, payload, key=OURS):
    """With our own key, unless another is named: what is wrong is in the header or the payload."""
    head = f"{b64(header)}.{b64(payload)}"
    return f"{head}.{b64(key.sign(head.encode()))}"


def hmac_signed(secret, alg="HS256", digest="sha256"):
    def made(good):
        head = f"{b64({**header_of(good), 'alg': alg})}.{good.split('.')[1]}"
        return f"{head}.{b64(hmac.digest(secret, head.encode(), digest))}"

    return made


def head(**changed):
    return lambda good: signed(
        {k: v for k, v in {**header_of(good), **changed}.items() if v is not None}, claims_of(good)
    )


def body(**changed):
    return lambda good: signed(
        header_of(good), {k: v for k, v in {**claims_of(good), **changed}.items() if v is not None}
    )


def part(number, change):
    def made(good):
        parts = good.split(".")
        parts[number] = change(parts[number])
        return ".".join(parts)

    return made


def unsigned(**changed):
    return lambda good: f"{b64({**header_of(good), **changed})}.{good.split('.')[1]}."


_JWK = {"kty": "OKP", "crv": "Ed25519", "x": b64(FOREIGN.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))}
_FAR, _PAST = int(time.time()) + 10**6, int(time.time()) - 60
FORGERIES = {
    "alg none without a signature": unsigned(alg="none"),
    "alg None": unsigned(alg="None"),
    "alg nOnE with the good signature": lambda good: part(0, lambda _: b64({**header_of(good), "alg": "nOnE"}))(good),
    "no signature": lambda good: good.rpartition(".")[0] + ".",
    "two parts": lambda good: good.rpartition(".")[0],
    "four parts": lambda good: good + ".x",
    "five parts": lambda good: ".".join([*good.split("."), "x", "y"]),
    "HS256 with our raw public key": hmac_signed(PUBLIC),
    "HS256 with our public key as PEM": hmac_signed(PEM),
    "HS512 with our public key": hmac_signed(PUBLIC, "HS512", "sha512"),
    "HS256 with an empty secret": hmac_signed(b""),
    "EdDSA by its other name": head(alg="EdDSA"),
    "RS256 in name": head(alg="RS256"),
    "alg is a list": head(alg=["Ed25519"]),
    "no alg": head(alg=None),
    "another key": lambda good: signed(header_of(good), claims_of(good), FOREIGN),
    "an unknown kid": head(kid="99"),
    "the kid of another key of ours": head(kid=settings.TOKEN_KEYS[1][0]),
    "no kid": head(kid=None),
    "kid is a number": head(kid=int(KID)),
    "kid is a path": head(kid="../../../dev/null"),
    "kid is SQL": head(kid="1' OR '1'='1"),
    "typ JWT": head(typ="JWT"),
    "an unknown typ": head(typ="xt+jwt"),
    "no typ": head(typ=None),
    "a jku": lambda good: signed({**header_of(good), "jku": "https://evil.example/jwks"}, claims_of(good), FOREIGN),
    "an x5u": lambda good: signed({**header_of(good), "x5u": "https://evil.example/x"}, claims_of(good), FOREIGN),
    "its own key in jwk": lambda good: signed({**header_of(good), "jwk": _JWK}, claims_of(good), FOREIGN),
    "an x5c": head(x5c=["MIIB"]),
    "b64 false": head(b64=False, crit=["b64"]),
    "an unknown crit": head(crit=["exp"]),
    "an empty crit": head(crit=[]),
    "cty JWT": head(cty="JWT"),
    "compressed": head(zip="DEF"),
    "expired": body(exp=_PAST),
    "exp is text": body(exp=str(_FAR)),
    "exp is true": body(exp=True),
    "exp is NaN": body(exp=float("nan")),
    "exp is endless": body(exp=float("inf")),
    "no exp": body(exp=None),
    "not yet valid": body(nbf=_FAR),
    "issued in the future": body(iat=_FAR),
    "another audience": body(aud="https://other.example/api/"),
    "ours among audiences": lambda good: body(aud=[claims_of(good)["aud"], "x"])(good),
    "no audience": body(aud=None),
    "another issuer": body(iss="https://evil.example"),
    "issuer is a list": lambda good: body(iss=[claims_of(good)["iss"]])(good),
    "no issuer": body(iss=None),
    "no subject": body(sub=None),
    "subject is a number": lambda good: body(sub=int(claims_of(good)["sub"]))(good),
    "subject of nobody": body(sub="0"),
    "subject beyond any id": body(sub="9" * 30),
    "subject is negative": body(sub="-1"),
    "no family": body(sid=None),
    "a family that is none": body(sid="x"),
    "family is a list": body(sid=["x"]),
    "an unknown family": body(sid="00000000-0000-4000-8000-000000000000"),
    "payload altered": part(1, lambda old: b64({**json.loads(base64.urlsafe_b64decode(old + "==")), "sub": "1"})),
    "signature altered": part(2, lambda old: ("A" if old[0] != "A" else "B") + old[1:]),
    "signature spelled in another way": part(2, lambda old: old[:-1] + chr(ord(old[-1]) + 1)),
    "signature cut": part(2, lambda old: old[:-2]),
    "signature of zeros": part(2, lambda _: b64(bytes(64))),
    "signature padded": lambda good: good + "==",
    "cut in the middle": lambda good: good[: len(good) // 2],
    "header given twice": lambda good: signed(
        json.dumps(header_of(good))[:-1] + ', "alg": "Ed25519"}', claims_of(good)
    ),
    "claim given twice": lambda good: signed(header_of(good), json.dumps(claims_of(good))[:-1] + ', "sub": "1"}'),
    "header not UTF-8": part(0, lambda _: b64(b'{"alg": "\xff\xfe"}')),
    "header is a list": part(0, lambda old: b64([old])),
    "header is no JSON": part(0, lambda _: b64("alg=Ed25519")),
    "header nested a thousand deep": part(0, lambda _: b64("[" * 1_000)),
    "payload not UTF-8": lambda good: signed(header_of(good), b'{"sub": "\xff\xfe"}'),
    "payload is a list": lambda good: signed(header_of(good), [claims_of(good)]),
    "payload is no JSON": lambda good: signed(header_of(good), "sub=1"),
    "payload nested deep": lambda good: signed(header_of(good), "[" * 500),
    "payload empty": part(1, lambda _: ""),
    "a token in a token": lambda good: signed({**header_of(good), "cty": "JWT"}, good),
    "huge": lambda good: signed(header_of(good), {**claims_of(good), "x": "x" * 60_000}),
    "a little too long": lambda good: signed(header_of(good), {**claims_of(good), "x": "x" * 600}),
    "white space in it": lambda good: good.replace(".", " .", 1),
    "not ASCII": lambda good: good.replace(".", "․"),
    "JSON serialisation": lambda good: json.dumps(
        dict(zip(("protected", "payload", "signature"), good.split("."), strict=True))
    ),
    "nothing": lambda _: "",
    "a word": lambda _: "undefined",
    "dots": lambda _: "..",
}
