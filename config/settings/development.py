"""The embedded installation that `make up` starts: plain HTTP on loopback, everything else as in production."""

from config.settings.base import *

STYLEGUIDE = True
