"""The command line: one module for each command. Heavy imports stay inside the commands."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time

from densefusion.cli.app import app
from densefusion.errors import DenseFusionError, exit_code

_LINGER_SECONDS = 1.0
# Of a path that the user has named, most likely.
_PATHS = (
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)


def main() -> None:
    """Exit codes: 0 done, 1 not all went well, 2 a setting or an input is wrong,
    3 a server is away for longer than the retries last, 130 Ctrl-C.
    """
    code = _run()
    sys.stdout.flush()
    sys.stderr.flush()
    if _lingering():
        # A request to a server that hangs cannot be broken off; the interpreter would wait for it.
        logging.shutdown()
        os._exit(code)
    sys.exit(code)


def _run() -> int:
    import densefusion.cli.dataset
    import densefusion.cli.engine_bench
    import densefusion.cli.engines
    import densefusion.cli.kafka
    import densefusion.cli.metrics
    import densefusion.cli.plan
    import densefusion.cli.produce
    import densefusion.cli.replay
    import densefusion.cli.run
    import densefusion.cli.settings
    import densefusion.cli.status
    import densefusion.cli.up
    import densefusion.cli.worker  # noqa: F401

    try:
        app()
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    except DenseFusionError as error:
        print(f"densefusion: {error}", file=sys.stderr)
        return exit_code(error)
    except _PATHS as error:
        if error.filename is None:
            raise
        print(f"densefusion: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("densefusion: interrupted", file=sys.stderr)
        return 130
    return 0


def _lingering() -> bool:
    """Whether a thread that keeps the process has not ended in a moment."""
    until = time.monotonic() + _LINGER_SECONDS
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.main_thread():
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                return True
    return False
