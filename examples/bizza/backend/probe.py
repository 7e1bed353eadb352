"""`python -I probe.py`: exits 0 when this container's own health end point says ok. For HEALTHCHECK.

It stands outside the package, which takes a second of CPU to import: a check runs every few seconds.
"""

import os
import sys
import urllib.request


def main() -> int:
    """0 for a 200, 1 for anything else."""
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{os.environ.get('PORT', '5001')}/api/health", timeout=4
        ) as answer:
            return int(answer.status != 200)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
