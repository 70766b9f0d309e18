"""Pages of one's own account besides allauth's; config/urls.py adds what also concerns organizations."""

from django.urls import path

from apps.accounts import views

urlpatterns = [
    path("profile/", views.profile, name="profile"),
    path("profile/time-zone/", views.time_zone, name="time-zone"),
    path("sessions/", views.session_list, name="session-list"),
    path("sessions/end/", views.session_end_all, name="session-end-all"),
    path("sessions/programs/<uuid:family_id>/end/", views.program_end, name="program-end"),
    path("sessions/<uuid:session_id>/end/", views.session_end, name="session-end"),
]
