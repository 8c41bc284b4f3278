"""The whole service as processes handles every kind of secret there is, and none of them is found in plain afterwards:
not in a log, a spool, a topic, a dump of a database or a Valkey, a message of Celery's, or the page of an error.

Where one is meant to be:

| kept in | what | why |
|---|---|---|
| mails | links of confirmations and invitations | that is how they reach whom they are for |
| what the caller is answered, once | new keys, tokens | as above |
| a page | the address it was asked for, in the form that changes the theme | it leads back to where its reader is |
| the processes' environment | peppers, sealing keys, passwords of databases, Stripe's keys | they work with them |
"""

import os
import re
import time
from pathlib import Path
from secrets import token_hex
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
import requests
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from cryptography.fernet import Fernet
from redis import Redis

from ratelimiter.snapshot.keyring import key_generate
from tests.browser.rig import HOST, Service, _free_port, _status, _wait_until
from tests.stores import files_read, tables_read, valkey_read

pytestmark = pytest.mark.slow
EMAIL = "quokka@example.com"
JSON = {"Content-Type": "application/json"}


class Seen:
    """The secrets by name, and the bodies of refusals and mistakes."""

    def __init__(self):
        self.secrets, self.pages = {}, {}

    def add(self, name, value):
        assert len(value) >= 8, f"{name} is not there"
        self.secrets[name] = value
        return value

    def where(self, texts):
        return {
            (name, place) for place, text in texts for name, secret in self.secrets.items() if secret.encode() in text
        }


@pytest.fixture(scope="module")
def seen():
    return Seen()


@pytest.fixture(scope="module")
def service(tmp_path_factory, seen):
    environ = dict(os.environ) | {"SEALING_KEYS": Fernet.generate_key().decode()}
    for name in ("COUNTERS_URL", "BUS_URL"):
        with Redis.from_url(os.environ[name]) as client:
            client.flushall()
    made = Service(environ, tmp_path_factory.mktemp("leaks"))
    made._environ |= {"DJANGO_SETTINGS_MODULE": "tests.leaks.settings", "LOG_FORMAT": "json", "LOG_LEVEL": "INFO"}
    for name in ("SECRET_KEY", "SEALING_KEYS", "STRIPE_SECRET_KEY"):
        seen.add(name, made._environ[name])
    for name in ("KEY_PEPPERS", "TOKEN_KEYS"):
        seen.add(name, made._environ[name].split(",")[0].split(":")[1])
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_INGEST_URL"):
        if password := urlsplit(environ[name]).password:
            seen.add(name, unquote(password))
    with made:
        bind = f"{HOST}:{_free_port()}"
        made.console_url = f"http://{bind}"
        made._environ |= {"LOG_FORMAT": "console"}
        made._start("web-console", "gunicorn", "config.wsgi", "--bind", bind, "--threads", "2")
        _wait_until(lambda: _status(f"{made.console_url}/pricing") == 200, "the portal", made._folder)
        yield made


class Person(requests.Session):
    def __init__(self, url, seen):
        super().__init__()
        self.url, self._seen = url, seen

    def request(self, method, path, *given, **more):
        answer = super().request(method, path if "://" in path else self.url + path, *given, timeout=30, **more)
        if answer.status_code >= 400:
            self._seen.pages[f"{method} {urlsplit(answer.url).path} {answer.status_code}"] = answer.content
        return answer

    def send(self, *given, **more):
        more.setdefault("timeout", 30)
        return super().send(*given, **more)

    def fill(self, path, *, page=None, **fields):
        """`page` is the text that the form stands on; it is fetched where it is not given."""
        text = page or self.get(path).text
        fields["csrfmiddlewaretoken"] = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', text)[1]
        return self.post(path, data=fields, headers={"Referer": self.url + path})


def sign_up(service, seen):
    """Returns the person and the slug."""
    password = seen.add("password", f"Plain-quokka-{token_hex(6)}")
    person = Person(service.portal_url, seen)
    page = person.fill("/accounts/signup/", organisation="Quokka", email=EMAIL, password1=password)
    slug = re.search(r"/t/([a-z0-9-]+)/onboarding", page.url)[1]
    seen.add("first key", re.search(r"rl_test_\w{38}", page.text)[0])
    service.confirm(EMAIL)
    return person, slug


def log_in_wrongly(service, seen):
    for name, url in (("json", service.portal_url), ("console", service.console_url)):
        wrong = seen.add(f"wrong password, {name}", f"Wrong-numbat-{token_hex(6)}")
        somebody = Person(url, seen)
        assert somebody.fill("/accounts/login/", login=EMAIL, password=wrong).status_code == 200
        body = {"email": EMAIL, "password": wrong}
        assert somebody.post("/api/v1/token", json=body).status_code == 401
        assert somebody.post(f"/api/v1/token?password={wrong}", json=body | {"password": [wrong]}).status_code == 400


def tokens(person, seen):
    answer = person.post("/api/v1/token", json={"email": EMAIL, "password": seen.secrets["password"]}).json()
    seen.add("refresh token", answer["refresh_token"])
    again = person.post("/api/v1/token/refresh", json={"refresh_token": answer["refresh_token"]}).json()
    seen.add("next refresh token", again["refresh_token"])
    return {"Authorization": f"Bearer {seen.add('access token', again['access_token'])}"}


