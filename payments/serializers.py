"""Bodies of checkout, cancellation, quote and timeline."""

from typing import Any

from rest_framework import serializers

from bookings.serializers import OverlapSerializer
from core.models import Currency
from core.serializers import ModelSerializer, Serializer
from payments.models import Payment, ProcessorName
from payments.processors import processor


class CheckoutRequestSerializer(Serializer):
    booking_id = serializers.UUIDField()
    processor = serializers.ChoiceField(ProcessorName.choices, required=False)


class CheckoutSerializer(ModelSerializer):
    """An open checkout: `checkoutUrl` to send the parent to (Stripe), or `orderId` and `keyId` (Razorpay)."""

    payment_id = serializers.UUIDField(source="id")
    expires_at = serializers.DateTimeField(source="booking.expires_at")
    checkout_url = serializers.URLField(required=False)
    order_id = serializers.CharField(required=False)
    key_id = serializers.CharField(required=False)

    class Meta:
        model = Payment
        fields = [
            "payment_id",
            "status",
            "processor",
            "amount_cents",
            "currency",
            "expires_at",
            "checkout_url",
            "order_id",
            "key_id",
        ]

    def to_representation(self, payment: Payment) -> dict[str, Any]:
        data = super().to_representation(payment)
        for name in ("checkout_url", "order_id", "key_id"):
            data.pop(name, None)
        fields = processor(payment.processor).client_fields(payment.processor_checkout_id or "", payment.checkout_url)
        return {**data, **fields}


class CancelRequestSerializer(Serializer):
    reason = serializers.CharField(max_length=500, required=False, allow_blank=True)


class FullCancelRequestSerializer(Serializer):
    """A provider's cancellation. `dryRun` tells what it would come to, and changes nothing."""

    reason = serializers.CharField(max_length=500, required=False, help_text="Told to the parents; needed to cancel")
    dry_run = serializers.BooleanField(default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs["dry_run"] and not attrs.get("reason"):
            raise serializers.ValidationError({"reason": ["This field is required."]})
        return attrs


class SessionCancelRequestSerializer(FullCancelRequestSerializer):
    series = serializers.BooleanField(default=False, help_text="This one and all that follow in its series")


class AmountSerializer(Serializer):
    amount_cents = serializers.IntegerField()
    currency = serializers.ChoiceField(Currency.choices)


class ExtentSerializer(Serializer):
    """What a cancellation came to, or would come to."""

    dry_run = serializers.BooleanField()
    sessions = serializers.IntegerField(help_text="Sessions that are cancelled")
    bookings = serializers.IntegerField(help_text="Bookings with a seat there")
    bookings_cancelled = serializers.IntegerField(help_text="Those of them that end; the others go on with less")
    children = serializers.IntegerField()
    refunds = AmountSerializer(many=True, help_text="What goes back, one sum for each currency")


class QuoteSerializer(Serializer):
    """What an action would cost or give back, without doing it. Cents or paise."""

    action = serializers.ChoiceField(["cancel", "reschedule"])
    allowed = serializers.BooleanField()
    code = serializers.CharField(allow_null=True, help_text="Why not, as the action itself would answer")
    message = serializers.CharField(allow_null=True)
    refund_cents = serializers.IntegerField()
    difference_cents = serializers.IntegerField()
    currency = serializers.ChoiceField(Currency.choices)
    refund_until = serializers.DateTimeField(help_text="Cancelling until then gives everything back")
    details = serializers.ListField(child=serializers.DictField(), help_text="As in the action's own error")
    warnings = OverlapSerializer(many=True)


class TimelineEntrySerializer(Serializer):
    """One thing that happened, in plain words. Cents or paise where it is about money."""

    at = serializers.DateTimeField()
    about = serializers.ChoiceField(["booking", "payment", "event", "refund"])
    text = serializers.CharField()
    amount_cents = serializers.IntegerField(allow_null=True)
    currency = serializers.ChoiceField(Currency.choices, allow_null=True)


class TimelineSerializer(Serializer):
    """The money of a booking: the sums, and all that led to them, oldest first."""

    booking_id = serializers.UUIDField()
    currency = serializers.ChoiceField(Currency.choices)
    paid_cents = serializers.IntegerField()
    refunded_cents = serializers.IntegerField()
    refund_pending_cents = serializers.IntegerField(help_text="Owed or sent, and not yet confirmed")
    entries = TimelineEntrySerializer(many=True)


class ReceivedSerializer(Serializer):
    received = serializers.BooleanField()
