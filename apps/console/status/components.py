"""What the status page speaks of: names for people, without an address or a product's name."""

from __future__ import annotations

from typing import NamedTuple


class Component(NamedTuple):
    """A part of the installation that can fail by itself. Without an essential one, the main job does not work.

    `is_timed` tells whether how long its probe took says anything to people.
    """

    name: str
    label: str
    note: str
    is_essential: bool = False
    is_timed: bool = True


COMPONENTS = [
    Component("web", "Pages", "Signing in and everything in the browser", is_essential=True),
    Component("api", "API", "Programs that manage data, models and deployments", is_essential=True),
    Component("edge", "Endpoints", "Predictions of deployed models", is_essential=True),
    Component("database", "Database", "Where everything is written down", is_essential=True),
    Component("redis", "Live updates", "Pages that follow work as it happens"),
    Component("storage", "File storage", "Uploads and stored models"),
    Component("jobs", "Background jobs", "Workers for every queue of jobs", is_timed=False),
    Component("messages", "Messages", "Mails, webhooks and what is due by the clock"),
    Component("usage", "Usage records", "From a call to the ledger"),
    Component("scaler", "Deployments", "Starting, checking and replacing replicas", is_timed=False),
    Component("models", "Language model", "The model that this installation runs itself"),
]
BY_NAME = {component.name: component for component in COMPONENTS}
