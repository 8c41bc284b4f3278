"""A request's parameters, read by name and type; what nobody reads is refused as unknown, as Stripe does."""

import re
from decimal import Decimal
from typing import Any

from apps.billing.sandbox.errors import ApiError, invalid

DECIMAL = re.compile(r"-?\d{1,18}(?:\.\d{1,12})?\Z")
BOOLEANS = {"true": True, "false": False}
METADATA_KEYS = 50
TEXT_LENGTH = 5_000


class Params:
    """Values are strings; an empty string unsets what may be unset."""

    def __init__(self, values: Any, place: str = "") -> None:
        if not isinstance(values, dict):
            raise invalid(f"Invalid object: {place}", param=place)
        self._values: dict[str, Any] = values
        self._place = place
        self._read: set[str] = set()
        self._children: list[Params] = []

    def has(self, name: str) -> bool:
        return name in self._values

    def given(self, name: str) -> bool:
        """Said, and not to unset it."""
        return bool(self._values.get(name, "") != "")

    def name(self, name: str) -> str:
        return f"{self._place}[{name}]" if self._place else name

    def text(self, name: str, default: str | None = None) -> str | None:
        value = self._take(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise invalid(f"Invalid string: {name}", param=self.name(name))
        if len(value) > TEXT_LENGTH:
            raise invalid(f"Invalid string: {name} must be at most {TEXT_LENGTH} characters", param=self.name(name))
        return value or None

    def required(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            param = self.name(name)
            raise invalid(f"Missing required param: {param}.", param=param, code="parameter_missing")
        return value

    def url(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and not value.startswith(("http://", "https://")):
            raise invalid(
                "Not a valid URL: it starts with http:// or https://.", param=self.name(name), code="url_invalid"
            )
        return value

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.text(name) or default
        if value not in allowed:
            raise invalid(f"Invalid {self.name(name)}: must be one of {', '.join(allowed)}", param=self.name(name))
        return value

    def integer(self, name: str, default: int = 0, *, least: int | None = None, most: int = 2**53) -> int:
        value = self.text(name)
        if value is None:
            return default
        if not re.fullmatch(r"-?\d{1,16}", value) or abs(int(value)) > most:
            param = self.name(name)
            raise invalid(f"Invalid integer: {value}", param=param, code="parameter_invalid_integer")
        if least is not None and int(value) < least:
            param = self.name(name)
            raise invalid(f"This value must be greater than or equal to {least}.", param=param)
        return int(value)

    def maybe_integer(self, name: str, *, least: int | None = None) -> int | None:
        """None where it is unset."""
        if self.given(name):
            return self.integer(name, least=least)
        self._read.add(name)
        return None

    def decimal(self, name: str) -> Decimal | None:
        value = self.text(name)
        if value is None:
            return None
        if not DECIMAL.match(value):
            raise invalid(f"Invalid decimal: {value}", param=self.name(name))
        return Decimal(value)

    def boolean(self, name: str, *, default: bool = False) -> bool:
        value = self.text(name)
        if value is None:
            return default
        if value not in BOOLEANS:
            raise invalid(f"Invalid boolean: {value}", param=self.name(name))
        return BOOLEANS[value]

    def child(self, name: str) -> "Params":
        """An object; an empty one when it was not said."""
        child = Params(self._take(name) or {}, self.name(name))
        self._children.append(child)
        return child

    def children(self, name: str) -> list["Params"]:
        value = self._take(name) or []
        if not isinstance(value, list):
            raise invalid(f"Invalid array: {name}", param=self.name(name))
        made = [Params(item, f"{self.name(name)}[{index}]") for index, item in enumerate(value)]
        self._children += made
        return made

    def texts(self, name: str) -> list[str]:
        value = self._take(name) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise invalid(f"Invalid array: {name}", param=self.name(name))
        return value

    def metadata(self, held: dict[str, str] | None = None) -> dict[str, str]:
        """What was held with what was said: an empty value removes its key, an empty string removes all."""
        value = self._take("metadata")
        if value == "":
            return {}
        if value is not None and not isinstance(value, dict):
            value = dict(enumerate(value)) if isinstance(value, list) else {}
        merged = dict(held or {}) | {str(key): item for key, item in (value or {}).items()}
        if any(not isinstance(item, str) for item in merged.values()):
            raise invalid("Metadata values must be strings.", param=self.name("metadata"))
        kept = {key: item for key, item in merged.items() if item != ""}
        if len(kept) > METADATA_KEYS or any(len(key) > 40 or len(item) > 500 for key, item in kept.items()):
            raise invalid("Metadata can have up to 50 keys of 40 and values of 500 characters.", param="metadata")
        return kept

    def equal(self, *names: str) -> dict[str, str | int | None]:
        """Those of the names that were said, as conditions for a list."""
        return {name: self.text(name) for name in names if self.given(name)}

    def raw(self, name: str) -> Any:
        return self._take(name)

    def ignore(self, *names: str) -> None:
        """Accepted and without effect here."""
        self._read.update(names)

    def unread_refuse(self) -> None:
        """Raises ApiError for the first parameter that nobody asked for."""
        for name in self._values:
            if name not in self._read:
                param = self.name(name)
                raise ApiError(f"Received unknown parameter: {param}", code="parameter_unknown", param=param)
        for child in self._children:
            child.unread_refuse()

    def _take(self, name: str) -> Any:
        self._read.add(name)
        return self._values.get(name)
