"""How the admin API reads bodies: JSON whose strings a database can hold."""

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from django.http import HttpRequest, QueryDict
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from apps.core.errors import ApplicationError, Invalid


class TooLarge(ApplicationError):
    status = 413
    code = "too_large"


def size_verify(request: HttpRequest) -> None:
    """Said before anything is read. Raises TooLarge."""
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
    if int(request.META.get("CONTENT_LENGTH") or 0) > most:
        raise TooLarge(f"the body is larger than {most:,} bytes")


def query_verify(query: QueryDict) -> None:
    """Raises Invalid."""
    for name, values in query.lists():
        if "\0" in name or any("\0" in value for value in values):
            raise Invalid("A parameter is not valid.", fields={name: "Has characters that are no text."})


class PlainJSONParser(JSONParser):
    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Raises ParseError."""
        try:
            parsed = super().parse(stream, media_type, parser_context)
            _verify(parsed)
        except RecursionError:
            raise ParseError("JSON parse error - nested too deeply") from None
        return parsed


def _verify(value: Any) -> None:
    """No NUL and no half of a surrogate pair: JSON can write them, PostgreSQL cannot. Raises ParseError."""
    if isinstance(value, str):
        if "\0" in value or not _encodes(value):
            raise ParseError("JSON parse error - a string has characters that are no text")
    elif isinstance(value, Mapping):
        for name, held in value.items():
            _verify(name)
            _verify(held)
    elif isinstance(value, list):
        for held in value:
            _verify(held)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
