"""The algorithms written down slowly: every charge is kept, every wait is found by trying.

Nothing here is shared with the engine. Waits are searched, not computed: by bisection, which is right because what is
used never rises while nothing is charged.
"""

from fractions import Fraction
from math import ceil, floor

from ratelimiter.engine.rules import Calendar, CalendarUnit


class SlidingWindow:
    def __init__(self, limit, window_ms, burst=None):
        self.limit, self.window_ms, self.charges = limit, window_ms, []

    @property
    def capacity(self):
        return self.limit

    def used(self, now_ms):
        cell = now_ms // self.window_ms
        units = self.units_in
        left = (cell + 1) * self.window_ms - now_ms
        weight = ceil(Fraction(left * 65_536, self.window_ms))
        return units(cell) + ceil(Fraction(units(cell - 1) * weight, 65_536))

    def units_in(self, cell):
        """A cell saturates at 2^32: `report` may charge past any limit."""
        return min(2**32, sum(cost for at, cost in self.charges if at // self.window_ms == cell))

    def remaining(self, now_ms):
        return max(0, self.limit - self.used(now_ms))

    def fits(self, now_ms, cost):
        return self.used(now_ms) + cost <= self.limit

    def charge(self, now_ms, cost):
        """Returns what `give_back` finds it again by."""
        charge = [now_ms, cost]
        self.charges.append(charge)
        return charge

    def give_back(self, charge, amount):
        charge[1] -= min(amount, charge[1])

    def horizon_ms(self):
        return 2 * self.window_ms


class FixedWindow(SlidingWindow):
    def used(self, now_ms):
        return self.units_in(now_ms // self.window_ms)


class TokenBucket:
    def __init__(self, limit, window_ms, burst):
        self.limit, self.window_ms, self.burst = limit, window_ms, burst
        self.tick_ms = 1 if window_ms <= 86_400_000 else 1_000
        self.tokens, self.tick = Fraction(burst), None

    @property
    def capacity(self):
        return self.burst

    def level(self, now_ms):
        if self.tick is None:
            return Fraction(self.burst)
        refilled = Fraction((now_ms // self.tick_ms - self.tick) * self.tick_ms * self.limit, self.window_ms)
        return min(Fraction(self.burst), self.tokens + refilled)

    def remaining(self, now_ms):
        return floor(self.level(now_ms))

    def fits(self, now_ms, cost):
        return self.level(now_ms) >= cost

    def charge(self, now_ms, cost):
        level = self.level(now_ms)
        taken = min(level, cost, self.burst)
        self.tokens, self.tick = level - taken, now_ms // self.tick_ms
        return [self, taken]

    def give_back(self, charge, amount):
        if self.tick is not None:
            self.tokens += min(charge[1], amount)

    def horizon_ms(self):
        return ceil(Fraction(self.burst * self.window_ms, self.limit)) + 2 * self.tick_ms


class SlidingLog(SlidingWindow):
    def used(self, now_ms):
        return sum(cost for at, cost in self.charges if now_ms - at < self.window_ms)


class Concurrency:
    """Slots, each with its end."""

    waits = False

    def __init__(self, limit, window_ms, burst=None):
        self.limit, self.window_ms, self.slots = limit, window_ms, []

    @property
    def capacity(self):
        return self.limit

    def remaining(self, now_ms):
        return max(0, self.limit - sum(taken for ends, taken in self.slots if ends > now_ms))

    def fits(self, now_ms, cost):
        return cost <= self.remaining(now_ms)

    def charge(self, now_ms, cost):
        slot = [now_ms + self.window_ms, cost]
        self.slots.append(slot)
        return slot

    def give_back(self, slot, amount):
        slot[1] = 0


REFERENCES = {
    "sliding_window": SlidingWindow,
    "fixed_window": FixedWindow,
    "token_bucket": TokenBucket,
    "sliding_log": SlidingLog,
}
UTC_DAY = Calendar(unit=CalendarUnit.DAY)  # where a cell is simply a day of Unix time
MODELS = {**REFERENCES, "concurrency": Concurrency, "calendar": FixedWindow}


def wait_ms(model, now_ms, cost):
    """The least wait after which `cost` passes."""
    low, high = 0, model.horizon_ms()
    while low < high:
        middle = (low + high) // 2
        if model.fits(now_ms + middle, cost):
            high = middle
        else:
            low = middle + 1
    return low


def ask(model, now_ms, cost, mode):
    """(allowed, remaining, retry_ms, charge) for one check of one enforced rule; None waits for nothing."""
    remaining, charge = model.remaining(now_ms), None
    allowed = mode == "report" or (cost <= model.capacity and model.fits(now_ms, cost))
    retry_ms = 0
    if not allowed:
        waits = cost <= model.capacity and getattr(model, "waits", True)
        retry_ms = wait_ms(model, now_ms, cost) if waits else None
    elif mode == "peek":
        remaining -= cost
    else:
        charge = model.charge(now_ms, cost)
        remaining = model.remaining(now_ms)
    return allowed, remaining, retry_ms, charge


def decide(models, shadows, now_ms, cost, mode):
    """(allowed, [(verdict, remaining, retry)]) for one check over several rules, all or nothing."""
    answers = []
    for model in models:
        if cost > model.capacity:
            answers.append([2, model.remaining(now_ms), -1])
        elif model.fits(now_ms, cost):
            answers.append([0, model.remaining(now_ms), 0])
        else:
            answers.append([1, model.remaining(now_ms), wait_ms(model, now_ms, cost)])
    allowed = mode == "report" or all(a[0] == 0 or shadow for a, shadow in zip(answers, shadows, strict=True))
    if allowed:
        for model, answer in zip(models, answers, strict=True):
            if answer[0] != 0 and mode != "report":
                continue
            if mode == "peek":
                answer[1] -= cost
            else:
                model.charge(now_ms, cost)
                answer[:] = [0, model.remaining(now_ms), 0]
    return allowed, [tuple(answer) for answer in answers]
