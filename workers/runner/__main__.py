"""`python -m workers.runner NAME --queues a,b --processes 3`: run jobs of these queues until SIGTERM."""

from __future__ import annotations

import argparse
import os
import socket

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")

import django


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m workers.runner", description=__doc__)
    parser.add_argument("name", help="what this runner is called")
    parser.add_argument("--queues", required=True, help="the queues it serves, with commas between them")
    parser.add_argument("--processes", type=int, default=1, help="jobs at once, each in a process of its own")
    parser.add_argument("--threads", type=int, default=1, help="jobs at once in each process, for those that only wait")
    parser.add_argument(
        "--spare", action="store_true", help="one more process for organizations that run nothing in these queues yet"
    )
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    django.setup()
    from config.logging import configure as configure_logging
    from workers.runner.parent import Parent, Role

    configure_logging()
    name = f"{asked.name}@{socket.gethostname()}"
    queues = asked.queues.split(",")
    roles = [Role(f"{name}-{number}", queues, asked.threads) for number in range(1, asked.processes + 1)]
    if asked.spare:
        roles.append(Role(f"{name}-spare", queues, 1, is_spare=True))
    Parent(roles).run()


if __name__ == "__main__":
    main()
