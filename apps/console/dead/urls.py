from django.contrib import admin
from django.urls import path

from apps.console.dead import views

app_name = "dead"

urlpatterns = [path("", admin.site.admin_view(views.dead), name="dead-letters")]
