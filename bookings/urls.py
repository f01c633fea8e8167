from django.urls import path

from bookings.calendar_views import CalendarView, MyCalendarView, ProviderCalendarView
from bookings.change_views import ProviderSessionView
from bookings.provider_views import ProviderBookingViewSet, ProviderReviewList, ReviewResponseView
from bookings.review_views import MyReviewList, ReviewChangeView, ReviewCreateView, ReviewReportView
from bookings.roster_views import AttendanceView, RosterPage
from bookings.views import BookingViewSet, ChildViewSet, RescheduleView, ReviewList

urlpatterns = [
    path("reviews", ReviewCreateView.as_view()),
    path("reviews/<uuid:review_id>", ReviewChangeView.as_view()),
    path("reviews/<uuid:review_id>/report", ReviewReportView.as_view()),
    path("me/reviews", MyReviewList.as_view()),
    path("activities/<uuid:activity_id>/reviews", ReviewList.as_view()),
    path("provider/sessions/<uuid:session_id>", ProviderSessionView.as_view()),
    path("me/children", ChildViewSet.as_view({"get": "list", "post": "create"})),
    path("me/children/<uuid:pk>", ChildViewSet.as_view({"patch": "partial_update", "delete": "destroy"})),
    path("me/bookings", BookingViewSet.as_view({"get": "list", "post": "create"})),
    path("me/bookings/<uuid:pk>", BookingViewSet.as_view({"get": "retrieve"})),
    path("me/bookings/<uuid:booking_id>/reschedule", RescheduleView.as_view()),
    path("provider/bookings", ProviderBookingViewSet.as_view({"get": "list"})),
    path("provider/bookings/<uuid:pk>", ProviderBookingViewSet.as_view({"get": "retrieve"})),
    path("provider/sessions/<uuid:session_id>/roster", RosterPage.as_view()),
    path("provider/sessions/<uuid:session_id>/attendance", AttendanceView.as_view()),
    path("provider/reviews", ProviderReviewList.as_view()),
    path("provider/reviews/<uuid:review_id>/response", ReviewResponseView.as_view()),
    path("me/calendar", MyCalendarView.as_view()),
    path("provider/calendar", ProviderCalendarView.as_view()),
    path("calendars/<str:token>.ics", CalendarView.as_view()),
]
