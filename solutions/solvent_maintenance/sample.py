"""Made machines: they wear until they fail, and several sensors tell of it, each in its own way, under two loads.

Wear rises from 0 to 1, slowly at first; how long that takes is drawn for each machine, and so is how its wear begins to
show. Every remaining life is known.
"""

from typing import Any

import numpy as np
import pandas as pd

from solvent import Sample

__all__ = ["drawn_machines", "machines"]

# sensor: level under low load, what high load adds, what full wear adds, noise
SENSORS = {
    "temperature": (60.0, 18.0, 14.0, 1.5),
    "vibration": (2.0, 0.8, 3.0, 0.35),
    "pressure": (8.0, 1.5, -1.6, 0.2),
    "current": (30.0, 9.0, 4.0, 1.0),
    "oil_flow": (5.0, 0.0, -0.8, 0.15),
}
UNTOLD = 60  # cycles before failure from which wear shows

SETTINGS: dict[str, Any] = {
    "model": "cnn",
    "network": {"units": 16, "kernel": 3, "layers": 1, "dropout": 0.1},
    "window": 16,
    "cap": 60,
    "operating": ["load"],
    "modes": 2,
    "members": 2,
    "cuts": 5,
    "scoring": {"horizon": 10, "early_cycle": 1, "missed_failure": 40},
    "training": {"epochs": 6, "batch_size": 32, "learning_rate": 0.005, "ema": 0.98},
}
COLUMNS = {"machine": "pump", "cycle": "hours"}


def machines(seed: int) -> Sample:
    return Sample(rows=_drawn(60, seed), settings=SETTINGS, columns=COLUMNS, floor=12.0)


def drawn_machines(_: Any) -> pd.DataFrame:
    return _drawn(240, 7)


def _drawn(count: int, seed: int) -> pd.DataFrame:
    """A row a machine and cycle; the last one of each is its failure."""
    random = np.random.default_rng(seed)
    return pd.concat([_machine(f"pump-{number:03d}", random) for number in range(count)], ignore_index=True)


def _machine(name: str, random: np.random.Generator) -> pd.DataFrame:
    life = int(random.integers(30, 100))
    left = np.arange(life, dtype=np.float64)[::-1]
    shape, strength = random.uniform(1.2, 2.0), random.normal(1, 0.08)
    wear = strength * np.clip(1 - left / UNTOLD, 0, 1) ** shape
    high = random.random(life) < 0.4
    rows: dict[str, Any] = {
        "pump": name,
        "hours": np.arange(1, life + 1),
        "load": np.where(high, 80.0, 40.0) + random.normal(0, 1, life),
    }
    for sensor, (level, load, worn, noise) in SENSORS.items():
        own = random.normal(0, noise)  # no two machines are alike
        rows[sensor] = (level + load * high + worn * wear + own + random.normal(0, noise, life)).round(3)
    rows["room"] = 21.0  # tells nothing
    rows["rul"] = left
    return pd.DataFrame(rows)
