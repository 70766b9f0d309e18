from apps.jobs.api.views import JobApi

routes = [("jobs", JobApi)]
