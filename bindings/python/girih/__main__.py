"""`python -m girih`: the command line without its script."""

import sys

from girih.cli import main

sys.exit(main())
