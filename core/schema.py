"""The OpenAPI document told truthfully: camelCase names, the envelope around every answer, and the errors."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from core import errors
from core.envelope import camelize_key

ERROR_SCHEMA = {
    "type": "object",
    "required": ["success", "error"],
    "properties": {
        "success": {"type": "boolean", "const": False},
        "error": {
            "type": "object",
            "required": ["code", "message", "details"],
            "properties": {
                "code": {"type": "string", "examples": ["VALIDATION_ERROR"]},
                "message": {"type": "string"},
                "details": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
                        "additionalProperties": True,
                    },
                },
            },
        },
    },
}
META_SCHEMA = {
    "type": "object",
    "required": ["page", "limit", "total"],
    "properties": {name: {"type": "integer"} for name in ("page", "limit", "total")},
}


class SupabaseScheme(OpenApiAuthenticationExtension):
    target_class = "users.authentication.SupabaseAuthentication"
    name = "supabase"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class TokenScheme(SupabaseScheme):
    target_class = "users.authentication.TokenAuthentication"
    name = "supabase-unsynced"


class EnvelopeSchema(AutoSchema):
    """Wraps each response of drf-spectacular in the envelope and adds the errors that the endpoint can give.

    A view names the errors of its own rules in `errors`, by method or (viewsets) by action:
    `{"POST": (SessionFull, …)}`. Authentication and permission classes name theirs as a tuple, and the headers that
    they read in `parameters`.
    """

    def get_override_parameters(self) -> list[Any]:
        guards = self.view.permission_classes
        return [*super().get_override_parameters(), *(p for each in guards for p in getattr(each, "parameters", ()))]

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies = super()._get_response_bodies(direction)
        if "204" in bodies:
            # DELETE answers 200 with null.
            bodies["200"] = bodies.pop("204") | {"content": {"application/json": {"schema": {"type": "null"}}}}
        for status, body in bodies.items():
            content = body.get("content", {}).get("application/json")
            if content is not None and status.startswith("2"):
                content["schema"] = self._enveloped(content.get("schema", {}))
            body.setdefault("headers", {})["X-Request-ID"] = {"schema": {"type": "string"}}
        for number, codes in self._error_codes().items():
            body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
            bodies.setdefault(str(number), {"description": ", ".join(codes), **body})
        return bodies

    def _enveloped(self, data: dict[str, Any]) -> dict[str, Any]:
        properties = {"success": {"type": "boolean", "const": True}, "data": data}
        required = ["success", "data"]
        if self._is_list_view() and self._get_paginator():
            properties["meta"] = {"$ref": "#/components/schemas/Meta"}
            required.append("meta")
        return {"type": "object", "required": required, "properties": properties}

    def _error_codes(self) -> dict[int, list[str]]:
        """Error codes by status: those of every endpoint, those that its shape brings, and the view's own."""
        found: list[type[errors.Error]] = [errors.Error, errors.MalformedRequest]
        if self.view.throttle_classes:
            found += [errors.ValidationFailed, errors.RateLimited, errors.ServiceUnavailable]
        if self.view.permission_classes:
            found.append(errors.Forbidden)
        for guard in (*self.view.authentication_classes, *self.view.permission_classes):
            found += getattr(guard, "errors", ())
        if "{" in self.path:
            found.append(errors.NotFound)
        if self.method in ("POST", "PATCH"):
            found.append(errors.PayloadTooLarge)
        found += getattr(self.view, "errors", {}).get(getattr(self.view, "action", self.method), ())
        codes: dict[int, list[str]] = {415: ["UNSUPPORTED_MEDIA_TYPE"]} if self.method in ("POST", "PATCH") else {}
        for error in found:
            if error.code not in (named := codes.setdefault(error.status, [])):
                named.append(error.code)
        return codes


def finish(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Postprocessing hook: the envelope's own parts, and property names as the renderer sends them."""
    result["components"]["schemas"] |= {"Error": ERROR_SCHEMA, "Meta": META_SCHEMA}

    def camelized(node: Any) -> Any:
        if isinstance(node, list):
            return [camelized(each) for each in node]
        if not isinstance(node, dict):
            return node
        node = {key: camelized(value) for key, value in node.items()}
        if isinstance(node.get("properties"), dict):
            node["properties"] = {camelize_key(key): value for key, value in node["properties"].items()}
            if isinstance(node.get("required"), list):
                node["required"] = [camelize_key(key) for key in node["required"]]
        return node

    return camelized(result)
