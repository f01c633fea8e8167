from django.db import migrations

# Only what may add to the sum is looked at. A refund that is on its way moves with its own row locked, and must not wait
# for its payment: who has that one locked may wait for the refund.
CREATED = """
CREATE CONSTRAINT TRIGGER refund_within_payment
AFTER INSERT ON payments_refund DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (NEW.status <> 'failed' AND NOT NEW.is_external)
EXECUTE FUNCTION payments_refund_within_payment();
"""
GROWN = """
CREATE CONSTRAINT TRIGGER refund_grown_within_payment
AFTER UPDATE OF amount_cents, status, payment_id, is_external ON payments_refund
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (NEW.status <> 'failed' AND NOT NEW.is_external AND (OLD.status = 'failed' OR OLD.is_external
    OR NEW.amount_cents > OLD.amount_cents OR NEW.payment_id <> OLD.payment_id))
EXECUTE FUNCTION payments_refund_within_payment();
"""
ALWAYS = """
CREATE CONSTRAINT TRIGGER refund_within_payment
AFTER INSERT OR UPDATE OF amount_cents, status, payment_id, is_external ON payments_refund
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (NEW.status <> 'failed' AND NOT NEW.is_external)
EXECUTE FUNCTION payments_refund_within_payment();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0005_followed_and_permitted"),
    ]

    operations = [
        migrations.RunSQL(
            f"DROP TRIGGER refund_within_payment ON payments_refund; {CREATED} {GROWN}",
            "DROP TRIGGER refund_within_payment ON payments_refund;"
            f" DROP TRIGGER refund_grown_within_payment ON payments_refund; {ALWAYS}",
        ),
    ]
