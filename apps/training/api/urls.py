from apps.training.api.views import TrainingRunApi

routes = [("training-runs", TrainingRunApi)]
