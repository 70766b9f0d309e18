from django.urls import path

from apps.core.styleguide import views

app_name = "styleguide"

urlpatterns = [
    path("", views.catalogue, name="catalogue"),
    path("sign-in/", views.card, name="card"),
    path("errors/<int:status>/", views.error, name="error"),
]
