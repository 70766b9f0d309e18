from django.urls import path

from apps.jobs import views

app_name = "jobs"

urlpatterns = [
    path("", views.job_list, name="job-list"),
    path("new/", views.job_create, name="job-create"),
    path("dead/", views.dead_list, name="dead-list"),
    path("dead/retry/", views.dead_retry, name="dead-retry"),
    path("dead/discard/", views.dead_discard, name="dead-discard"),
    path("queues/", views.queue_list, name="queue-list"),
    path("<uuid:job_id>/", views.job_detail, name="job-detail"),
    path("<uuid:job_id>/state/", views.job_state, name="job-state"),
    path("<uuid:job_id>/log/", views.job_log, name="job-log"),
    path("<uuid:job_id>/cancel/", views.job_cancel, name="job-cancel"),
    path("<uuid:job_id>/retry/", views.job_retry, name="job-retry"),
    path("<uuid:job_id>/discard/", views.job_discard, name="job-discard"),
]
