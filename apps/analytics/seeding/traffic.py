"""Traffic as a team with a chat product would see it: days with a rhythm, people who come often and people who come
once, somebody who guesses passwords, and a deploy around noon after which clients ask again.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

PEOPLE = 400
OFTEN = 60  # so many of them ask most of the time
ATTACK_EVERY = 0.2  # of a day
ATTACK_LASTS = 0.03
ATTACK_RATE = 1.5  # of the average rate
DEPLOY_AT = 0.5
AFTER_DEPLOY = 0.02

_ROUTES = (
    ("POST /v1/chat", 60),
    ("GET /v1/conversations", 18),
    ("GET /v1/models", 10),
    ("POST /v1/uploads/images", 6),
    ("PUT /v1/uploads/images", 2),
    ("POST /v1/login", 4),
)


@dataclass(slots=True)
class Traffic:
    """`rate` is checks a second on average; a day takes `day_s` seconds."""

    rate: float
    day_s: float
    chance: random.Random = field(default_factory=random.Random)

    def pace(self, at_s: float) -> float:
        """Checks a second of ordinary people: quiet at night, most in the afternoon."""
        share = at_s / self.day_s % 1
        pace = self.rate * (1 + 0.8 * math.sin(2 * math.pi * (share - 0.3)))
        if 0 <= share - DEPLOY_AT < AFTER_DEPLOY:
            pace *= 2.5
        return pace

    def is_attack(self, at_s: float) -> bool:
        return at_s / self.day_s % ATTACK_EVERY > ATTACK_EVERY - ATTACK_LASTS

    def deploys(self, since_s: float, until_s: float) -> int:
        """How many deploys there are after `since_s`, up to `until_s`."""
        return math.floor(until_s / self.day_s - DEPLOY_AT) - math.floor(since_s / self.day_s - DEPLOY_AT)

    def checks(self, at_s: float, for_s: float) -> Iterator[dict[str, Any]]:
        """Bodies of the checks of the next `for_s` seconds."""
        for _ in range(self._count(self.pace(at_s) * for_s)):
            yield self._ordinary()
        if self.is_attack(at_s):
            for _ in range(self._count(self.rate * ATTACK_RATE * for_s)):
                yield {"route": "POST /v1/login", "ip": "203.0.113.66"}

    def _count(self, expected: float) -> int:
        return int(expected) + (self.chance.random() < expected % 1)

    def _ordinary(self) -> dict[str, Any]:
        person = min(int(self.chance.expovariate(1 / OFTEN)), PEOPLE)
        route = self.chance.choices([name for name, _ in _ROUTES], [weight for _, weight in _ROUTES])[0]
        body: dict[str, Any] = {"route": route, "ip": f"198.51.100.{person % 250}"}
        if route != "POST /v1/login":
            body |= {"user": f"u_{person}", "attributes": {"plan": "free" if person % 3 else "pro"}}
        return body
