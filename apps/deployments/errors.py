from apps.core.errors import DomainError


class DeploymentNameTaken(DomainError):
    code = "deployment_name_taken"
    status = 409
    detail = "There is a deployment `{name}` already. Choose another name, or give that one the new version."


class DeploymentNameInvalid(DomainError):
    code = "deployment_name_invalid"
    status = 422
    detail = "A name is 1 to 63 letters, digits, dots, hyphens or underscores, and begins with a letter or digit."


class ReplicaCountInvalid(DomainError):
    code = "replica_count_invalid"
    status = 422
    detail = "A deployment has 0 to {most} replicas."


class TooManyReplicas(DomainError):
    code = "too_many_replicas"
    status = 422
    detail = "All deployments together may ask for {most} replicas; the others ask for {others} already."


class ConfirmationMismatch(DomainError):
    code = "confirmation_mismatch"
    status = 422
    detail = "Type the deployment's name, {name}, to delete it."


class OtherModel(DomainError):
    code = "other_model"
    status = 422
    detail = "`{name}` serves the model `{model}`. Deploy a version of another model under a name of its own."
