"""Submits jobs as the application does, in a process of its own: a call in JSON a line, its answer in another."""

from __future__ import annotations

import json
import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")

import django


def main() -> None:
    django.setup()
    from django.db import connections

    from tests.drills import submitting

    for line in sys.stdin:
        name, arguments = json.loads(line)
        answer = getattr(submitting, name)(**arguments)
        # The database may be restarted before the next call.
        connections.close_all()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
