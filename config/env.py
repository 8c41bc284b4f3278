"""The control plane's environment variables; nothing else in Django reads os.environ."""

import base64
import hmac
import os
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import msgspec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from msgspec import Meta

from ratelimiter.environ import EnvironmentInvalid, environ_read
from ratelimiter.store.address import address_parse, tls_context

BASE_DIR = Path(__file__).resolve().parent.parent


class Env(msgspec.Struct, frozen=True):
    database_url: Annotated[str, Meta(description="postgresql://, the role that runs the application")]
    counters_url: Annotated[str, Meta(description="where counters and snapshots live; see docs/operating.md")]
    bus_url: Annotated[str, Meta(description="redis:// that keeps its data: broker (db 0) and cache (db 1)")]
    secret_key: Annotated[str, Meta(min_length=32, description="signs sessions and links")]
    key_peppers: Annotated[str, Meta(description="version:hex, comma-separated; the newest makes new key digests")]
    database_owner_url: Annotated[str, Meta(description="the role that owns the tables: migrations and cells")] = ""
    database_ingest_url: Annotated[str, Meta(description="the role that writes analytics; for its workers only")] = ""
    database_ingest_role: Annotated[str, Meta(description="that role's name, for the owner's grants")] = "rl_ingest"
    events_url: Annotated[str, Meta(description="kafka:// or redis://, where the shipper puts events; bus_url")] = ""
    ingest_workers: Annotated[int, Meta(ge=1, le=16, description="how many drains at once share the partitions")] = 1
    stripe_secret_key: Annotated[str, Meta(description="Stripe's, or its stand-in's; empty collects nothing")] = ""
    stripe_webhook_secret: Annotated[str, Meta(description="signs what Stripe sends to /stripe/webhook")] = ""
    stripe_api_base: Annotated[str, Meta(description="the stand-in's address; empty is Stripe itself")] = ""
    stripe_mirror: Annotated[bool, Meta(description="false where dj-stripe's tables are not needed: starts sooner")] = (
        True
    )
    database_role: Annotated[str, Meta(pattern="^(app|owner)$", description="which of the two URLs is used")] = "app"
    database_pool: Annotated[int, Meta(ge=0, le=100, description="connections kept per process; 0 is no pool")] = 0
    portal_url: Annotated[str, Meta(description="where browsers find the portal")] = "http://127.0.0.1:8000"
    check_url: Annotated[str, Meta(description="where programs find the door")] = "http://127.0.0.1:8001/v1/check"
    example_key: Annotated[str, Meta(description="a public test key, shown in the landing page's curl")] = ""
    allowed_hosts: Annotated[str, Meta(description="comma-separated")] = "127.0.0.1,localhost"
    trusted_proxies: Annotated[int, Meta(ge=0, le=10, description="proxies in front whose X-Forwarded-For holds")] = 0
    debug: Annotated[bool, Meta(description="tracebacks in the browser; never in production")] = False
    door_workers: Annotated[int, Meta(ge=1, description="processes that answer checks; shares local fallbacks")] = 2
    export_dir: Annotated[str, Meta(description="folder of exports, shared by web and workers, served by nobody")] = (
        str(BASE_DIR / "var" / "exports")
    )
    spool_dir: Annotated[str, Meta(description="folder of the event spool")] = str(BASE_DIR / "var" / "spool")
    spool_max_bytes: Annotated[int, Meta(ge=1_048_576, description="the oldest events go past this size")] = 2**30
    email_folder: Annotated[str, Meta(description="mails are written here unless EMAIL_HOST is set")] = str(
        BASE_DIR / "var" / "mail"
    )
    email_host: Annotated[str, Meta(description="SMTP server")] = ""
    email_port: Annotated[int, Meta(ge=1, le=65_535)] = 587
    email_user: str = ""
    email_password: str = ""
    email_provider: Annotated[
        str, Meta(pattern="^(|smtp|ses|sendgrid)$", description="who takes mails; empty: smtp where EMAIL_HOST is set")
    ] = ""
    email_api_key: Annotated[str, Meta(description="SendGrid's; SES takes AWS's own variables")] = ""
    sales_email: Annotated[str, Meta(description="where those write who want a contract")] = "hello@localhost"
    email_from: Annotated[str, Meta(description="sender of the product's mails")] = "Ratelimiter <hello@localhost>"
    secret_scanning_keys: Annotated[str, Meta(description="id=base64,… of those who may report leaked keys")] = ""
    sealing_keys: Annotated[str, Meta(description="comma-separated Fernet keys for secrets at rest; newest first")] = ""
    token_keys: Annotated[
        str, Meta(description="version:hex, comma-separated, 32 bytes each, that sign API tokens; the newest signs")
    ] = ""
    twilio_account_sid: Annotated[str, Meta(description="Twilio's account; empty sends no SMS")] = ""
    twilio_auth_token: str = ""
    twilio_from: Annotated[str, Meta(description="the number that SMS come from")] = ""
    sms_countries: Annotated[str, Meta(description="ISO codes, comma-separated, that SMS may go to")] = "US,CA,GB,DE,FR"
    outbound_allowed: Annotated[str, Meta(description="comma-separated private networks that webhooks may reach")] = ""
    log_level: Annotated[str, Meta(pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="least to be logged")] = "INFO"
    log_format: Annotated[str, Meta(pattern="^(json|console)$", description="console is for people")] = "json"
    web_metrics_host: Annotated[str, Meta(description="where a portal's /metrics is served")] = "127.0.0.1"
    web_metrics_port: Annotated[int, Meta(ge=0, le=65_535, description="the portal's /metrics; 0 is none")] = 0

    def database(self) -> dict[str, object]:
        """Django's DATABASES entry for the role of this process."""
        url = self.database_owner_url if self.database_role == "owner" else self.database_url
        if not url:
            raise EnvironmentInvalid("DATABASE_OWNER_URL: needed when DATABASE_ROLE is owner")
        parts = urlsplit(url)
        if parts.scheme not in {"postgresql", "postgres"} or not parts.hostname or not parts.path.strip("/"):
            raise EnvironmentInvalid("DATABASE_URL: must look like postgresql://role:password@host:port/database")
        entry: dict[str, object] = {
            "ENGINE": "apps.core.postgresql",
            "NAME": parts.path.lstrip("/"),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": parts.hostname,
            "PORT": parts.port or 5432,
            "CONN_MAX_AGE": 0 if self.database_pool else 60,
            "CONN_HEALTH_CHECKS": True,
            "OPTIONS": {"application_name": "ratelimiter"},
        }
        if self.database_pool and self.database_role == "app":
            entry["OPTIONS"] = {"pool": {"min_size": 1, "max_size": self.database_pool, "timeout": 5}}
        return entry

    def application_role(self) -> str:
        return unquote(urlsplit(self.database_url).username or "")

    def counters(self) -> str:
        try:
            tls_context(address_parse(self.counters_url).access)
        except ValueError as error:
            raise EnvironmentInvalid(f"COUNTERS_URL: {error}") from None
        return self.counters_url

    def mail_backend(self) -> str:
        provider = self.email_provider or ("smtp" if self.email_host else "file")
        if provider == "smtp" and not self.email_host:
            raise EnvironmentInvalid("EMAIL_HOST: needed when EMAIL_PROVIDER is smtp")
        if provider == "sendgrid" and not self.email_api_key:
            raise EnvironmentInvalid("EMAIL_API_KEY: needed when EMAIL_PROVIDER is sendgrid")
        return {
            "file": "django.core.mail.backends.filebased.EmailBackend",
            "smtp": "django.core.mail.backends.smtp.EmailBackend",
            "ses": "anymail.backends.amazon_ses.EmailBackend",
            "sendgrid": "anymail.backends.sendgrid.EmailBackend",
        }[provider]

    def sealing(self) -> list[str]:
        """Fernet keys, the newest first. The last is made of SECRET_KEY: it seals where there is no other, and goes on
        opening what it sealed before there was one.
        """
        keys = [key.strip() for key in self.sealing_keys.split(",") if key.strip()]
        made = hmac.digest(self.secret_key.encode(), b"secrets at rest", "sha256")
        try:
            wrong = [key for key in keys if len(base64.urlsafe_b64decode(key)) != 32]
        except ValueError:
            wrong = keys
        if wrong:
            raise EnvironmentInvalid("SEALING_KEYS: each must be 32 bytes in URL-safe base64")
        return [*keys, base64.urlsafe_b64encode(made).decode()]

    def tokens(self) -> list[tuple[str, bytes]]:
        """(version, seed of an Ed25519 key), newest first; without any, one made of SECRET_KEY."""
        if not self.token_keys:
            return [("0", hmac.digest(self.secret_key.encode(), b"keys of tokens", "sha256"))]
        try:
            found = sorted(
                ((int(version), bytes.fromhex(seed)) for version, seed in _pairs(self.token_keys)), reverse=True
            )
        except ValueError:
            found = []
        if not found or any(len(seed) != 32 for _, seed in found):
            raise EnvironmentInvalid("TOKEN_KEYS: must look like 1:hexdigits,2:hexdigits, 64 digits each")
        return [(str(version), seed) for version, seed in found]

    def scanners(self) -> dict[str, str]:
        """Key id → public key, DER in base64."""
        pairs = [part.strip().partition("=") for part in self.secret_scanning_keys.split(",") if part.strip()]
        try:
            for _name, _, encoded in pairs:
                load_der_public_key(base64.b64decode(encoded, validate=True))
        except ValueError as error:
            raise EnvironmentInvalid(f"SECRET_SCANNING_KEYS: must look like id=base64, of DER keys; {error}") from None
        return {name: encoded for name, _, encoded in pairs}

    def networks(self) -> list[str]:
        try:
            return [str(ip_network(text.strip())) for text in self.outbound_allowed.split(",") if text.strip()]
        except ValueError as error:
            raise EnvironmentInvalid(f"OUTBOUND_ALLOWED: {error}") from None

    def redis(self, database: int) -> str:
        """The bus's URL with another database number."""
        return urlsplit(self.bus_url)._replace(path=f"/{database}").geturl()

    def peppers(self) -> list[tuple[int, str]]:
        """(version, hex secret), newest first."""
        try:
            found = [(int(version), bytes.fromhex(secret).hex()) for version, secret in _pairs(self.key_peppers)]
        except ValueError:
            raise EnvironmentInvalid("KEY_PEPPERS: must look like 1:hexdigits,2:hexdigits") from None
        return sorted(found, reverse=True)


def _pairs(text: str) -> list[tuple[str, str]]:
    parts = [part.strip().partition(":") for part in text.split(",")]
    return [(version, secret) for version, _, secret in parts]


env = environ_read(Env, os.environ)
