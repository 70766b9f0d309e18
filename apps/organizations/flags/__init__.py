"""Features that an operator switches for all organizations, for a share of them, or for chosen ones.

    from apps.organizations import flags
    flags.is_on("datasets.fetch", organization_id)
    flags.require("datasets.fetch", organization_id)     # raises FeatureSwitchedOff

In a template: `{% load flags %}{% flag "datasets.fetch" as can_fetch %}`. What there is to switch stands in `known.py`.
"""

from apps.organizations.flags.lookup import is_on, require

__all__ = ["is_on", "require"]
