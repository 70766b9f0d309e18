"""What the control plane refuses of the gateway's upstreams, routes and keys."""

from __future__ import annotations

from apps.core.errors import DomainError


class NameTaken(DomainError):
    code = "name_taken"
    status = 409
    detail = "There is a {noun} named `{name}` already. Choose another name."


class TooMany(DomainError):
    code = "too_many"
    status = 409
    detail = "There are {limit} {nouns} already, which is the most. Delete one that is not needed."


class UrlNeeded(DomainError):
    code = "base_url_required"
    status = 422
    detail = "An upstream of this kind needs its address, such as https://api.example.com/v1."


class UrlNotNeeded(DomainError):
    code = "base_url_unwanted"
    status = 422
    detail = "The local model is part of this installation and has no address of its own. Leave it empty."


class LocalModelOff(DomainError):
    code = "local_model_off"
    status = 409
    detail = "This installation runs without its local model. An operator can start it."


class VersionNeeded(DomainError):
    code = "api_version_required"
    status = 422
    detail = "Azure asks for the version of its API with each call, such as 2024-10-21."


class HeadersInvalid(DomainError):
    code = "headers_invalid"
    status = 422
    detail = "{reason} Headers are names and values of one line each; a key is not one of them."


class UpstreamInvalid(DomainError):
    code = "upstream_invalid"
    status = 422
    detail = "{reason}"


class SecretInvalid(DomainError):
    code = "secret_invalid"
    status = 422
    detail = "A key is one line of letters, digits and signs, without spaces, at most {most} characters."


class UpstreamInUse(DomainError):
    code = "upstream_in_use"
    status = 409
    detail = "The routes {names} lead to it. Take it out of them first."


class TargetsNeeded(DomainError):
    code = "targets_required"
    status = 422
    detail = "A route needs at least one target."


class TargetInvalid(DomainError):
    code = "target_invalid"
    status = 422
    detail = "Target {number}: {reason}"


class NameInvalid(DomainError):
    code = "name_invalid"
    status = 422
    detail = "{reason}"


class RouteInvalid(DomainError):
    code = "route_invalid"
    status = 422
    detail = "{reason}"


class RouteUnknown(DomainError):
    code = "route_unknown"
    status = 422
    detail = "There is no route {name} here."


class TagsInvalid(DomainError):
    code = "tags_invalid"
    status = 422
    detail = "Tags are at most {most} names with a text each, of at most {longest} characters."


class KeyInvalid(DomainError):
    code = "key_invalid"
    status = 422
    detail = "{reason}"


class TokenTaken(DomainError):
    code = "token_taken"
    status = 409
    detail = "This token is a virtual key already."


class CacheAway(DomainError):
    code = "cache_away"
    status = 503
    detail = "The cache does not answer now. Nothing was forgotten; try again in a moment."
    headers = {"Retry-After": "5"}


class HealthUnknown(DomainError):
    code = "health_unknown"
    status = 503
    detail = "Nobody can say now how upstreams do, because Redis does not answer. Calls go on without it."
    headers = {"Retry-After": "5"}
