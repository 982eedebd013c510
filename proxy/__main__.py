"""`python -m proxy` is `unbuffered serve`; another command may be named first."""

import sys

from proxy.cli.main import COMMANDS, main

if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(main(given if given[:1] and given[0] in COMMANDS else ["serve", *given]))
