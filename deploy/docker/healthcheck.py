"""Docker's health check: 0 where the worker in this container answers that it is well."""

from __future__ import annotations

import os
import sys
from http.client import HTTPConnection


def main() -> int:
    port = int(os.environ.get("DENSEFUSION_WORKER__METRICS_PORT", "9100"))
    connection = HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        print(response.read(2000).decode("utf-8", "replace"))
        return 0 if response.status == 200 else 1
    except OSError as error:
        print(error)
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
