"""What is remembered between two commands: where the service is, and who asks. A file that only its owner can read.

The environment goes before it: RATELIMITER_URL, RATELIMITER_API_KEY, RATELIMITER_ORGANISATION, and RATELIMITER_CONFIG
for another file.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec


@dataclass(frozen=True, slots=True)
class Profile:
    """`url` is the portal's. Either an API key, or the tokens of a person with the organisation they speak for."""

    url: str = ""
    api_key: str = ""
    access_token: str = ""
    refresh_token: str = ""
    organisation: str = ""


class ProfileUnreadable(Exception):
    """The file is there and is none of ours."""


def profile_path(environ: Mapping[str, str]) -> Path:
    if environ.get("RATELIMITER_CONFIG"):
        return Path(environ["RATELIMITER_CONFIG"])
    base = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "~")).expanduser() / ".config"
    return Path(base) / "ratelimiter" / "login.json"


def profile_read(environ: Mapping[str, str]) -> Profile:
    """Raises ProfileUnreadable."""
    path = profile_path(environ)
    try:
        held = msgspec.json.decode(path.read_bytes(), type=Profile)
    except FileNotFoundError:
        held = Profile()
    except (OSError, msgspec.DecodeError) as error:
        raise ProfileUnreadable(f"{path} cannot be read: {error}") from error
    said = {
        "url": environ.get("RATELIMITER_URL", ""), "api_key": environ.get("RATELIMITER_API_KEY", ""),
        "organisation": environ.get("RATELIMITER_ORGANISATION", ""),
    }  # fmt: skip
    values = asdict(held) | {name: value for name, value in said.items() if value}
    if said["api_key"]:
        values |= {"access_token": "", "refresh_token": ""}
    return Profile(**values)


def profile_write(profile: Profile, environ: Mapping[str, str]) -> Path:
    """In one step, so that who reads meanwhile sees the old one or the new one."""
    path = profile_path(environ)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(profile)))
    draft.replace(path)
    return path


def profile_forget(environ: Mapping[str, str]) -> None:
    path = profile_path(environ)
    path.unlink(missing_ok=True)
