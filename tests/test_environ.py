"""Settings are read once, and nonsense stops the process with a sentence."""

import msgspec
import pytest

from ratelimiter.environ import EnvironmentInvalid, environ_read


class Settings(msgspec.Struct, frozen=True):
    url: str
    workers: int = 2


def test_values_are_typed_and_defaults_stand_in_for_what_is_missing_or_empty():
    assert environ_read(Settings, {"URL": "x", "WORKERS": "3", "OTHER": "y"}) == Settings("x", 3)
    assert environ_read(Settings, {"URL": "x", "WORKERS": ""}) == Settings("x", 2)


@pytest.mark.parametrize(("environ", "name"), [({}, "URL"), ({"URL": "x", "WORKERS": "many"}, "WORKERS")])
def test_nonsense_is_refused_by_name(environ, name):
    with pytest.raises(EnvironmentInvalid, match=f"environment variable {name} "):
        environ_read(Settings, environ)


@pytest.mark.parametrize("url", ["http://:secret@x", "redis+cluster://:secret@x/1", "rediss://:secret@x?ca=/nowhere"])
def test_the_control_plane_refuses_a_counters_url_that_leads_nowhere(url):
    from config.env import env

    with pytest.raises(EnvironmentInvalid, match="COUNTERS_URL") as refusal:
        msgspec.structs.replace(env, counters_url=url).counters()
    assert "secret" not in str(refusal.value)
