"""Pages of lists: `?page=` from 1, `?limit=` 1 to 100, and `meta` with the total."""

from typing import Any

from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from core.query import whole_number

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
MAX_PAGE = 100_000


class ListResponse(Response):
    """A list with its `meta`, which the renderer puts beside `data`."""

    def __init__(self, data: Any, *, meta: dict[str, Any]):
        super().__init__(data)
        self.meta = meta


class PagePagination(BasePagination):
    """DRF pagination in the contract's terms: `meta: {page, limit, total}`."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list:
        self.page = whole_number(request.query_params, "page", at_least=1, most=MAX_PAGE) or 1
        self.limit = whole_number(request.query_params, "limit", at_least=1, most=MAX_LIMIT) or DEFAULT_LIMIT
        self.total = queryset.count()
        start = (self.page - 1) * self.limit
        return list(queryset[start : start + self.limit]) if start < self.total else []

    def get_paginated_response(self, data: Any) -> Response:
        return ListResponse(data, meta={"page": self.page, "limit": self.limit, "total": self.total})

    def get_paginated_response_schema(self, schema: dict) -> dict:
        return schema

    def get_schema_operation_parameters(self, view: Any) -> list[dict]:
        return [
            {"name": "page", "in": "query", "schema": {"type": "integer", "minimum": 1, "default": 1}},
            {
                "name": "limit",
                "in": "query",
                "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
            },
        ]
