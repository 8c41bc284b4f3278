"""The algorithms. To add one: a file here, a file of the same name in ../lua, a row in each of these two tables."""

from ratelimiter.engine.algorithms.base import AlgorithmDefinition
from ratelimiter.engine.algorithms.fixed_window import FixedWindow
from ratelimiter.engine.algorithms.sliding_window import SlidingWindow
from ratelimiter.engine.algorithms.token_bucket import TokenBucket
from ratelimiter.engine.rules import Algorithm

ALGORITHMS: dict[Algorithm, AlgorithmDefinition] = {
    Algorithm.SLIDING_WINDOW: SlidingWindow(),
    Algorithm.FIXED_WINDOW: FixedWindow(),
    Algorithm.TOKEN_BUCKET: TokenBucket(),
}
BY_CODE: dict[int, AlgorithmDefinition] = {definition.code: definition for definition in ALGORITHMS.values()}
