"""Data sets that predictive maintenance can train on. Imports neither keras nor pandas."""

from solvent import Dataset, Folder, later

__all__ = ["DATASETS"]

DATASETS = (
    Dataset(
        name="drawn_machines",
        summary="15,760 hours of 240 made pumps that ran to failure: five sensors, two loads",
        licence="Apache-2.0 (drawn by this package)",
        home="this package, sample.py",
        made=True,
        read=later("solvent_maintenance.sample:drawn_machines"),
        config={
            "columns": {"machine": "pump", "cycle": "hours"},
            "settings": {
                "model": "cnn",
                "network": {"units": 32, "kernel": 3, "layers": 2, "dropout": 0.1},
                "window": 16,
                "cap": 60,
                "operating": ["load"],
                "modes": 2,
                "scoring": {"horizon": 10, "early_cycle": 1, "missed_failure": 40},
                "training": {"epochs": 10},
            },
        },
    ),
    # No address: NASA moves the archive from time to time, and none was found whose files could be compared.
    Dataset(
        name="cmapss_fd001",
        summary="33,727 cycles of 200 simulated turbofan engines in their published parts, the last 20 training "
        "engines as validation (NASA C-MAPSS FD001)",
        licence="public domain (a work of the US government); cite Saxena, Goebel, Simon and Eklund, Damage "
        "Propagation Modeling for Aircraft Engine Run-to-Failure Simulation, PHM 2008",
        home="NASA Prognostics Center of Excellence, data set repository, Turbofan Engine Degradation Simulation",
        files=(
            Folder(
                name="cmapss-fd001",
                ending=".txt",
                count=4,
                sha256="2e8e071699ec8c2d66620719c826532066974cc549956ec88c7a27830054f0a0",
                source="computed from the files by sha256sum",
                by_hand="Get CMAPSSData.zip from NASA's data set repository and put train_FD001.txt, test_FD001.txt, "
                "RUL_FD001.txt and readme.txt of it into a folder cmapss-fd001.",
            ),
        ),
        read=later("solvent_maintenance.public:cmapss_fd001"),
        config={
            "columns": {"machine": "engine", "cycle": "cycle", "passthrough": ["part"]},
            "split": {"by": "column", "column": "part"},
            "settings": {"operating": ["setting_1", "setting_2", "setting_3"]},
        },
    ),
)
