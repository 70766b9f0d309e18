from django.db import models


class TaskName(models.TextChoices):
    """The tasks of `registry.signature.Task`, as people read them."""

    BINARY = "binary", "Binary classification"
    MULTICLASS = "multiclass", "Multiclass classification"
    REGRESSION = "regression", "Regression"


class AlgorithmName(models.TextChoices):
    LOGISTIC_REGRESSION = "logistic_regression", "Logistic regression"
    RIDGE = "ridge", "Ridge regression"
    LIGHTGBM = "lightgbm", "LightGBM"
    EXTRA_TREES = "extra_trees", "Extra trees"
    BASELINE = "baseline", "Baseline"


class MetricName(models.TextChoices):
    ROC_AUC = "roc_auc", "ROC AUC"
    LOG_LOSS = "log_loss", "Log loss"
    ACCURACY = "accuracy", "Accuracy"
    MACRO_F1 = "macro_f1", "Macro F1"
    RMSE = "rmse", "RMSE"
    MAE = "mae", "MAE"
    R2 = "r2", "R²"

    @property
    def lower_is_better(self) -> bool:
        return self in {MetricName.LOG_LOSS, MetricName.RMSE, MetricName.MAE}
