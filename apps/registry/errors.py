from apps.core.errors import DomainError


class ModelTaskDiffers(DomainError):
    code = "model_task_differs"
    status = 422
    detail = "The model “{name}” is for the task {existing}, this would be {task}. Choose another model name."
