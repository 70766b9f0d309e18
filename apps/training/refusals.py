"""Why the data of a run cannot be learnt from, or its model not be served, and what to do about it."""

from apps.core.errors import DomainError


class UntrainableData(DomainError):
    """No model can be learnt from this table as asked."""

    code = "training_impossible"
    status = 422


class TargetMissing(UntrainableData):
    code = "target_missing"
    detail = "There is no column “{target}”. Choose one of: {available}."


class TargetAllNull(UntrainableData):
    code = "target_all_null"
    detail = "The target “{target}” is empty in every row. Choose a column with values."


class TargetConstant(UntrainableData):
    code = "target_constant"
    detail = "The target “{target}” is {value} in every row, so there is nothing to predict. Choose another column."


class TargetNotPredictable(UntrainableData):
    code = "target_not_predictable"
    detail = (
        "The target “{target}” holds {kind} values, which cannot be predicted. Choose numbers, categories or booleans."
    )


class TaskMismatch(UntrainableData):
    code = "task_mismatch"
    detail = "The target “{target}” does not suit the task {task}: {reason}."


class TooManyClasses(UntrainableData):
    code = "too_many_classes"
    detail = "The target “{target}” has {found} different values; at most {limit} classes can be told apart."


class ClassTooSmall(UntrainableData):
    code = "class_too_small"
    detail = (
        "The class {label} of the target “{target}” has {found} row; at least {needed} are needed to test a model. "
        "Add rows, or leave this class out."
    )


class TooFewRows(UntrainableData):
    code = "too_few_rows"
    detail = "Only {found} rows have a value for the target “{target}”; at least {needed} are needed."


class NoUsableFeature(UntrainableData):
    code = "no_usable_feature"
    detail = "No column is left to predict “{target}” from: {reasons}."


class ExportMismatch(DomainError):
    """The exported model does not answer as the trained one does; it must not be served."""

    code = "export_mismatch"
    status = 500
    detail = (
        "The exported model differs from the trained one in {mismatching_rows} of {rows} rows "
        "(by up to {max_difference}, {tolerance} is allowed), so it was not accepted."
    )
