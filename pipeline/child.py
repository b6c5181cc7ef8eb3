"""DVC that ends with the process that started it: python -m pipeline.child PID ARGUMENT…

Killed, that process would leave it running, and who starts again would run a second one beside it.
"""

import sys

from pipeline import parent


def main() -> None:
    """Run `dvc ARGUMENT…`."""
    try:
        parent.end_with(int(sys.argv[1]))
    except ProcessLookupError:
        sys.exit(f"error: process {sys.argv[1]} has ended already")
    from dvc.cli import main

    sys.exit(main(sys.argv[2:]))


if __name__ == "__main__":
    main()
