-- The search row: a public activity in one of its cities, with its finished card and everything that search filters and
-- sorts by; an activity in several cities has one more row for all of them together. `marketplace_search_truth` says what the rows should be; everything else brings the table in line with it.

-- Accents off, so that "natacion" finds "natación"; marks of other scripts (Devanagari vowels) stay.
CREATE FUNCTION marketplace_fold(words text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lower(normalize(regexp_replace(normalize(coalesce(words, ''), NFKD), E'[\u0300-\u036f]', '', 'g'), NFC));

CREATE FUNCTION marketplace_document(title text, names text, description text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
-- Stems to forgive endings, and the words as they stand to complete a half-typed one. The pilcrows keep the last word
-- of one text from being next to the first of another, which a search for a phrase would take for a hit.
RETURN setweight(to_tsvector('english', title) || $$'¶':1$$::tsvector || to_tsvector('simple', title), 'A')
    || setweight($$'¶':1$$::tsvector || to_tsvector('english', names), 'B')
    || setweight($$'¶':1$$::tsvector || to_tsvector('simple', names), 'B')
    || setweight($$'¶':1$$::tsvector || to_tsvector('english', left(description, 1000)), 'D')
    -- Once more the title's words, marked, so that the index alone can tell them from those of the description.
    || array_to_tsvector(ARRAY(SELECT '§' || word
        FROM unnest(tsvector_to_array(to_tsvector('english', title) || to_tsvector('simple', title))) AS word));

-- The same query for those marked words alone. Where they stand in the title it cannot tell.
CREATE FUNCTION marketplace_in_title(query tsquery) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(regexp_replace(query::text, $$<(-|\d+)>$$, '&', 'g'),
    $$'((?:[^']|'')*)'$$, $$'§\1'$$, 'g')::tsquery;

