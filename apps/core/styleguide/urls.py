from django.urls import path

from apps.core.styleguide import views

app_name = "styleguide"

urlpatterns = [
    path("", views.catalogue, name="catalogue"),
    path("sign-in/", views.card, name="card"),
    path("toast/", views.toast, name="toast"),
    path("refusal/", views.refusal, name="refusal"),
    path("upload/", views.upload, name="upload"),
    path("errors/<int:status>/", views.error, name="error"),
]
