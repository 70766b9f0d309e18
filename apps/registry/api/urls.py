from apps.registry.api.views import ModelsApi, ModelVersionsApi

routes = [("models", ModelsApi), ("model-versions", ModelVersionsApi)]