CREATE FUNCTION marketplace_json_time(moment timestamptz) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN replace(to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000Z', 'Z');

-- Day and time of day as one number: days since 2000-01-01 times three, plus 0 morning, 1 afternoon, 2 evening.
CREATE FUNCTION marketplace_slot(moment timestamptz, zone text) RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE
RETURN ((moment AT TIME ZONE zone)::date - DATE '2000-01-01') * 3
    + CASE WHEN extract(hour FROM moment AT TIME ZONE zone) < 12 THEN 0
           WHEN extract(hour FROM moment AT TIME ZONE zone) < 17 THEN 1 ELSE 2 END;

-- The week's 21 slots (Monday morning is bit 0) that occur among day slots, as bits of one number.
CREATE FUNCTION marketplace_week_mask(slots integer[]) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
-- 2000-01-01 was a Saturday.
RETURN (SELECT coalesce(bit_or(1 << (((slot / 3 + 5) % 7) * 3 + slot % 3)), 0) FROM unnest(slots) AS slot);

CREATE FUNCTION marketplace_distance_km(lat1 float8, lng1 float8, lat2 float8, lng2 float8) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 2 * 6371 * asin(least(1, sqrt(
    sin(radians(lat2 - lat1) / 2) ^ 2 + cos(radians(lat1)) * cos(radians(lat2)) * sin(radians(lng2 - lng1) / 2) ^ 2)));

-- What the search rows of these activities (all of them for NULL) should be at `moment`.
CREATE FUNCTION marketplace_search_truth(ids uuid[], moment timestamptz)
RETURNS SETOF marketplace_searchrow LANGUAGE plpgsql STABLE
-- Activity by activity: every other table is looked up by key, in a subquery that OFFSET 0 keeps closed. The planner
-- cannot guess how many rows a batch has, least of all while a bulk load makes liars of its statistics, and joins that
-- it may reorder become quadratic.
SET enable_seqscan = off
AS $$
BEGIN
    RETURN QUERY
    WITH RECURSIVE lineage AS (
        SELECT category.id, category.parent_id, ARRAY[category.slug]::text[] AS slugs, category.is_active
        FROM marketplace_category AS category
        UNION ALL
        SELECT lineage.id, parent.parent_id, lineage.slugs || parent.slug::text, lineage.is_active AND parent.is_active
        FROM lineage JOIN marketplace_category AS parent ON parent.id = lineage.parent_id
    ),
    shown AS (
        SELECT activity.*, provider.business_name, provider.slug AS provider_slug,
            category.name AS category_name, category.slug AS category_slug, lineage.slugs AS category_slugs
        FROM marketplace_activity AS activity
        CROSS JOIN LATERAL (
            SELECT * FROM providers_provideraccount AS each
            WHERE each.id = activity.provider_id AND each.status = 'verified' OFFSET 0
        ) AS provider
        CROSS JOIN LATERAL (
            SELECT * FROM marketplace_category AS each WHERE each.id = activity.category_id OFFSET 0
        ) AS category
        JOIN lineage ON lineage.id = category.id AND lineage.parent_id IS NULL AND lineage.is_active
        WHERE activity.status = 'published' AND (ids IS NULL OR activity.id = ANY (ids))
    )
    SELECT
        md5(shown.id::text || coalesce(places.city_id::text, ''))::uuid,
        (SELECT row_to_json(card)::text FROM (SELECT
            shown.id, shown.slug, shown.title, shown.summary,
            json_build_object('id', shown.category_id, 'name', shown.category_name, 'slug', shown.category_slug)
                AS category,
            json_build_object('id', shown.provider_id, 'businessName', shown.business_name, 'slug', shown.provider_slug)
                AS provider,
            shown.age_min AS "ageMin", shown.age_max AS "ageMax", shown.duration,
            prices.price_cents AS "priceFromCents", prices.currency,
            json_build_object('name', city.name, 'slug', city.slug) AS city,
            json_build_object('average', ratings.average, 'count', coalesce(ratings.total, 0)) AS rating,
            marketplace_json_time(places.next_session_at) AS "nextSessionAt",
            places.spots_left AS "spotsLeft", nullif(shown.image_url, '') AS "imageUrl"
        ) AS card),
        marketplace_document(
            marketplace_fold(shown.title),
            marketplace_fold(shown.category_name || ' ' || shown.business_name),
            marketplace_fold(shown.summary || ' ' || shown.description)
        ),
        shown.title,
        shown.category_slug::text, shown.category_slugs, shown.provider_slug::text, country.code::text,
        CASE WHEN places.city_id IS NULL THEN '' ELSE city.slug::text END, places.localities,
        coalesce(shown.age_min, 0)::smallint, coalesce(shown.age_max, 999)::smallint,
        coalesce(prices.price_cents, 2147483647), coalesce(prices.types, '{}'),
        coalesce(ratings.average, 0), coalesce(ratings.total, 0),
        coalesce(places.next_session_at, '9999-12-31'), places.slots, places.free_slots,
        marketplace_week_mask(places.slots), marketplace_week_mask(places.free_slots),
        CASE WHEN places.city_id IS NOT NULL THEN coalesce(location.latitude, city.latitude) END,
        CASE WHEN places.city_id IS NOT NULL THEN coalesce(location.longitude, city.longitude) END,
        coalesce(shown.published_at, shown.created_at),
        places.is_primary,
        shown.id, places.city_id
    FROM shown
    CROSS JOIN LATERAL (
        WITH upcoming AS (
            SELECT session.starts_at, session.id, session.capacity - session.enrolled AS left_over, location.city_id,
                location.id AS location_id, marketplace_slot(session.starts_at, city.timezone) AS slot,
                locality.slug AS locality, city.is_open
            FROM marketplace_session AS session
            CROSS JOIN LATERAL (
                SELECT FROM marketplace_offering AS each
                WHERE each.id = session.offering_id AND each.status = 'active' OFFSET 0
            ) AS offering
            CROSS JOIN LATERAL (
                SELECT * FROM providers_location AS each WHERE each.id = session.location_id OFFSET 0
            ) AS location
            CROSS JOIN LATERAL (
                SELECT each.timezone, each.is_active AND (
                    SELECT country.is_active FROM geography_country AS country WHERE country.id = each.country_id
                ) AS is_open
                FROM geography_city AS each WHERE each.id = location.city_id OFFSET 0
            ) AS city
            LEFT JOIN LATERAL (
                SELECT each.slug::text AS slug FROM geography_locality AS each
                WHERE each.id = location.locality_id AND each.is_active OFFSET 0
            ) AS locality ON TRUE
            WHERE session.activity_id = shown.id AND session.status = 'scheduled' AND session.starts_at > moment
        ),
        calendar AS (
            -- City by city, and with NULL for the city once more over all of them.
            SELECT upcoming.city_id, min(upcoming.starts_at) AS next_session_at,
                (array_agg(upcoming.left_over ORDER BY upcoming.starts_at, upcoming.id))[1] AS spots_left,
                (array_agg(upcoming.location_id ORDER BY upcoming.starts_at, upcoming.id))[1] AS location_id,
                array_agg(DISTINCT upcoming.slot) AS slots,
                coalesce(array_agg(DISTINCT upcoming.slot) FILTER (WHERE upcoming.left_over > 0), '{}') AS free_slots,
                coalesce(array_agg(DISTINCT upcoming.locality) FILTER (WHERE upcoming.locality IS NOT NULL), '{}')
                    AS localities,
                (SELECT count(DISTINCT each.city_id) FROM upcoming AS each WHERE each.is_open) AS cities
            FROM upcoming WHERE upcoming.is_open
            GROUP BY GROUPING SETS ((upcoming.city_id), ()) HAVING count(*) > 0
        )
        SELECT calendar.city_id, calendar.next_session_at, calendar.spots_left, calendar.location_id, calendar.slots,
            calendar.free_slots, calendar.localities,
            -- The row for every place at once: the only city's own where there is but one.
            calendar.city_id IS NULL OR calendar.cities = 1 AS is_primary
        FROM calendar WHERE calendar.city_id IS NOT NULL OR calendar.cities > 1
        UNION ALL
        -- Without a session in sight in an open city an activity is where its provider is at home. It is so before
        -- sessions in a closed one begin, too: time that passes changes rows that are there, and brings no new ones.
        (SELECT home.city_id, NULL, 0, home.id, '{}', '{}',
            ARRAY(SELECT each.slug::text FROM geography_locality AS each
                WHERE each.id = home.locality_id AND each.is_active), TRUE
        FROM providers_location AS home
        WHERE home.provider_id = shown.provider_id AND NOT EXISTS (SELECT FROM upcoming WHERE upcoming.is_open)
        ORDER BY home.is_default DESC, home.id LIMIT 1)
    ) AS places
    CROSS JOIN LATERAL (
        SELECT * FROM providers_location AS each WHERE each.id = places.location_id OFFSET 0
    ) AS location
    CROSS JOIN LATERAL (
        SELECT * FROM geography_city AS each WHERE each.id = location.city_id AND each.is_active OFFSET 0
    ) AS city
    CROSS JOIN LATERAL (
        SELECT * FROM geography_country AS each WHERE each.id = city.country_id AND each.is_active OFFSET 0
    ) AS country
    CROSS JOIN LATERAL (
        SELECT min(offering.price_cents) AS price_cents, min(offering.currency) AS currency,
            array_agg(DISTINCT offering.type::text ORDER BY offering.type::text) AS types
        FROM marketplace_offering AS offering
        WHERE offering.activity_id = shown.id AND offering.status = 'active'
    ) AS prices
    CROSS JOIN LATERAL (
        SELECT round(avg(review.rating), 2)::float8 AS average, count(*)::integer AS total
        FROM marketplace_session AS session
        CROSS JOIN LATERAL (
            SELECT each.id FROM bookings_booking AS each WHERE each.session_id = session.id OFFSET 0
        ) AS booking
        CROSS JOIN LATERAL (
            SELECT each.rating FROM bookings_review AS each
            WHERE each.booking_id = booking.id AND each.status = 'published' OFFSET 0
        ) AS review
        WHERE session.activity_id = shown.id
    ) AS ratings;
END $$;

-- Brings the rows of these activities in line with the truth. Two at once take turns, activity by activity.
CREATE FUNCTION marketplace_search_refresh(ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(ids) = 0 THEN RETURN; END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(each.id::text, 0))
    FROM (SELECT DISTINCT unnest(ids) AS id ORDER BY 1) AS each;
    DELETE FROM marketplace_searchrow WHERE activity_id = ANY (ids);
    INSERT INTO marketplace_searchrow SELECT * FROM marketplace_search_truth(ids, now());
END $$;

-- Dearest first, with those last that have no price.
CREATE INDEX search_all_dear ON marketplace_searchrow
    ((CASE WHEN price_cents = 2147483647 THEN -1 ELSE price_cents END), id) WHERE is_primary;

-- By weekday. What happens on Saturdays is next week's last in the order of the next session, behind nearly all others,
-- and most activities have one weekday: these indexes together hold few entries more than one over all of them.
CREATE INDEX search_mon_soon ON marketplace_searchrow (next_session_at, id)
    INCLUDE (age_min, age_max, week_mask, free_week_mask) WHERE is_primary AND week_mask & 7 <> 0;
CREATE INDEX search_tue_soon ON marketplace_searchrow (next_session_at, id)
    INCLUDE (age_min, age_max, week_mask, free_week_mask) WHERE is_primary AND week_mask & 56 <> 0;
CREATE INDEX search_wed_soon ON marketplace_searchrow (next_session_at, id)
    INCLUDE (age_min, age_max, week_mask, free_week_mask) WHERE is_primary AND week_mask & 448 <> 0;
CREATE INDEX search_thu_soon ON marketplace_searchrow (next_session_at, id)
    INCLUDE (age_min, age_max, week_mask, free_week_mask) WHERE is_primary AND week_mask & 3584 <> 0;
CREATE INDEX search_fri_soon ON marketplace_searchrow (next_session_at, id)
    INCLUDE (age_min, age_max, week_mask, free_week_mask) WHERE is_primary AND week_mask & 28672 <> 0;
CREATE INDEX search_sat_soon ON marketplace_searchrow (next_session_at, id)
    INCLUDE (age_min, age_max, week_mask, free_week_mask) WHERE is_primary AND week_mask & 229376 <> 0;
CREATE INDEX search_sun_soon ON marketplace_searchrow (next_session_at, id)
    INCLUDE (age_min, age_max, week_mask, free_week_mask) WHERE is_primary AND week_mask & 1835008 <> 0;
CREATE INDEX search_weekend_soon ON marketplace_searchrow (next_session_at, id)
    INCLUDE (age_min, age_max, week_mask, free_week_mask) WHERE is_primary AND week_mask & 2064384 <> 0;

-- Rows stay whole: ranking reads the document of each match, and would look most of them up elsewhere.
ALTER TABLE marketplace_searchrow SET (toast_tuple_target = 4080);

-- A bulk load may switch the triggers off for its transaction and refresh once at its end.
CREATE FUNCTION marketplace_search_is_off() RETURNS boolean LANGUAGE sql STABLE
RETURN coalesce(current_setting('juniro.search', true), '') = 'off';

-- What parents must never see a moment too long, or too late: refreshed in the transaction that changes it.
CREATE FUNCTION marketplace_search_on_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE ids uuid[];
BEGIN
    IF marketplace_search_is_off() THEN RETURN NULL; END IF;
    EXECUTE format('SELECT array_agg(DISTINCT activity.id) FROM marketplace_activity AS activity %s', TG_ARGV[0])
    INTO ids;
    IF ids IS NOT NULL THEN PERFORM marketplace_search_refresh(ids); END IF;
    RETURN NULL;
END $$;

-- Seats and sessions change all the time, many at once: they are only noted here, and a worker follows within seconds.
CREATE FUNCTION marketplace_search_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF marketplace_search_is_off() THEN RETURN NULL; END IF;
    INSERT INTO marketplace_searchstale (activity_id) SELECT DISTINCT activity_id FROM changed;
    RETURN NULL;
END $$;

CREATE TRIGGER search_insert AFTER INSERT ON marketplace_activity REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION marketplace_search_on_change('JOIN changed ON changed.id = activity.id');
CREATE TRIGGER search_update AFTER UPDATE ON marketplace_activity REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION marketplace_search_on_change('JOIN changed ON changed.id = activity.id');

CREATE TRIGGER search_insert AFTER INSERT ON marketplace_offering REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION marketplace_search_on_change('JOIN changed ON changed.activity_id = activity.id');
CREATE TRIGGER search_update AFTER UPDATE ON marketplace_offering REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION marketplace_search_on_change('JOIN changed ON changed.activity_id = activity.id');
CREATE TRIGGER search_delete AFTER DELETE ON marketplace_offering REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION marketplace_search_on_change('JOIN changed ON changed.activity_id = activity.id');

CREATE TRIGGER search_update AFTER UPDATE ON providers_provideraccount REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION marketplace_search_on_change('JOIN changed ON changed.id = activity.provider_id');

CREATE TRIGGER search_insert AFTER INSERT ON providers_location REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION marketplace_search_on_change('JOIN changed ON changed.provider_id = activity.provider_id');
CREATE TRIGGER search_update AFTER UPDATE ON providers_location REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION marketplace_search_on_change('JOIN changed ON changed.provider_id = activity.provider_id');
CREATE TRIGGER search_delete AFTER DELETE ON providers_location REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION marketplace_search_on_change('JOIN changed ON changed.provider_id = activity.provider_id');

CREATE TRIGGER search_update AFTER UPDATE ON marketplace_category REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION marketplace_search_on_change(
    'WHERE activity.category_id IN (WITH RECURSIVE below AS (SELECT id FROM changed UNION SELECT child.id
     FROM marketplace_category AS child JOIN below ON child.parent_id = below.id) SELECT id FROM below)');

CREATE TRIGGER search_update AFTER UPDATE ON geography_city REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION marketplace_search_on_change(
    'JOIN providers_location AS location ON location.provider_id = activity.provider_id
     JOIN changed ON changed.id = location.city_id');
CREATE TRIGGER search_update AFTER UPDATE ON geography_locality REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION marketplace_search_on_change(
    'JOIN providers_location AS location ON location.provider_id = activity.provider_id
     JOIN changed ON changed.id = location.locality_id');
CREATE TRIGGER search_update AFTER UPDATE ON geography_country REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION marketplace_search_on_change(
    'JOIN providers_location AS location ON location.provider_id = activity.provider_id
     JOIN geography_city AS city ON city.id = location.city_id JOIN changed ON changed.id = city.country_id');

CREATE TRIGGER search_insert AFTER INSERT ON marketplace_session REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION marketplace_search_note();
CREATE TRIGGER search_update AFTER UPDATE ON marketplace_session REFERENCING NEW TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION marketplace_search_note();
CREATE TRIGGER search_delete AFTER DELETE ON marketplace_session REFERENCING OLD TABLE AS changed
FOR EACH STATEMENT EXECUTE FUNCTION marketplace_search_note();