def keys(service, person, seen, bearer):
    made = person.post("/api/v1/api-keys", json={"name": "ci"}, headers=bearer | {"Idempotency-Key": "one"}).json()
    key = seen.add("key", made["secret"])
    turned = person.post(f"/api/v1/api-keys/{made['id']}/rotate", json={}, headers=bearer).json()
    seen.add("rotated key", turned["secret"])
    unknown = seen.add("key that nobody has", key_generate(live=True))
    door = service.check_url.removesuffix("/v1/check")
    for one in (key, turned["secret"], unknown):
        for url in (door + "/v1/check", service.portal_url + "/api/v1/check", service.console_url + "/api/v1/check"):
            _ask_rightly_and_wrongly(person, url, one)


def _ask_rightly_and_wrongly(person, url, key):
    body = {"route": "GET /x", "user": "u_1"}
    deadline = time.monotonic() + 20
    while person.post(url, json=body, headers={"Authorization": f"Bearer {key}"}).status_code not in (200, 401):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    for address, more in (
        (f"{url}?api_key={key}", {}), (f"{url}/{key}", {}), (url, {"X-API-Key": key}), (url, {"Cookie": f"key={key}"}),
        (url, {"X-Request-ID": key}), (url, {"Authorization": f"Basic {key}"}), (url, {"User-Agent": key}),
    ):  # fmt: skip
        person.post(address, json=body, headers=more)
    person.post(url, json={"key": key, "authorization": key})
    person.get(f"{url}?key={key}")


def second_step(person, seen):
    person.fill("/accounts/reauthenticate/", password=seen.secrets["password"])
    page = person.get("/accounts/2fa/totp/activate/").text
    secret = seen.add("key of the app", re.search(r'value="([A-Z2-7]{32})"', page)[1])
    code = format_hotp_value(hotp_value(secret, int(time.time()) // 30))
    person.fill("/accounts/2fa/totp/activate/", page=page, code=code)
    codes = re.findall(r"\b\d{8}\b", person.get("/accounts/2fa/recovery-codes/").text)
    for number, one in enumerate(codes):
        seen.add(f"recovery code {number}", one)
    assert len(codes) == 10


def links(service, person, seen, bearer):
    made = person.post("/api/v1/members/invitations", json={"email": "w@example.com", "role": "viewer"}, headers=bearer)
    assert made.status_code == 201
    token = _in_the_mails(service, r"/invitations/([\w:.-]+)")
    seen.add("invitation", token)
    for url in (service.portal_url, service.console_url):
        person.get(f"{url}/invitations/{token}")
        person.get(f"{url}/invitations/{token}x?token={token}")
        person.get(f"{url}/mails/stop/{token}")


def _in_the_mails(service, pattern):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for path in Path(service._environ["EMAIL_FOLDER"]).glob("*"):
            text = path.read_text(errors="replace").replace("=\n", "").replace("=3D", "=")
            if found := re.search(pattern, text):
                return found[1]
        time.sleep(0.3)
    raise AssertionError(f"no mail has {pattern}")


def webhook(service, person, slug, seen):
    service.manage("plan_set", "--tenant", slug, "--plan", "professional")
    base = f"/t/{slug}/notifications/channels"
    path = seen.add("address of a webhook", f"hook-{token_hex(8)}")
    page = person.fill(f"{base}/new/webhook", name="P", url=f"https://hooks.example.com/{path}", kinds="quota.warning")
    number = re.search(r"/channels/(\d+)", page.url)[1]
    seen.add("signing key", re.search(r"whsec_[\w+/=]+", page.text)[0])
    person.fill(f"{base}/{number}/rotate", page=page.text)
    for place, one in enumerate(re.findall(r"whsec_[\w+/=]+", person.get(f"{base}/{number}").text)):
        seen.add(f"signing key {place}", one)


def mistakes(service, seen):
    held = {name: seen.secrets[name] for name in ("password", "key", "access token", "first key")}
    for url in (service.portal_url, service.console_url):
        answer = Person(url, seen).post("/mistake", data=held | {"password": held["password"]})
        assert answer.status_code == 500


def texts(service, seen):
    for place, text in seen.pages.items():
        yield place, re.sub(rb'name="next"\s+value="[^"]*"', b"", text)
    for place, text in files_read(service._folder):
        if not place.startswith("mail/"):
            yield place, text
    for name in ("COUNTERS_URL", "BUS_URL"):
        yield from ((place, text) for place, text in valkey_read(service._environ[name]))
    with psycopg.connect(service._environ["DATABASE_OWNER_URL"], autocommit=True) as owner:
        yield from tables_read(owner)


def test_no_secret_is_anywhere_in_plain(service, seen):
    person, slug = sign_up(service, seen)
    log_in_wrongly(service, seen)
    bearer = tokens(person, seen)
    keys(service, person, seen, bearer)
    links(service, person, seen, bearer)
    webhook(service, person, slug, seen)
    second_step(person, seen)
    mistakes(service, seen)
    time.sleep(2)  # what is on its way
    everything = list(texts(service, seen))
    logs = b"".join(text for place, text in everything if place.endswith(".log"))
    assert logs.count(b"RuntimeError") >= 2
    assert len(seen.pages) > 10
    assert len(seen.secrets) > 25
    assert seen.where(everything) == set()

    # It would be found.
    planted = service._folder / "planted.log"
    planted.write_text(f"key={seen.secrets['key']}")
    assert seen.where(texts(service, seen)) == {("key", "planted.log")}
    planted.unlink()
