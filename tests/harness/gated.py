"""The gateway's command line with stages for tests: tools named in TEST_REFUSED_TOOLS are refused, errors raised at will."""

import os
import sys

from gateway.__main__ import main
from tests.harness.stages import Raise, RefuseTools

if __name__ == "__main__":
    names = os.environ["TEST_REFUSED_TOOLS"].split(",")
    sys.exit(main(sys.argv[1:], stages=[RefuseTools(names), Raise()]))
