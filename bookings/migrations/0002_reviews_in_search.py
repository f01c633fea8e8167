from django.db import migrations

OF_CHANGED_REVIEWS = (
    "JOIN marketplace_session AS session ON session.activity_id = activity.id "
    "JOIN bookings_booking AS booking ON booking.session_id = session.id "
    "JOIN changed ON changed.booking_id = booking.id"
)


def trigger(event: str, table: str) -> str:
    return f"""
    CREATE TRIGGER search_{event.lower()} AFTER {event} ON bookings_review REFERENCING {table} TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION marketplace_search_on_change('{OF_CHANGED_REVIEWS}');
    """


class Migration(migrations.Migration):
    """An activity's average follows its reviews in the same transaction (marketplace/migrations/0002_search.sql)."""

    dependencies = [("bookings", "0001_initial"), ("marketplace", "0002_search")]

    operations = [
        migrations.RunSQL(
            trigger("INSERT", "NEW") + trigger("UPDATE", "NEW") + trigger("DELETE", "OLD"),
            "".join(f"DROP TRIGGER search_{event} ON bookings_review;" for event in ("insert", "update", "delete")),
        )
    ]
