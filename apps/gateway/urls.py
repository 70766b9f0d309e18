from django.urls import path

from apps.gateway.views import calls, keys, playground, routes, upstreams

app_name = "gateway"

urlpatterns = [
    path("", routes.route_list, name="route-list"),
    path("routes/<uuid:route_id>/", routes.route_detail, name="route-detail"),
    path("upstreams/", upstreams.upstream_list, name="upstream-list"),
    path("upstreams/<uuid:upstream_id>/", upstreams.upstream_detail, name="upstream-detail"),
    path("keys/", keys.key_list, name="key-list"),
    path("keys/<uuid:key_id>/", keys.key_detail, name="key-detail"),
    path("calls/", calls.call_list, name="call-list"),
    path("calls/chart/", calls.call_chart, name="call-chart"),
    path("calls/export/", calls.call_export, name="call-export"),
    path("calls/<uuid:call_id>/", calls.call_detail, name="call-detail"),
    path("playground/", playground.playground, name="playground"),
    path("playground/pass/", playground.playground_pass, name="playground-pass"),
    path("playground/snippet/", playground.playground_snippet, name="playground-snippet"),
    path("playground/calls/<str:request_id>/", playground.playground_call, name="playground-call"),
]
