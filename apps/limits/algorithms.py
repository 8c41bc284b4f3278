"""What each algorithm does, in the words that landing page, docs and rule editor share."""

from dataclasses import dataclass

from ratelimiter.engine.rules import Algorithm


@dataclass(frozen=True, slots=True)
class AlgorithmWords:
    code: str
    title: str
    how: str
    promise: str
    caution: str

    @property
    def picture(self) -> str:
        return f"pictures/{self.code}.html"


ALGORITHMS = (
    AlgorithmWords(
        code=Algorithm.SLIDING_WINDOW,
        title="Sliding window",
        how=(
            "Checks are counted in cells one window long. What counts now is the current cell plus the share of the "
            "previous one that a window ending now still covers: 25 % into the cell, three quarters of the previous "
            "count."
        ),
        promise="Smooth: no fresh start at the minute, so callers cannot double up around it.",
        caution=(
            "It takes the previous cell as evenly filled. Against somebody who times it on purpose, a rolling window "
            "may see almost twice the limit (199 at a limit of 100), like every limiter of two cells."
        ),
    ),
    AlgorithmWords(
        code=Algorithm.FIXED_WINDOW,
        title="Fixed window",
        how="One count per window; when the window ends, it starts again from zero.",
        promise="At most the limit in each window, and everything is available again when the next one starts.",
        caution="Around a boundary two full allowances may come back to back.",
    ),
    AlgorithmWords(
        code=Algorithm.TOKEN_BUCKET,
        title="Token bucket",
        how=(
            "A bucket holds up to the burst and refills steadily, the limit per window. Each check takes its cost; "
            "when there is not enough, it is denied."
        ),
        promise="Bursts up to the bucket’s size pass at once; over time never more than the refill.",
        caution="In one window burst plus limit may pass; the burst is the limit unless you set another.",
    ),
    AlgorithmWords(
        code=Algorithm.SLIDING_LOG,
        title="Sliding log",
        how=(
            "Every check that passes is kept with its time. What counts now is what passed within the window that ends "
            "now, to the millisecond."
        ),
        promise="Exact in any rolling window: no stretch of that length ever sees more than the limit.",
        caution="It keeps checks one by one, so the limit is at most 1,000.",
    ),
    AlgorithmWords(
        code=Algorithm.CONCURRENCY,
        title="Concurrency",
        how=(
            "Each check that passes takes a slot until you release it by its id. A slot that nobody releases frees "
            "itself after its time to live."
        ),
        promise="Never more than the limit under way at the same time, however long each one takes.",
        caution=(
            "Release a check when its work ends (POST /v1/checks/{id}/release), or its slot stays taken until its time "
            "is over. Nobody knows when one will be free, so a denial has no Retry-After. The limit is at most 1,000."
        ),
    ),
)
