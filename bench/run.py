"""`python -m bench.run NAME`: run one benchmark, print its table, keep its figures in `bench/results/NAME.json`."""

from __future__ import annotations

import argparse

from bench import claims, export, gateway, jobs, ratelimits, report, serving, trail, usage, usage_page, webhooks

BENCHMARKS = {
    "claims": claims.run,
    "export": export.run,
    "gateway": gateway.run,
    "jobs": jobs.run,
    "ratelimits": ratelimits.run,
    "serving": serving.run,
    "trail": trail.run,
    "usage": usage.run,
    "usage-page": usage_page.run,
    "webhooks": webhooks.run,
    "webhook-kills": webhooks.run_kills,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("name", choices=BENCHMARKS)
    name = parser.parse_args().name
    rows = BENCHMARKS[name]()
    report.write(name, rows)
    report.show(rows)


main()
