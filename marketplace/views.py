"""The public catalogue, and `/v1/me`, whose interests point into it."""

from typing import Any
from uuid import UUID

import orjson
from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from core import query
from core.errors import Error, NotFound
from core.pagination import DEFAULT_LIMIT, MAX_LIMIT, MAX_PAGE, ListResponse
from core.views import PublicView
from marketplace import detail, filters, search
from marketplace.models import Activity, Category, Offering, Session
from marketplace.serializers import (
    ActivityDetailSerializer,
    ActivitySerializer,
    CategorySerializer,
    ProfileSerializer,
    ProviderSerializer,
    SessionSerializer,
    SuggestionsSerializer,
)
from marketplace.suggest import suggest


class AmbiguousSlug(Error):
    status, code, message = 409, "AMBIGUOUS_SLUG", "Several providers use this slug. Add ?provider=."


def parameter(name: str, description: str, type_: Any = str, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, type_, OpenApiParameter.QUERY, description=description, **more)


FILTERS = [
    parameter("q", "Words to find; typing slips are forgiven"),
    parameter("category", "Slug; its descendants are included"),
    parameter("country", "ISO code, such as US"),
    parameter("city", "Slug"),
    parameter("locality", "Slug"),
    parameter("provider", "Slug"),
    parameter("age", "A child's age in years", int),
    parameter("birthDate", "Instead of age; without a result tells from when the child may come", OpenApiTypes.DATE),
    parameter("ageMin", "Years", int),
    parameter("ageMax", "Years", int),
    parameter("priceMin", "Cents or paise, compared with priceFromCents", int),
    parameter("priceMax", "Cents or paise, compared with priceFromCents", int),
    parameter("type", "With an offering of this type", enum=Offering.Type.values),
    parameter("from", "First day, in the location's calendar", OpenApiTypes.DATE),
    parameter("to", "Last day, in the location's calendar", OpenApiTypes.DATE),
    parameter("weekday", f"Some of {', '.join(filters.WEEKDAYS)}, separated by commas"),
    parameter("timeOfDay", f"Some of {', '.join(filters.PARTS_OF_DAY)}, separated by commas"),
    parameter("available", "true: only with a bookable session that has a free seat", bool),
    parameter("minRating", "0 to 5", float),
    parameter("lat", "Together with lng", float),
    parameter("lng", "Together with lat", float),
    parameter("radiusKm", f"{filters.DEFAULT_RADIUS_KM:g} unless told", float),
    parameter("facets", f"Some of {', '.join(filters.FACETS)}, separated by commas"),
    parameter("sort", "relevance with q, soonest without, unless told", enum=list(filters.SORTS)),
    parameter("cursor", "meta.nextCursor of the page before, instead of page"),
]


class CategoryList(PublicView):
    """The active categories as a tree."""

    @extend_schema(responses=CategorySerializer(many=True))
    def get(self, request: Request) -> Response:
        query.known_only(request, paged=False)
        children: dict[UUID | None, list[Category]] = {}
        for category in Category.objects.filter(is_active=True):
            children.setdefault(category.parent_id, []).append(category)
        roots = children.get(None, [])
        return Response(CategorySerializer(roots, many=True, context={"children": children}).data)


class ActivityViewSet(PublicView, GenericViewSet[Activity]):
    """Activities as finished JSON from one statement each; the serializer only describes it."""

    serializer_class = ActivitySerializer
    queryset = Activity.objects.none()
    errors = {"retrieve": (AmbiguousSlug,)}

    @extend_schema(parameters=FILTERS, responses=ActivitySerializer(many=True))
    def list(self, request: Request) -> Response:
        """Public activities that match every filter."""
        wanted = filters.read_filters(request)
        if wanted.birth_date:
            # What a parent asks about one child is nobody else's.
            self.max_age = 0
        found = search.find(wanted)
        return ListResponse(found.cards, meta=found.meta)

    @extend_schema(parameters=[parameter("provider", "Slug")], responses=ActivityDetailSerializer)
    def retrieve(self, request: Request, key: str) -> Response:
        """One activity by slug or id. Two providers may share a slug: then `provider` is needed."""
        provider = query.known_only(request, "provider", paged=False).get("provider")
        found = detail.activity(key, provider=provider)
        if not found:
            raise NotFound
        if len(found) > 1:
            raise AmbiguousSlug(
                details=[{"field": "provider", "message": name, "provider": slug} for slug, name, _ in found]
            )
        return Response(orjson.Fragment(found[0][2]))


class SuggestView(PublicView):
    """Completes what a parent begins to type."""

    @extend_schema(parameters=[parameter("q", "At least one letter", required=True)], responses=SuggestionsSerializer)
    def get(self, request: Request) -> Response:
        text = query.known_only(request, "q", paged=False).get("q", "").strip()
        if not text:
            raise query.invalid("q", "Type at least one letter.")
        return Response(orjson.Fragment(suggest(text)))


class SessionList(PublicView, ListAPIView[Session]):
    """Upcoming sessions of a public activity, soonest first. Cached for seconds only, since seats go fast."""

    serializer_class = SessionSerializer
    queryset = Session.objects.none()
    max_age = 5

    @extend_schema(
        parameters=[
            parameter("from", "First day, in the location's calendar", OpenApiTypes.DATE),
            parameter("to", "Last day, in the location's calendar", OpenApiTypes.DATE),
            parameter("available", "true: only with a free seat", bool),
        ]
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        given = query.known_only(request, "from", "to", "available")
        first, last = query.day(given, "from"), query.day(given, "to")
        if first and last and last < first:
            raise query.invalid("to", "The range ends before it begins.")
        response = detail.sessions(
            kwargs["activity_id"],
            first=first,
            last=last,
            free_only=bool(query.boolean(given, "available")),
            page=query.whole_number(given, "page", at_least=1, most=MAX_PAGE) or 1,
            limit=query.whole_number(given, "limit", at_least=1, most=MAX_LIMIT) or DEFAULT_LIMIT,
        )
        if response is None:
            raise NotFound
        return response


class ProviderView(PublicView):
    """A verified provider's public profile."""

    @extend_schema(responses=ProviderSerializer)
    def get(self, request: Request, slug: str) -> Response:
        query.known_only(request, paged=False)
        profile = detail.provider(slug)
        if profile is None:
            raise NotFound
        return Response(orjson.Fragment(profile))


class ProfileView(APIView):
    """The caller's own profile."""

    @extend_schema(responses=ProfileSerializer)
    def get(self, request: Request) -> Response:
        return Response(ProfileSerializer(request.user, context={"request": request}).data)

    @extend_schema(request=ProfileSerializer, responses=ProfileSerializer)
    def patch(self, request: Request) -> Response:
        serializer = ProfileSerializer(request.user, data=request.data, partial=True, context={"request": request})
        serializer.is_valid(raise_exception=True)
        with transaction.atomic():
            serializer.save()
        return Response(serializer.data)
