"""The command line: one module for each command. Heavy imports stay inside the commands."""

from __future__ import annotations

import sys

from densefusion.cli.app import app
from densefusion.errors import DenseFusionError, DependencyError


def main() -> None:
    """Exit codes: 0 done, 1 not all went well, 2 a setting or an input is wrong,
    3 a server is away for longer than the retries last, 130 Ctrl-C.
    """
    import densefusion.cli.dataset
    import densefusion.cli.kafka
    import densefusion.cli.produce
    import densefusion.cli.replay
    import densefusion.cli.run
    import densefusion.cli.settings
    import densefusion.cli.up
    import densefusion.cli.worker  # noqa: F401

    try:
        app()
    except DependencyError as error:
        print(f"densefusion: {error}", file=sys.stderr)
        sys.exit(3)
    except DenseFusionError as error:
        print(f"densefusion: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("densefusion: interrupted", file=sys.stderr)
        sys.exit(130)
