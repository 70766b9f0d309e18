from django.urls import path

from apps.deployments import views

app_name = "deployments"

urlpatterns = [
    path("", views.deployment_list, name="deployment-list"),
    path("new/", views.deployment_create, name="deployment-create"),
    path("<uuid:deployment_id>/", views.deployment_detail, name="deployment-detail"),
    path("<uuid:deployment_id>/start/", views.deployment_start, name="deployment-start"),
    path("<uuid:deployment_id>/stop/", views.deployment_stop, name="deployment-stop"),
    path("<uuid:deployment_id>/scale/", views.deployment_scale, name="deployment-scale"),
    path("<uuid:deployment_id>/roll-out/", views.deployment_roll_out, name="deployment-roll-out"),
    path("<uuid:deployment_id>/label/", views.deployment_label, name="deployment-label"),
    path("<uuid:deployment_id>/delete/", views.deployment_delete, name="deployment-delete"),
]
