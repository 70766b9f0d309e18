"""Settings of the tests: the same code and kinds of services, quicker password hashes, mails kept in memory."""

from config.settings.base import *
from config.settings.base import STORAGES

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
ALLOWED_HOSTS = ["*"]
STYLEGUIDE = True
# A test's transaction is invisible to the heartbeat's own connection, which would take the lease for lost.
JOB_HEARTBEAT_SECONDS = 3600.0
LLM_URL = ""  # no model runs beside the tests, and a new organization is empty
