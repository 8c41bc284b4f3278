"""The operator's page names every setting there is."""

from pathlib import Path

import msgspec
import pytest

from config.env import Env
from ratelimiter.door.settings import DoorSettings
from ratelimiter.events.ship import ShipSettings

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "operating.md").read_text()


@pytest.mark.parametrize(
    "name",
    sorted(
        {field.name.upper() for shape in (Env, DoorSettings, ShipSettings) for field in msgspec.structs.fields(shape)}
    ),
)
def test_every_setting_is_documented(name):
    assert f"`{name}`" in PAGE
