"""How long a thousand resamples of the full binary metric set take, against a loop over scikit-learn.

    python tests/benchmarks/bootstrap.py [--out bootstrap.json]

Ours: the median of 5 runs after one that warms up, each of all 1,000 resamples with all 11 metrics. The loop: the
median time of 40 resamples, times 1,000, for 9 of the metrics: 8 by scikit-learn and KS by scipy, without gini and
ece. Scores are rounded to 4 digits, so there are ties. Both run on the same rows in one process.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sklearn
import sklearn.metrics as reference
from scipy.stats import ks_2samp
from written import write

from solvent import metrics

RESAMPLES, RUNS, REFERENCE_RESAMPLES = 1000, 5, 40
AIMS = {1_000: 0.5, 10_000: 5.0}  # seconds


def rows_of(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth (3 of 10 positive), probability and decision."""
    generator = np.random.default_rng(0)
    truth = (generator.random(count) < 0.3).astype(int)
    probability = np.round(1 / (1 + np.exp(-generator.normal(1.2 * truth - 1, 1))), 4)
    return truth, probability, (probability >= 0.5).astype(int)


def ours(truth: np.ndarray, probability: np.ndarray, decision: np.ndarray) -> None:
    resampling = metrics.Resampling(len(truth), resamples=RESAMPLES)
    metrics.estimate(metrics.binary(truth, probability, decision), resampling)


def theirs(truth: np.ndarray, probability: np.ndarray, decision: np.ndarray) -> None:
    """One resample."""
    reference.roc_auc_score(truth, probability)
    reference.average_precision_score(truth, probability)
    ks_2samp(probability[truth == 1], probability[truth == 0], method="asymp")
    reference.accuracy_score(truth, decision)
    reference.precision_recall_fscore_support(truth, decision, average="binary")
    reference.log_loss(truth, probability)
    reference.brier_score_loss(truth, probability)


def seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(count: int) -> dict[str, float]:
    rows = rows_of(count)
    generator = np.random.default_rng(1)
    drawn = [generator.integers(count, size=count) for _ in range(REFERENCE_RESAMPLES)]
    ours(*rows)  # warms up
    own = statistics.median(seconds(lambda: ours(*rows)) for _ in range(RUNS))
    one = statistics.median(seconds(lambda pick=pick: theirs(*(part[pick] for part in rows))) for pick in drawn)
    loop = one * RESAMPLES
    return {
        "rows": count,
        "solvent_seconds": own,
        "aim_seconds": AIMS[count],
        "loop_seconds": loop,
        "ratio": loop / own,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "bootstrap.json")
    out = parser.parse_args().out
    results = [measure(count) for count in AIMS]
    print(f"{'rows':>8} {'solvent s':>10} {'aim s':>7} {'scikit-learn loop s':>20} {'ratio':>7}")
    for result in results:
        print(
            f"{result['rows']:>8,} {result['solvent_seconds']:>10.2f} {result['aim_seconds']:>7.1f} "
            f"{result['loop_seconds']:>20.1f} {result['ratio']:>6.0f}x"
        )
    protocol = {
        "resamples": RESAMPLES,
        "solvent": f"median of {RUNS} runs after one that warms up, 11 metrics",
        "loop": f"median of {REFERENCE_RESAMPLES} resamples times {RESAMPLES}, 9 metrics (without gini and ece)",
    }
    write(out, protocol, {"numpy": np.__version__, "scikit-learn": sklearn.__version__}, results=results)


if __name__ == "__main__":
    main()
