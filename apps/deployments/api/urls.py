from apps.deployments.api.views import DeploymentApi

routes = [("deployments", DeploymentApi)]
