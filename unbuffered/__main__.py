"""`python -m unbuffered` is the command `unbuffered`."""

from __future__ import annotations

import sys

from unbuffered.own_package import check_own_package


def main() -> int | str | None:
    """Run the command; returns its exit code, or what to print on standard error."""
    try:
        check_own_package()
    except ImportError as error:
        return f"unbuffered: {error}"
    from proxy.cli.main import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
