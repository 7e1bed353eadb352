"""`python -m wherry`."""

import sys

from wherry.cli.main import main

sys.exit(main())
