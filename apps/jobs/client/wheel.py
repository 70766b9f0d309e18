"""The client as a wheel (PyPA, "Binary distribution format"), made from its source: the same bytes every time."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from functools import cache
from pathlib import Path

from apps.jobs.client.modelyard import __version__ as version

SOURCE = Path(__file__).with_name("modelyard.py")
WHEEL_NAME = f"modelyard-{version}-py3-none-any.whl"
INFO = f"modelyard-{version}.dist-info"
EARLIEST = (1980, 1, 1, 0, 0, 0)
METADATA = f"""\
Metadata-Version: 2.1
Name: modelyard
Version: {version}
Summary: Follow your own programs in Modelyard's job tracker.
Requires-Python: >=3.9
Description-Content-Type: text/markdown

Follow your own programs in Modelyard's job tracker: see `help(modelyard)`.
"""
WHEEL = """\
Wheel-Version: 1.0
Generator: modelyard
Root-Is-Purelib: true
Tag: py3-none-any
"""


@cache
def source() -> bytes:
    return SOURCE.read_bytes()


@cache
def wheel() -> bytes:
    """A package of its own, so that it can say that it is typed."""
    files = {
        "modelyard/__init__.py": source(),
        "modelyard/py.typed": b"",
        f"{INFO}/METADATA": METADATA.encode(),
        f"{INFO}/WHEEL": WHEEL.encode(),
    }
    record = f"{INFO}/RECORD"
    listed = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in files.items()]
    files[record] = "\n".join([*listed, f"{record},,", ""]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(_entry(name), content)
    return packed.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EARLIEST)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    return entry


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
