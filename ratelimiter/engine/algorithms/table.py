"""The algorithms. To add one: a file here, a file of the same name in ../lua, a row in each of these two tables."""

from ratelimiter.engine.algorithms.base import AlgorithmDefinition
from ratelimiter.engine.algorithms.calendar_window import CalendarWindow
from ratelimiter.engine.algorithms.concurrency import Concurrency
from ratelimiter.engine.algorithms.fixed_window import FixedWindow
from ratelimiter.engine.algorithms.sliding_log import SlidingLog
from ratelimiter.engine.algorithms.sliding_window import SlidingWindow
from ratelimiter.engine.algorithms.token_bucket import TokenBucket
from ratelimiter.engine.rules import Algorithm

ALGORITHMS: dict[Algorithm, AlgorithmDefinition] = {
    Algorithm.SLIDING_WINDOW: SlidingWindow(),
    Algorithm.FIXED_WINDOW: FixedWindow(),
    Algorithm.TOKEN_BUCKET: TokenBucket(),
    Algorithm.SLIDING_LOG: SlidingLog(),
    Algorithm.CONCURRENCY: Concurrency(),
}
CALENDAR_WINDOW = CalendarWindow()  # fixed_window with a calendar
BY_CODE: dict[int, AlgorithmDefinition] = {
    definition.code: definition for definition in (*ALGORITHMS.values(), CALENDAR_WINDOW)
}
LUA_FILES = (*ALGORITHMS, "calendar_window", "penalty", "quota")
