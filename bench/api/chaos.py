"""Kills real processes at every failpoint and at many random moments, and fires one key from many threads; long version.

    python -m bench.api.chaos [--kills 300] [--rounds 50] [--histories 300] [--seed 0]

The proofs are those of `tests/chaos`; here they run longer. A failure names the seed that repeats the order of kills
(not their exact moments: the processes are real).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time


def main() -> None:
    """Run the proofs and leave with their exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=300, help="random kills")
    parser.add_argument("--rounds", type=int, default=50, help="keys that are fired by 64 threads each")
    parser.add_argument("--histories", type=int, default=300, help="made-up histories in virtual time")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    environment = {
        **os.environ,
        "RECASTER_CHAOS_KILLS": str(options.kills),
        "RECASTER_CHAOS_ROUNDS": str(options.rounds),
        "RECASTER_CHAOS_HISTORIES": str(options.histories),
        "RECASTER_CHAOS_SEED": str(options.seed),
    }
    command = [sys.executable, "-m", "pytest", "tests/chaos", "-v", "--durations=3"]
    sys.exit(subprocess.run(command, env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
