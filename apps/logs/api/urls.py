from apps.logs.api.views import CallApi

routes = [("calls", CallApi)]
