from django.urls import path

from apps.logs import views

app_name = "logs"

urlpatterns = [
    path("", views.call_list, name="call-list"),
    path("chart/", views.call_chart, name="call-chart"),
    path("<uuid:call_id>/", views.call_detail, name="call-detail"),
]
