"""Environment variables, read once, typed, refused with a sentence when they make no sense.

A settings class is a msgspec Struct; the variable's name is the field's in capitals, its meaning the field's
`Meta(description=…)`.
"""

from collections.abc import Mapping
from typing import TypeVar

import msgspec

Settings = TypeVar("Settings", bound=msgspec.Struct)


class EnvironmentInvalid(SystemExit):
    """Stops the process with one sentence on standard error."""


def environ_read(shape: type[Settings], environ: Mapping[str, str]) -> Settings:
    """Raises EnvironmentInvalid naming the variable."""
    values = {}
    for field in msgspec.structs.fields(shape):
        text = environ.get(field.name.upper(), "")
        if text != "":
            values[field.name] = text
    try:
        return msgspec.convert(values, shape, strict=False)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$.")
        name = place.removesuffix("`").upper()
        raise EnvironmentInvalid(f"{name or 'environment'}: {message}") from None
