"""Cursor pagination: pages that neither skip nor repeat while rows are added, at the same cost however deep."""

from rest_framework.pagination import CursorPagination


class NewestFirst(CursorPagination):
    """Ids are UUIDv7, so they are unique and sort by time."""

    ordering = "-id"
    page_size_query_param = "page_size"
    max_page_size = 200
