from django.urls import path

from apps.ratelimits import views

app_name = "ratelimits"
urlpatterns = [
    path("", views.limit_list, name="limit-list"),
    path("new/", views.policy_create, name="policy-create"),
    path("preview/", views.policy_preview, name="policy-preview"),
    path("plan/", views.plan_detail, name="plan-detail"),
    path("lists/", views.entry_list, name="entry-list"),
    path("lists/new/", views.entry_create, name="entry-create"),
    path("lists/<uuid:limit_entry_id>/edit/", views.entry_edit, name="entry-edit"),
    path("lists/<uuid:limit_entry_id>/delete/", views.entry_delete, name="entry-delete"),
    path("<uuid:policy_id>/", views.policy_detail, name="policy-detail"),
    path("<uuid:policy_id>/edit/", views.policy_edit, name="policy-edit"),
    path("<uuid:policy_id>/enforce/", views.policy_enforce, name="policy-enforce"),
    path("<uuid:policy_id>/shadow/", views.policy_shadow, name="policy-shadow"),
    path("<uuid:policy_id>/delete/", views.policy_delete, name="policy-delete"),
]
