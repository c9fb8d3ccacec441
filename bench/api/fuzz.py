"""Sends made-up requests to every operation of the OpenAPI document, with a key and without, and follows its links; long.

    python -m bench.api.fuzz [--examples 200]

The proof is that of `tests/contract/test_openapi_fuzz.py`; here it makes up more requests, and others each time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys


def main() -> None:
    """Run the proof and leave with its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--examples", type=int, default=200, help="requests per operation, kind and key")
    environment = {**os.environ, "RECASTER_FUZZ_EXAMPLES": str(parser.parse_args().examples)}
    command = [sys.executable, "-m", "pytest", "tests/contract/test_openapi_fuzz.py", "-q", "--durations=3"]
    sys.exit(subprocess.run(command, env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
