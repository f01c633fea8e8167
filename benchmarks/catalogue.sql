-- A catalogue of the size that stands in `scale`, from the word lists in `sentence`, `adjective`, `noun` and `place`.
-- Every choice is a hash of the row's number, so that each fill makes the same rows whatever the plan.

CREATE FUNCTION pg_temp.pick(number bigint, salt integer, choices integer) RETURNS integer LANGUAGE sql IMMUTABLE
RETURN (hashint8extended(number, salt) & 1073741823) % choices;

-- Ids of one kind ascend with their number, as those of version 7 do with time.
CREATE FUNCTION pg_temp.id(kind integer, number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN (lpad(to_hex(1700000000000 + number), 12, '0') || '7' || lpad(to_hex(kind), 3, '0')
    || '8' || substr(md5(kind || ':' || number), 1, 15))::uuid;

SET juniro.search = 'off';
SET LOCAL synchronous_commit = off;
SET LOCAL maintenance_work_mem = '256MB';

INSERT INTO geography_country (id, code, name, currency, phone_prefix, region, is_active)
VALUES (pg_temp.id(1, 1), 'US', 'United States', 'USD', '+1', 'us', TRUE);

INSERT INTO geography_city (id, country_id, name, slug, timezone, latitude, longitude, is_active)
SELECT pg_temp.id(2, number), pg_temp.id(1, 1), name, slug, timezone, latitude, longitude, TRUE FROM place;

INSERT INTO geography_locality (id, city_id, name, slug, is_active)
SELECT pg_temp.id(3, place.number * 4 + quarter.number), pg_temp.id(2, place.number),
    quarter.name || ' ' || place.name, quarter.slug || '-' || place.slug, TRUE
FROM place, (VALUES (0, 'Old', 'old'), (1, 'Upper', 'upper'), (2, 'West', 'west'), (3, 'Riverside', 'riverside'))
    AS quarter (number, name, slug);

-- Five branches of four leaves each; activities are in the leaves.
INSERT INTO marketplace_category (id, parent_id, name, slug, position)
SELECT pg_temp.id(4, number), CASE WHEN parent > 0 THEN pg_temp.id(4, parent) END, name, slug, number
FROM branch ORDER BY number;

INSERT INTO providers_provideraccount (id, business_name, slug, type, status, verified_at)
SELECT pg_temp.id(5, n), adjective.word || ' ' || noun.word || ' ' || kind.word, 'provider-' || n, 'business',
    'verified', now()
FROM generate_series(1, (SELECT providers FROM scale)) AS n
JOIN adjective ON adjective.number = pg_temp.pick(n, 1, (SELECT count(*)::int FROM adjective))
JOIN noun ON noun.number = pg_temp.pick(n, 2, (SELECT count(*)::int FROM noun))
JOIN (VALUES (0, 'Club'), (1, 'Studio'), (2, 'Academy'), (3, 'House'), (4, 'Lab')) AS kind (number, word)
    ON kind.number = pg_temp.pick(n, 3, 5);

-- Every tenth provider has a second place, in another city.
INSERT INTO providers_location (id, provider_id, name, address, city_id, locality_id, latitude, longitude, is_default)
SELECT pg_temp.id(6, n * 2 + second), pg_temp.id(5, n), 'Hall ' || second + 1, n || ' Main Street',
    pg_temp.id(2, place.number),
    CASE WHEN n % 3 > 0 THEN pg_temp.id(3, place.number * 4 + pg_temp.pick(n, 5, 4)) END,
    place.latitude + (pg_temp.pick(n, 6, 4000) - 2000) / 10000.0,
    place.longitude + (pg_temp.pick(n, 7, 4000) - 2000) / 10000.0, second = 0
FROM generate_series(1, (SELECT providers FROM scale)) AS n
CROSS JOIN generate_series(0, 1) AS second
JOIN place ON place.number = (pg_temp.pick(n, 4, 20) + second * 7) % 20
WHERE second = 0 OR n % 10 = 0;

-- The word "lantern" is in every twentieth description and, of those, in every fifth title.
INSERT INTO marketplace_activity (id, provider_id, title, slug, summary, description, category_id, age_min, age_max,
    duration, image_url, status, published_at)
SELECT pg_temp.id(7, n), pg_temp.id(5, 1 + n % (SELECT providers FROM scale)),
    initcap(adjective.word) || ' ' || leaf.name || CASE WHEN n % 100 = 0 THEN ' by Lantern Light' ELSE '' END
        || ' with ' || noun.word,
    'activity-' || n, texts.list[1 + pg_temp.pick(n, 14, 500)],
    concat_ws(' ', texts.list[1 + pg_temp.pick(n, 15, 500)], texts.list[1 + pg_temp.pick(n, 16, 500)],
        texts.list[1 + pg_temp.pick(n, 17, 500)], texts.list[1 + pg_temp.pick(n, 18, 500)],
        texts.list[1 + pg_temp.pick(n, 19, 500)])
        || CASE WHEN n % 20 = 0 THEN ' Every child makes a lantern to take home.' ELSE '' END,
    pg_temp.id(4, leaf.number), youngest, youngest + 2 + pg_temp.pick(n, 11, 5),
    30 + 15 * pg_temp.pick(n, 12, 7),
    'https://images.example.com/' || n || '.jpg', 'published', now() - n % 100000 * interval '7 minutes'
FROM (SELECT n, pg_temp.pick(n, 10, 13) AS youngest
      FROM generate_series(1, (SELECT activities FROM scale)) AS n) AS activity
CROSS JOIN (SELECT array_agg(text ORDER BY number) AS list FROM sentence) AS texts
JOIN branch AS leaf ON leaf.number = 6 + pg_temp.pick(n, 8, 20)
JOIN adjective ON adjective.number = pg_temp.pick(n, 9, (SELECT count(*)::int FROM adjective))
JOIN noun ON noun.number = pg_temp.pick(n, 13, (SELECT count(*)::int FROM noun));

INSERT INTO marketplace_offering (id, activity_id, type, name, price_cents, currency, session_count)
SELECT pg_temp.id(8, number * 2 + second), pg_temp.id(7, number),
    CASE WHEN second = 1 THEN 'multi_session' WHEN number % 7 = 0 THEN 'camp' WHEN number % 11 = 0 THEN 'term'
         ELSE 'single_session' END,
    CASE WHEN second = 1 THEN 'Package of four' ELSE 'One class' END,
    CASE WHEN number % 25 = 0 THEN 0 ELSE 500 + 250 * pg_temp.pick(number, 20, 60) END * (1 + 3 * second), 'USD',
    CASE WHEN second = 1 THEN 4 END
FROM generate_series(1, (SELECT activities FROM scale)) AS number CROSS JOIN generate_series(0, 1) AS second
WHERE second = 0 OR number % 2 = 0;

-- Eight weekly sessions ahead at one weekday and hour, a tenth of them full, and one that is over.
INSERT INTO marketplace_session (id, activity_id, offering_id, location_id, starts_at, ends_at, capacity, enrolled,
    status)
SELECT pg_temp.id(9, number * 16 + week), pg_temp.id(7, number), pg_temp.id(8, number * 2),
    pg_temp.id(6, provider * 2 + CASE WHEN provider % 10 = 0 THEN week % 2 ELSE 0 END), starts_at,
    starts_at + interval '1 hour', 12,
    CASE WHEN pg_temp.pick(number * 16 + week, 24, 10) = 0 THEN 12 ELSE pg_temp.pick(number * 16 + week, 25, 12) END,
    CASE WHEN week = 0 THEN 'completed' ELSE 'scheduled' END
FROM (SELECT number, week, 1 + number % (SELECT providers FROM scale) AS provider,
        date_trunc('day', now(), 'UTC') + interval '1 day' * (pg_temp.pick(number, 21, 7) + 7 * (week - 1) + 1)
            + interval '15 minutes' * (52 + pg_temp.pick(number, 22, 48)) AS starts_at
      FROM generate_series(1, (SELECT activities FROM scale)) AS number CROSS JOIN generate_series(0, 8) AS week) AS planned;

INSERT INTO users_user (id, password, is_superuser, auth_id, email, home_region, role)
SELECT pg_temp.id(10, 1), '!', FALSE, 'bench', 'parent@example.com', 'us', 'parent';
INSERT INTO users_parent (id, user_id, first_name) VALUES (pg_temp.id(11, 1), pg_temp.id(10, 1), 'Robin');
INSERT INTO users_child (id, parent_id, first_name, birth_date)
VALUES (pg_temp.id(12, 1), pg_temp.id(11, 1), 'Kim', DATE '2018-05-01');

-- Half of the activities have two reviews each, of three to five stars.
INSERT INTO bookings_booking
    (id, session_id, offering_id, parent_id, child_id, status, amount_cents, currency, refundable_until)
SELECT pg_temp.id(13, number * 2 + second), pg_temp.id(9, number * 16), pg_temp.id(8, number * 2), pg_temp.id(11, 1),
    pg_temp.id(12, 1), 'completed', 500, 'USD', now()
FROM generate_series(2, (SELECT activities FROM scale), 2) AS number CROSS JOIN generate_series(0, 1) AS second;
INSERT INTO bookings_review (id, booking_id, parent_id, rating)
SELECT pg_temp.id(14, number * 2 + second), pg_temp.id(13, number * 2 + second), pg_temp.id(11, 1),
    3 + pg_temp.pick(number * 2 + second, 23, 3)
FROM generate_series(2, (SELECT activities FROM scale), 2) AS number CROSS JOIN generate_series(0, 1) AS second;
