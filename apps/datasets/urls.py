from django.urls import path

from apps.datasets import views

app_name = "datasets"
urlpatterns = [
    path("", views.dataset_list, name="dataset-list"),
    path("new/", views.dataset_create, name="dataset-create"),
    path("<uuid:dataset_id>/", views.dataset_detail, name="dataset-detail"),
    path("<uuid:dataset_id>/edit/", views.dataset_edit, name="dataset-edit"),
    path("<uuid:dataset_id>/delete/", views.dataset_delete, name="dataset-delete"),
    path("<uuid:dataset_id>/versions/new/", views.version_create, name="version-create"),
    path("versions/<uuid:version_id>/source/", views.version_source, name="version-source"),
]
