"""One JSON object an event, or one readable line. Secrets are taken out by name, and by their look anywhere."""

import re
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET_WORDS = ("password", "secret", "token", "authorization", "api_key", "cookie", "pepper")
_SECRET_PATHS = re.compile(r"(/invitations/|/mails/stop/)[^/?\s]+")  # whoever has the link may use it
_SECRET_LOOKS = re.compile(
    r"\brl_(?:live|test)_[0-9A-Za-z]{38}|\bwhsec_[0-9A-Za-z+/=]{16,}|\b[sr]k_(?:live|test)_[0-9A-Za-z]{16,}"
    r"|\beyJ[\w-]{10,}\.[\w-]+\.[\w-]+|(?<=://)[^/\s:@\"]*:[^/\s@\"]+(?=@)"
)


def secrets_mask(_logger: Any, _method: str, text: str) -> str:
    """API keys, signing secrets, Stripe's keys, tokens, and passwords inside of URLs, also in tracebacks."""
    return _SECRET_LOOKS.sub("[redacted]", text)


def secrets_redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in event:
        if any(word in name.lower() for word in _SECRET_WORDS):
            event[name] = "[redacted]"
        elif isinstance(event[name], str):
            event[name] = _SECRET_PATHS.sub(r"\1[redacted]", event[name])
    return event


def logging_config(level: str, layout: str) -> dict[str, Any]:
    """Layout is json or console. Configures structlog and returns Django's LOGGING."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        secrets_redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    renderers: list[Any] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    if layout == "console":
        # The default shows the values of local variables.
        plain = structlog.dev.plain_traceback
        renderers = [structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0, exception_formatter=plain)]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers, secrets_mask],
                "foreign_pre_chain": shared,
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django.request": {"level": "ERROR"},
            "django_structlog": {"level": "WARNING"},
            "stripe": {"level": "WARNING"},  # it tells of every request, customers included
        },
    }
