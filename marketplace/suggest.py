"""Completing what a parent begins to type: activities, categories, providers and cities, in one statement."""

from marketplace.reading import fetch

# Each kind looks at 200 candidates at most, so that one letter costs no more than a word.
SUGGESTIONS = """
WITH RECURSIVE open_category AS (
    SELECT id, name, slug FROM marketplace_category WHERE parent_id IS NULL AND is_active
    UNION ALL SELECT child.id, child.name, child.slug
    FROM marketplace_category AS child JOIN open_category AS above ON above.id = child.parent_id AND child.is_active
),
typed AS (
    SELECT folded.start, to_tsquery('simple', folded.quoted || ':*A') AS in_title,
        to_tsquery('simple', folded.quoted || ':*B') AS in_names
    FROM (SELECT marketplace_fold(%(q)s::text) AS start,
        -- to_tsquery refuses empty quotes, and what quote_literal makes of a backslash.
        quote_literal(replace(marketplace_fold(%(q)s::text), chr(92), ' ') || ' ') AS quoted) AS folded
)
SELECT json_build_object(
    'activities', (SELECT coalesce(json_agg(found), '[]') FROM (
        SELECT DISTINCT ON (near.title) near.title, near.slug FROM (
            SELECT row.title, row.card::json ->> 'slug' AS slug FROM marketplace_searchrow AS row, typed
            WHERE row.document @@ typed.in_title AND row.is_primary LIMIT 200) AS near
        ORDER BY near.title, near.slug LIMIT 5) AS found),
    'categories', (SELECT coalesce(json_agg(found), '[]') FROM (
        SELECT category.name, category.slug FROM open_category AS category, typed
        WHERE {category} ORDER BY category.name LIMIT 5) AS found),
    'providers', (SELECT coalesce(json_agg(found), '[]') FROM (
        SELECT DISTINCT provider.business_name AS "businessName", provider.slug FROM (
            SELECT row.provider_slug FROM marketplace_searchrow AS row, typed
            WHERE row.document @@ typed.in_names AND row.is_primary LIMIT 200) AS near
        JOIN providers_provideraccount AS provider ON provider.slug = near.provider_slug, typed
        WHERE {provider} ORDER BY provider.business_name, provider.slug LIMIT 5) AS found),
    'cities', (SELECT coalesce(json_agg(found), '[]') FROM (
        SELECT city.name, city.slug FROM geography_city AS city
        JOIN geography_country AS country ON country.id = city.country_id AND country.is_active, typed
        WHERE city.is_active AND {city} ORDER BY city.population DESC NULLS LAST, city.name LIMIT 5) AS found)
)::text
"""
# Any word of the name may begin so.
BEGINS = "position(' ' || typed.start IN ' ' || marketplace_fold({column})) > 0"


def suggest(text: str) -> str:
    """Completions of `text` as JSON: up to five of each kind."""
    statement = SUGGESTIONS.format(
        category=BEGINS.format(column="category.name"),
        provider=BEGINS.format(column="provider.business_name"),
        city=BEGINS.format(column="city.name"),
    )
    [(found,)] = fetch(statement, {"q": text})
    return found
