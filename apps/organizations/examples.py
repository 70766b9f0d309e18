"""A call that a new token may make, to try it. Pure."""

from __future__ import annotations

from collections.abc import Collection

VARIABLE = "MODELYARD_TOKEN"
READY = "/v2/models/YOUR-DEPLOYMENT/ready"
# The first that a token may call; the data plane's paths begin with /v2.
CALLS = (
    ("organization.read", "/api/v1/me/"),
    ("predictions.create", READY),
    ("deployments.read", "/api/v1/deployments/"),
    ("models.read", "/api/v1/models/"),
    ("datasets.read", "/api/v1/datasets/"),
    ("training.read", "/api/v1/training-runs/"),
    ("projects.read", "/api/v1/projects/"),
    ("jobs.read", "/api/v1/jobs/"),
    ("usage.read", "/api/v1/usage/"),
    ("calls.read", "/api/v1/calls/"),
    ("members.read", "/api/v1/members/"),
    ("tokens.read", "/api/v1/tokens/"),
    ("audit.read", "/api/v1/audit/"),
)


def curl(scopes: Collection[str], text: str, public_url: str, edge_url: str) -> str:
    """Two lines for a terminal: the token as a variable, and a call that its scopes allow, if they allow to read."""
    path = next((path for scope, path in CALLS if scope in scopes), "")
    lines = [f"export {VARIABLE}='{text}'"]
    if path:
        url = f"{edge_url if path == READY else public_url}{path}"
        lines.append(f'curl --fail-with-body {url} \\\n  --header "Authorization: Bearer ${VARIABLE}"')
    return "\n".join(lines)
