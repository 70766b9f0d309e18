from django.urls import path

from apps.jobs.api.queues import JobQueuesApi
from apps.jobs.api.views import JobApi

routes = [("jobs", JobApi)]
paths = [path("job-queues/", JobQueuesApi.as_view(), name="job-queues")]
