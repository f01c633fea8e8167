from django.db import migrations

# Who writes a booking without saying until when it is refunded (an older release, a person at a prompt) means: as many
# hours before its session as the offering says. The longest window is bookings.services.LONGEST_WINDOW_HOURS.
WHERE_NOTHING_WAS_SAID = """
CREATE FUNCTION bookings_booking_fill_refundable_until() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT session.starts_at - make_interval(hours => least(offering.refund_window_hours, 87600))
    INTO NEW.refundable_until FROM marketplace_session AS session, marketplace_offering AS offering
    WHERE session.id = NEW.session_id AND offering.id = NEW.offering_id;
    RETURN NEW;
END $$;
CREATE TRIGGER bookings_booking_fill_refundable_until BEFORE INSERT ON bookings_booking FOR EACH ROW
WHEN (NEW.refundable_until IS NULL) EXECUTE FUNCTION bookings_booking_fill_refundable_until();
"""
# As it was worked out until now: from the first session with a seat, or from the chosen one.
FILL = """
UPDATE bookings_booking AS booking SET refundable_until = coalesce(
    (SELECT min(session.starts_at) FROM bookings_seat AS seat
        JOIN marketplace_session AS session ON session.id = seat.session_id
        WHERE seat.booking_id = booking.id AND seat.released_at IS NULL),
    (SELECT starts_at FROM marketplace_session WHERE id = booking.session_id)
) - make_interval(hours => least(offering.refund_window_hours, 87600))
FROM marketplace_offering AS offering
WHERE offering.id = booking.offering_id AND booking.refundable_until IS NULL
"""


class Migration(migrations.Migration):
    """Every booking has a deadline: new ones by a trigger where their writer does not know of it, old ones now."""

    dependencies = [("bookings", "0003_attendance"), ("marketplace", "0003_session_series")]

    operations = [
        migrations.RunSQL(
            WHERE_NOTHING_WAS_SAID,
            "DROP TRIGGER bookings_booking_fill_refundable_until ON bookings_booking;"
            "DROP FUNCTION bookings_booking_fill_refundable_until();",
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
