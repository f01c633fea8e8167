from django.urls import path

from payments.views import CancelView, CheckoutView, QuoteView, TimelineView, WebhookView

urlpatterns = [
    path("me/bookings/<uuid:booking_id>/cancel", CancelView.as_view()),
    path("me/bookings/<uuid:booking_id>/quote", QuoteView.as_view()),
    path("me/bookings/<uuid:booking_id>/timeline", TimelineView.as_view()),
    path("payments/checkout", CheckoutView.as_view()),
    path("payments/webhook/stripe", WebhookView.as_view(name="stripe")),
    path("payments/webhook/razorpay", WebhookView.as_view(name="razorpay")),
]
