"""The command line."""

import argparse
import io
import os
import sys
from collections.abc import Sequence

from gateway.commands import CommandError, check, demo, doctor, export, keys, migrate, serve
from gateway.core.stage import Stage
from gateway.settings import SettingsError

_EXIT_FAILED = 1
_EXIT_CONFIGURATION = 78  # EX_CONFIG of sysexits.h


def main(argv: Sequence[str] | None = None, *, stages: Sequence[Stage] = ()) -> int:
    """Run one command; ``stages``: an embedder's own features, added to the pipeline."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names may have letters that a locale has not
    arguments = _parser().parse_args(argv, argparse.Namespace(stages=tuple(stages)))
    try:
        code = int(arguments.run(arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output wants no more of it; Python would complain once more while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _EXIT_FAILED
    except (CommandError, SettingsError) as error:
        print(f"llm-gateway: {error}", file=sys.stderr)
        return _EXIT_CONFIGURATION if isinstance(error, SettingsError) else _EXIT_FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llm-gateway", description="An HTTP reverse proxy for LLM APIs.")
    commands = parser.add_subparsers(required=True, dest="command")
    for module in (serve, demo, check, doctor, keys, migrate, export):
        module.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
