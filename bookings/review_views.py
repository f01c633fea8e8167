"""`/v1/reviews`: what parents say afterwards."""

from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.generics import ListAPIView
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from bookings import reviews
from bookings.models import Booking, Review, ReviewReport
from bookings.views import PARENT_ONLY
from core.errors import InvalidState, NotFound
from core.query import known_only
from core.serializers import ModelSerializer, Serializer
from regions.permissions import HomeRegion
from users.permissions import caller


class Comment(serializers.CharField):
    """At most 2,000 characters; an empty one is none."""

    def __init__(self) -> None:
        super().__init__(max_length=2000, required=False, allow_null=True, allow_blank=True)

    def run_validation(self, data: object = serializers.empty) -> str | None:
        return super().run_validation(data) or None


class ReviewRequestSerializer(Serializer):
    booking_id = serializers.UUIDField()
    rating = serializers.IntegerField(min_value=1, max_value=5)
    comment = Comment()


class ReviewChangeSerializer(Serializer):
    rating = serializers.IntegerField(min_value=1, max_value=5, required=False)
    comment = Comment()


class ReviewReportRequestSerializer(Serializer):
    reason = serializers.CharField(max_length=500)


class ReviewReportSerializer(ModelSerializer):
    class Meta:
        model = ReviewReport
        fields = ["id", "status", "created_at"]


class MyReviewSerializer(ModelSerializer):
    """A parent's own review, hidden ones included."""

    booking_id = serializers.UUIDField()
    activity_id = serializers.UUIDField(source="booking.session.activity_id")
    activity_title = serializers.CharField(source="booking.session.activity.title")
    editable_until = serializers.SerializerMethodField()

    class Meta:
        model = Review
        fields = [
            "id",
            "booking_id",
            "activity_id",
            "activity_title",
            "rating",
            "comment",
            "status",
            "hidden_reason",
            "response",
            "responded_at",
            "edited_at",
            "editable_until",
            "created_at",
        ]

    @extend_schema_field(serializers.DateTimeField())
    def get_editable_until(self, review: Review) -> datetime:
        return review.created_at + reviews.EDITABLE


def mine(request: Request) -> QuerySet[Review]:
    written = Review.objects.filter(parent=caller(request).parent)
    return written.select_related("booking__session__activity").order_by("-id")


class ReviewCreateView(APIView):
    """Writes the one review of a completed booking."""

    permission_classes = PARENT_ONLY
    errors = {"POST": (NotFound, reviews.ReviewNotAllowed, reviews.AlreadyReviewed)}

    @extend_schema(request=ReviewRequestSerializer, responses={201: MyReviewSerializer})
    def post(self, request: Request) -> Response:
        body = ReviewRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        bookings = Booking.objects.filter(parent=caller(request).parent).select_related("parent", "session__activity")
        booking = bookings.filter(pk=given["booking_id"]).first()
        if booking is None:
            raise NotFound("There is no such booking.", field="bookingId")
        review = reviews.write(
            booking=booking, rating=given["rating"], comment=given.get("comment"), now=timezone.now()
        )
        return Response(MyReviewSerializer(review).data, status.HTTP_201_CREATED)


class ReviewChangeView(APIView):
    """Changes one of the caller's own reviews, for seven days."""

    permission_classes = PARENT_ONLY
    errors = {"PATCH": (reviews.ReviewNotAllowed, InvalidState)}

    @extend_schema(request=ReviewChangeSerializer, responses=MyReviewSerializer)
    def patch(self, request: Request, review_id: UUID) -> Response:
        body = ReviewChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        if not mine(request).filter(pk=review_id).exists():
            raise NotFound
        reviews.edit(review_id=review_id, changes=body.validated_data, now=timezone.now())
        return Response(MyReviewSerializer(mine(request).get(pk=review_id)).data)


class MyReviewList(ListAPIView[Review]):
    """The caller's own reviews, latest first."""

    permission_classes = PARENT_ONLY
    serializer_class = MyReviewSerializer
    queryset = Review.objects.none()

    def get_queryset(self) -> QuerySet[Review]:
        known_only(self.request)
        return mine(self.request)


class ReviewReportView(APIView):
    """Asks Juniro to look at a review; anybody who is signed in may."""

    permission_classes = (IsAuthenticated, HomeRegion)
    errors = {"POST": (reviews.AlreadyReported,)}

    @extend_schema(request=ReviewReportRequestSerializer, responses={201: ReviewReportSerializer})
    def post(self, request: Request, review_id: UUID) -> Response:
        body = ReviewReportRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        review = Review.objects.published().filter(pk=review_id).first()
        if review is None:
            raise NotFound
        report = reviews.report(review=review, reporter=caller(request), reason=body.validated_data["reason"])
        return Response(ReviewReportSerializer(report).data, status.HTTP_201_CREATED)
