from django.urls import path

from apps.gateway.views import calls, keys, playground, prices, routes, upstreams

app_name = "gateway"

urlpatterns = [
    path("", routes.route_list, name="route-list"),
    path("routes/new/", routes.route_create, name="route-create"),
    path("routes/<uuid:route_id>/", routes.route_detail, name="route-detail"),
    path("routes/<uuid:route_id>/edit/", routes.route_edit, name="route-edit"),
    path("routes/<uuid:route_id>/pause/", routes.route_pause, name="route-pause"),
    path("routes/<uuid:route_id>/resume/", routes.route_resume, name="route-resume"),
    path("routes/<uuid:route_id>/delete/", routes.route_delete, name="route-delete"),
    path("upstreams/", upstreams.upstream_list, name="upstream-list"),
    path("upstreams/new/", upstreams.upstream_create, name="upstream-create"),
    path("upstreams/local/", upstreams.local_model_add, name="local-model-add"),
    path("upstreams/<uuid:upstream_id>/", upstreams.upstream_detail, name="upstream-detail"),
    path("upstreams/<uuid:upstream_id>/edit/", upstreams.upstream_edit, name="upstream-edit"),
    path("upstreams/<uuid:upstream_id>/pause/", upstreams.upstream_pause, name="upstream-pause"),
    path("upstreams/<uuid:upstream_id>/resume/", upstreams.upstream_resume, name="upstream-resume"),
    path("upstreams/<uuid:upstream_id>/delete/", upstreams.upstream_delete, name="upstream-delete"),
    path("upstreams/<uuid:upstream_id>/keys/", upstreams.secret_add, name="secret-add"),
    path("upstreams/<uuid:upstream_id>/keys/<uuid:secret_id>/pause/", upstreams.secret_pause, name="secret-pause"),
    path("upstreams/<uuid:upstream_id>/keys/<uuid:secret_id>/resume/", upstreams.secret_resume, name="secret-resume"),
    path("upstreams/<uuid:upstream_id>/keys/<uuid:secret_id>/delete/", upstreams.secret_delete, name="secret-delete"),
    path("keys/", keys.key_list, name="key-list"),
    path("keys/new/", keys.key_create, name="key-create"),
    path("keys/<uuid:key_id>/", keys.key_detail, name="key-detail"),
    path("keys/<uuid:key_id>/revoke/", keys.key_revoke, name="key-revoke"),
    path("calls/", calls.call_list, name="call-list"),
    path("calls/chart/", calls.call_chart, name="call-chart"),
    path("calls/export/", calls.call_export, name="call-export"),
    path("calls/<uuid:model_call_id>/", calls.call_detail, name="call-detail"),
    path("prices/", prices.price_list, name="price-list"),
    path("prices/new/", prices.price_create, name="price-create"),
    path("prices/<uuid:price_id>/", prices.price_edit, name="price-edit"),
    path("prices/<uuid:price_id>/delete/", prices.price_delete, name="price-delete"),
    path("playground/", playground.playground, name="playground"),
    path("playground/pass/", playground.playground_pass, name="playground-pass"),
    path("playground/snippet/", playground.playground_snippet, name="playground-snippet"),
    path("playground/calls/<str:request_id>/", playground.playground_call, name="playground-call"),
]
