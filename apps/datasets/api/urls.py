from apps.datasets.api.views import DatasetsApi, DatasetVersionsApi

routes = [("datasets", DatasetsApi), ("dataset-versions", DatasetVersionsApi)]
