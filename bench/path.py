"""The gateway's command line with every answer gated, and nothing of it stored, priced or counted: the path itself.

An interaction still leaves its line. What this costs beside the whole gateway is what recording costs.
"""

import sys
from collections.abc import Sequence

from bench.subjects import REFUSED_TOOLS
from gateway import app
from gateway.__main__ import main
from gateway.core.snapshot import Snapshots
from gateway.core.stage import Stage
from gateway.logs import InteractionWriter
from gateway.secrets import Keyring
from gateway.settings import Settings
from gateway.stages.auth import Auth
from gateway.stages.interaction_log import InteractionLog
from tests.harness.stages import RefuseTools


def stages(
    settings: Settings, snapshots: Snapshots, keyring: Keyring, features: Sequence[Stage], *_: object
) -> list[Stage]:
    """Those that decide about a request, and the one that writes the line."""
    line = InteractionLog(InteractionWriter(settings.log), lambda *_: None, bodies=False)
    return [Auth(snapshots, keyring.digest), *features, line]


if __name__ == "__main__":
    app.make_stages = stages
    sys.exit(main(sys.argv[1:], stages=[RefuseTools([REFUSED_TOOLS])]))
