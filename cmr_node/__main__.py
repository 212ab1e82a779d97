"""``python -m cmr_node`` is ``cmr-node``."""

import sys

from cmr_node.cli import main

sys.exit(main())
