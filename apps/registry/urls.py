from django.urls import path

from apps.registry import views

app_name = "registry"
urlpatterns = [
    path("", views.model_list, name="model-list"),
    path("<uuid:model_id>/", views.model_detail, name="model-detail"),
    path("<uuid:model_id>/edit/", views.model_edit, name="model-edit"),
    path("versions/<uuid:model_version_id>/", views.version_detail, name="version-detail"),
    path("versions/<uuid:model_version_id>/artifact/", views.version_artifact, name="version-artifact"),
]
