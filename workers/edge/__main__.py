"""`python -m workers.edge --fd N` or `--port P`: the data plane by itself."""

from __future__ import annotations

import argparse

from workers.edge.app import application
from workers.serving import add_socket_arguments, serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m workers.edge", description=__doc__)
    add_socket_arguments(parser)
    serve(application, parser.parse_args())


main()
