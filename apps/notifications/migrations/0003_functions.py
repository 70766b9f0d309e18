from django.db import migrations

from apps.core.postgres.functions import system_function

# Takes deliveries that are due: two at a time for an endpoint and four for an organization, which take turns, so that a
# slow endpoint holds up nobody else's. Dispatchers ask one after the other, so that these numbers hold among them all.
CLAIM = """
RETURNS TABLE (delivery_id uuid, tenant_id uuid, current_attempt integer)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('notifications_claim', 0));
    WITH busy AS (
        SELECT endpoint_id, organization_id, count(*) AS sending FROM notifications_delivery
        WHERE status IN ('pending', 'retrying') AND lease_until > clock_timestamp() + $3
        GROUP BY endpoint_id, organization_id
    ), due AS (
        SELECT next.id, endpoint.organization_id, next.next_attempt_at
        FROM notifications_webhookendpoint endpoint
        CROSS JOIN LATERAL (
            SELECT id, next_attempt_at FROM notifications_delivery
            WHERE endpoint_id = endpoint.id AND status IN ('pending', 'retrying')
                AND next_attempt_at <= clock_timestamp() + $3
                AND (lease_until IS NULL OR lease_until <= clock_timestamp() + $3)
            ORDER BY next_attempt_at
            LIMIT GREATEST(0, 2 - COALESCE((SELECT sending FROM busy WHERE endpoint_id = endpoint.id), 0))
        ) next
        WHERE endpoint.disabled_at IS NULL
    ), turns AS (
        SELECT id, next_attempt_at,
            row_number() OVER (PARTITION BY organization_id ORDER BY next_attempt_at, id)
                + COALESCE((SELECT sum(sending) FROM busy WHERE busy.organization_id = due.organization_id), 0) AS turn
        FROM due
    ), taken AS (
        SELECT id FROM notifications_delivery
        WHERE id IN (SELECT id FROM turns WHERE turn <= 4 ORDER BY turn, next_attempt_at LIMIT $1)
            AND status IN ('pending', 'retrying')
        FOR UPDATE SKIP LOCKED
    )
    UPDATE notifications_delivery SET
        attempt = attempt + 1,
        lease_until = clock_timestamp() + $3 + make_interval(secs => $2)
    FROM taken WHERE notifications_delivery.id = taken.id
    RETURNING notifications_delivery.id, organization_id, attempt
$$
"""


class Migration(migrations.Migration):
    dependencies = [("notifications", "0002_webhooks")]

    operations = [system_function("notifications_claim(integer, double precision, interval)", CLAIM)]
