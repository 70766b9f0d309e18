from django.urls import path

from apps.console.data_rights import views

app_name = "data_rights"

urlpatterns = [
    path("", views.data, name="data"),
    path("exports/", views.export_create, name="export-create"),
    path("exports/<uuid:export_id>/file/", views.export_file, name="export-file"),
    path("delete/", views.organization_delete, name="organization-delete"),
]
