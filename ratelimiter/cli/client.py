"""Speaks to the API: adds the credential, renews it when it is over, and turns problem documents into Problem."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import requests

from ratelimiter.cli.profile import Profile

TIMEOUT_S = 30
PAGE = 100


class NotLoggedIn(Exception):
    def __init__(
        self, words: str = "You are not logged in: run “ratelimiter login”, or set RATELIMITER_API_KEY."
    ) -> None:
        super().__init__(words)


class NoKey(NotLoggedIn):
    """A person is logged in where an API key is needed."""

    def __init__(self) -> None:
        super().__init__("Checks are asked with an API key: set RATELIMITER_API_KEY, or log in with one.")


class Unreachable(Exception):
    """No answer, or none of ours."""


@dataclass
class Problem(Exception):
    """A problem document: what was refused. `errors` are (JSON pointer, message)."""

    status: int
    code: str
    detail: str
    errors: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [self.detail, *(f"  {pointer or '/'}: {message}" for pointer, message in self.errors)]
        return "\n".join(lines)


class Api:
    """`keep` is told the profile whenever its tokens were renewed."""

    def __init__(self, profile: Profile, keep: Callable[[Profile], object]) -> None:
        if not profile.url or not (profile.api_key or profile.refresh_token):
            raise NotLoggedIn
        self.profile = profile
        self._keep = keep
        self._session = session_new()

    def get(self, path: str, **query: Any) -> Any:
        return self.ask("GET", path, query=query).json()

    def post(self, path: str, body: Any, *, headers: Mapping[str, str] | None = None) -> Any:
        return self.ask("POST", path, body=body, headers=headers).json()

    def pages(self, path: str, rows: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Every row of a list."""
        cursor = None
        while True:
            page = self.get(path, limit=PAGE, **({"cursor": cursor} if cursor else {}), **query)
            yield from page[rows]
            cursor = page["next"]
            if cursor is None:
                return

    def ask(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None,
        headers: Mapping[str, str] | None = None, also: tuple[int, ...] = (),
    ) -> requests.Response:  # fmt: skip
        """A good answer, or one with a status of `also`. Raises Problem, Unreachable."""

        def once() -> requests.Response:
            sent = {**self._credential(), **(headers or {})}
            return answered(
                self._session, method, self.profile.url + path, params=query, json=body, headers=sent,
                credential=self.profile.api_key or self.profile.access_token,
            )  # fmt: skip

        response = once()
        if response.status_code == 401 and not self.profile.api_key:
            self._renew()
            response = once()
        return good(response, also)

    def _credential(self) -> dict[str, str]:
        if self.profile.api_key:
            return {"Authorization": f"Bearer {self.profile.api_key}"}
        held = {"Authorization": f"Bearer {self.profile.access_token}"}
        return held | ({"RL-Tenant": self.profile.organisation} if self.profile.organisation else {})

    def _renew(self) -> None:
        """A refresh token is good once: what came for it is kept before it is used. Raises Problem, Unreachable."""
        said = {"refresh_token": self.profile.refresh_token}
        pair = good(answered(self._session, "POST", self.profile.url + "/api/v1/token/refresh", json=said)).json()
        self.profile = replace(self.profile, access_token=pair["access_token"], refresh_token=pair["refresh_token"])
        self._keep(self.profile)


def session_new() -> requests.Session:
    session = requests.Session()
    session.auth = lambda request: request  # or a .netrc would put its own credential over ours
    return session


def answered(
    session: requests.Session, method: str, url: str, *, credential: str = "", **said: Any
) -> requests.Response:
    """Whatever its status. Raises Unreachable."""
    try:
        return session.request(method, url, timeout=TIMEOUT_S, allow_redirects=False, **said)
    except requests.exceptions.SSLError:
        raise Unreachable(f"{url} has no certificate that can be trusted.") from None
    except requests.ConnectionError:
        raise Unreachable(f"{url} did not answer: there is no connection.") from None
    except requests.Timeout:
        raise Unreachable(f"{url} did not answer within {TIMEOUT_S} s.") from None
    except ValueError as error:  # requests' own for what is no address, and for headers that cannot be
        reason = str(error).replace(credential, "…") if credential else str(error)
        raise Unreachable(f"{url} cannot be asked: {reason}") from None
    except requests.RequestException as error:
        reason = str(error).replace(credential, "…") if credential else str(error)
        raise Unreachable(f"{url} did not answer: {reason}") from None


def good(response: requests.Response, also: tuple[int, ...] = ()) -> requests.Response:
    """Raises Problem, Unreachable."""
    if response.status_code < 300 or response.status_code in also:
        return response
    try:
        told = response.json()
        problem = Problem(
            response.status_code, str(told["code"]), str(told["detail"]),
            [(str(error["pointer"]), str(error["message"])) for error in told.get("errors", ())],
        )  # fmt: skip
    except (ValueError, KeyError, TypeError):
        raise Unreachable(f"{response.url} answered {response.status_code}, and is not the API.") from None
    raise problem
