"""`python -m workers.replica --model M.onnx --signature S.json --name N --version V --replica-id ID --port 0`."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from workers.replica.app import Replica
from workers.replica.model import Model
from workers.replica.supervised import end_with
from workers.serving import add_socket_arguments, serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m workers.replica", description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--signature", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--replica-id", required=True)
    add_socket_arguments(parser)
    arguments = parser.parse_args()
    if supervisor := os.environ.get("SUPERVISOR_PID"):
        end_with(int(supervisor))
    signature = json.loads(arguments.signature.read_bytes())
    model = Model(arguments.model, signature, arguments.name, arguments.version)
    serve(Replica(model, arguments.replica_id), arguments)


main()
