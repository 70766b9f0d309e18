from django.urls import path

from apps.audit import views

app_name = "audit"

urlpatterns = [
    path("", views.entry_list, name="entry-list"),
    path("news/", views.entry_news, name="entry-news"),
    path("retention/", views.retention, name="retention"),
    path("export/", views.entry_export, name="entry-export"),
    path("<uuid:entry_id>/", views.entry_detail, name="entry-detail"),
]
