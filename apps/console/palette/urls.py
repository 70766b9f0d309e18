from django.urls import path

from apps.console.palette import views

app_name = "palette"

urlpatterns = [path("", views.palette_results, name="palette-results")]
