"""Small bodies of the admin API, as structs: what is missing, too much or of another type is said beside its name."""

import re
from typing import Any, TypeVar

import msgspec

from apps.core.errors import Invalid

Shape = TypeVar("Shape", bound=msgspec.Struct)
_PLACE = re.compile(r" - at `\$(.*)`$")
_NAMED = re.compile(r"field `(.*?)`")


def body_read(given: Any, shape: type[Shape]) -> Shape:
    """Raises Invalid."""
    try:
        return msgspec.convert(given, shape)
    except msgspec.ValidationError as error:
        sentence, place = _PLACE.sub("", str(error)), _PLACE.search(str(error))
        parts = re.findall(r"[^.\[\]]+", place[1]) if place else []
        named = _NAMED.search(sentence)
        where = "/".join([*parts, *([named[1]] if named else [])])
        raise Invalid("The body is not valid.", fields={where: f"{sentence}."}) from None
