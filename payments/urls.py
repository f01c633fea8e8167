from django.urls import path

from payments.dashboard import DashboardView
from payments.provider_views import BookingCancelView, SessionCancelView
from payments.views import CancelView, CheckoutView, QuoteView, TimelineView, WebhookView

urlpatterns = [
    path("me/bookings/<uuid:booking_id>/cancel", CancelView.as_view()),
    path("me/bookings/<uuid:booking_id>/quote", QuoteView.as_view()),
    path("me/bookings/<uuid:booking_id>/timeline", TimelineView.as_view()),
    path("payments/checkout", CheckoutView.as_view()),
    path("payments/webhook/stripe", WebhookView.as_view(name="stripe")),
    path("payments/webhook/razorpay", WebhookView.as_view(name="razorpay")),
    path("provider/dashboard", DashboardView.as_view()),
    path("provider/bookings/<uuid:booking_id>/cancel", BookingCancelView.as_view()),
    path("provider/sessions/<uuid:session_id>/cancel", SessionCancelView.as_view()),
]
