"""The report's picture: the same run gives the same bytes."""

from pathlib import Path

from tests.bench.results import Results, Row

LEAST_US = 0.5  # where the axis begins
SERVER, STORE = "#3b6fb5", "#d98032"
SHADES = ("#9ec1e8", "#3b6fb5", "#1c3d6b")


def draw(path: Path, results: Results) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    settings = {"svg.hashsalt": "bench", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9}
    with mpl.rc_context(settings):
        rows = [row for row in results.rows if not row.absent]
        figure, (costs, latencies) = plt.subplots(
            2, 1, figsize=(8, 1.6 + 0.32 * len(rows) + 2.2), height_ratios=(0.32 * len(rows) + 0.6, 2.2),
            layout="constrained",
        )  # fmt: skip
        _costs(costs, rows)
        _latencies(latencies, results)
        figure.savefig(path, metadata={"Date": None, "Creator": None}, facecolor="white")
        plt.close(figure)


def _costs(axes, rows: list[Row]) -> None:
    places = range(len(rows))
    axes.barh([place - 0.2 for place in places], [row.server_us for row in rows], 0.4, color=SERVER, label="server")
    axes.barh([place + 0.2 for place in places], [row.store_us for row in rows], 0.4, color=STORE, label="Redis")
    for place, row in enumerate(rows):
        axes.text(max(row.server_us, LEAST_US) * 1.05, place - 0.2, f"{row.server_us:.1f}", va="center", fontsize=7)
        if row.store_us >= 0.05:
            axes.text(max(row.store_us, LEAST_US) * 1.05, place + 0.2, f"{row.store_us:.1f}", va="center", fontsize=7)
    axes.set_yticks(places, [row.name for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xscale("log")
    axes.set_xlim(LEAST_US, 2.5 * max(row.server_us for row in rows))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("CPU µs per check, logarithmic")
    axes.legend(loc="upper right", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _latencies(axes, results: Results) -> None:
    for number, (label, field) in enumerate((("p50", "p50_ms"), ("p99", "p99_ms"), ("p99.9", "p999_ms"))):
        values = [getattr(latency, field) for latency in results.latencies]
        places = [place + 0.27 * (number - 1) for place in range(len(values))]
        bars = axes.bar(places, values, 0.25, color=SHADES[number], label=label)
        axes.bar_label(bars, fmt="%.2f", fontsize=7)
    axes.set_xticks(
        range(len(results.latencies)), [f"{one.share:.0%} of capacity\n{one.rate:,.0f}/s" for one in results.latencies]
    )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylabel("ms, door, 2 rules")
    axes.legend(loc="upper left", frameon=False, ncols=3)
    axes.spines[["top", "right"]].set_visible(False)
