"""`python -m workers.llm --fd N` or `--port P`: the local model server."""

from __future__ import annotations

import argparse

from workers.llm.app import ModelServer
from workers.llm.engine import bundled_weights
from workers.serving import add_socket_arguments, serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m workers.llm", description=__doc__)
    add_socket_arguments(parser)
    serve(ModelServer(bundled_weights()), parser.parse_args())


main()
