"""Migration operations for what Django's models cannot say: cascades and triggers in the database itself."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from django.apps import apps as global_apps
from django.conf import settings
from django.db import router
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import RunPython, RunSQL
from django.db.models import Model

from core.classification import personal_columns

REPLACE_FOREIGN_KEY = """
DO $$
DECLARE found text; target text;
BEGIN
    SELECT constraint_row.conname, constraint_row.confrelid::regclass INTO STRICT found, target
    FROM pg_constraint AS constraint_row
    JOIN pg_attribute AS column_row
        ON column_row.attrelid = constraint_row.conrelid AND column_row.attnum = constraint_row.conkey[1]
    WHERE constraint_row.contype = 'f' AND cardinality(constraint_row.conkey) = 1
        AND constraint_row.conrelid = '{table}'::regclass AND column_row.attname = '{column}';
    EXECUTE format('ALTER TABLE {table} DROP CONSTRAINT %I', found);
    EXECUTE format(
        'ALTER TABLE {table} ADD CONSTRAINT %I FOREIGN KEY ({column}) REFERENCES %s (id) {action} '
        'DEFERRABLE INITIALLY DEFERRED', found, target);
END $$
"""


class CascadeInDatabase(RunSQL):
    """Makes the database itself delete the rows of `table` with the row that `column` points to.

    Django only does so for rows that it deletes itself; the data model asks for it whoever deletes (Cascade Deletes).
    """

    def __init__(self, table: str, column: str):
        self.table, self.column = table, column
        super().__init__(
            REPLACE_FOREIGN_KEY.format(table=table, column=column, action="ON DELETE CASCADE"),
            REPLACE_FOREIGN_KEY.format(table=table, column=column, action=""),
        )

    def database_forwards(self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, *states: Any) -> None:
        if router.allow_migrate(schema_editor.connection.alias, app_label):
            # Django adds the foreign keys of a new table at the migration's end; this must come after them.
            schema_editor.deferred_sql.append(self.sql)

    def deconstruct(self) -> tuple[str, list, dict]:
        return self.__class__.__name__, [], {"table": self.table, "column": self.column}


class AppendOnly(RunSQL):
    """Triggers that refuse to change a row of `table`, and to delete one for which the condition `kept` holds."""

    def __init__(self, table: str, kept: str):
        self.table, self.kept = table, kept
        super().__init__(
            f"""
            CREATE FUNCTION {table}_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF TG_OP = 'DELETE' AND NOT ({kept}) THEN
                    RETURN OLD;
                END IF;
                RAISE EXCEPTION '{table} is append-only' USING ERRCODE = 'integrity_constraint_violation';
            END $$;
            CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW
            EXECUTE FUNCTION {table}_is_append_only();
            """,
            f"DROP TRIGGER {table}_append_only ON {table}; DROP FUNCTION {table}_is_append_only();",
        )

    def deconstruct(self) -> tuple[str, list, dict]:
        return self.__class__.__name__, [], {"table": self.table, "kept": self.kept}


class ImmutableColumn(RunSQL):
    """A trigger that refuses to change `column` of `table` once the row is there."""

    def __init__(self, table: str, column: str):
        self.table, self.column = table, column
        super().__init__(
            f"""
            CREATE FUNCTION {table}_{column}_is_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION '{table}.{column} cannot be changed' USING ERRCODE = 'integrity_constraint_violation';
            END $$;
            CREATE TRIGGER {table}_{column}_immutable BEFORE UPDATE ON {table} FOR EACH ROW
            WHEN (OLD.{column} IS DISTINCT FROM NEW.{column})
            EXECUTE FUNCTION {table}_{column}_is_immutable();
            """,
            f"DROP TRIGGER {table}_{column}_immutable ON {table}; DROP FUNCTION {table}_{column}_is_immutable();",
        )

    def deconstruct(self) -> tuple[str, list, dict]:
        return self.__class__.__name__, [], {"table": self.table, "column": self.column}


class SeedGroups(RunPython):
    """Gives each group of staff exactly the rights that `juniro/groups.py` says by now; doing it again is no harm.

    Django makes permissions only after the last migration, so what is missing is made here, as Django would name it.
    """

    def __init__(self) -> None:
        super().__init__(seed_groups, RunPython.noop)

    def deconstruct(self) -> tuple[str, list, dict]:
        return self.__class__.__name__, [], {}


def seed_groups(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    table = import_module(settings.STAFF_GROUPS)
    types, permissions = apps.get_model("contenttypes", "ContentType"), apps.get_model("auth", "Permission")
    for name in table.GROUPS:
        group, _ = apps.get_model("auth", "Group").objects.get_or_create(name=name)
        rights = []
        for app, model, codename in table.rights_of(name):
            content_type, _ = types.objects.get_or_create(app_label=app, model=model)
            named = {"name": f"Can {codename.replace('_', ' ')}"}
            rights.append(
                permissions.objects.get_or_create(content_type=content_type, codename=codename, defaults=named)[0]
            )
        group.permissions.set(rights)


AUDIT_FUNCTION = """
CREATE OR REPLACE FUNCTION {table}_note() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    model CONSTANT text := TG_ARGV[0];
    key CONSTANT text := TG_ARGV[1];
    personal CONSTANT text[] := TG_ARGV[2];
    skipped CONSTANT text[] := TG_ARGV[3];
    said CONSTANT jsonb := coalesce(nullif(current_setting('juniro.context', true), ''), '{{}}');
    old_row jsonb := '{{}}';
    new_row jsonb := '{{}}';
    changes jsonb;
BEGIN
    IF TG_OP <> 'INSERT' THEN old_row := to_jsonb(OLD); END IF;
    IF TG_OP <> 'DELETE' THEN new_row := to_jsonb(NEW); END IF;
    SELECT jsonb_object_agg(name, CASE WHEN name = ANY (personal) THEN 'null'
        ELSE jsonb_build_array(old_row -> name, new_row -> name) END)
    INTO changes FROM jsonb_object_keys(old_row || new_row) AS name
    WHERE name <> ALL (skipped) AND coalesce(old_row -> name, 'null') <> coalesce(new_row -> name, 'null');
    IF changes IS NOT NULL THEN
        INSERT INTO {table} (model, object_id, action, changes, actor_id, region, request_id, source)
        VALUES (model, (old_row || new_row) ->> key,
            CASE TG_OP WHEN 'INSERT' THEN 'created' WHEN 'UPDATE' THEN 'changed' ELSE 'deleted' END,
            changes, (said ->> 'actor')::uuid, coalesce(said ->> 'region', ''),
            left(coalesce(said ->> 'request', ''), 128), left(coalesce(said ->> 'source', ''), 200));
    END IF;
    RETURN NULL;
END $$
"""
# Named to run last: what other triggers do to the row is done by then.
AUDIT_TRIGGERS = """
CREATE OR REPLACE TRIGGER zz_audit_{name} AFTER {event} ON {audited} FOR EACH ROW {when}
EXECUTE FUNCTION {table}_note('{label}', '{key}', '{personal}', '{skipped}')
"""


class InstallAudit(RunPython):
    """Has the database follow the tables of `juniro/audited.py`, as it is by now; doing it again is no harm.

    A table that a later migration makes is left to another operation after it.
    """

    def __init__(self) -> None:
        super().__init__(install_audit, RunPython.noop)

    def deconstruct(self) -> tuple[str, list, dict]:
        return self.__class__.__name__, [], {}


def install_audit(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    alias = schema_editor.connection.alias
    table = "regions_sharedauditentry" if alias == "global" else "core_auditentry"
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(AUDIT_FUNCTION.format(table=table))
        there = set(schema_editor.connection.introspection.table_names(cursor))
        # Triggers of tables that are followed no longer.
        cursor.execute("SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE tgname LIKE 'zz\\_audit\\_%'")
        for audited, name in cursor.fetchall():
            cursor.execute(f"DROP TRIGGER {name} ON {audited}")
        for label, how in import_module(settings.AUDITED).AUDITED.items():
            model = global_apps.get_model(label)
            if router.db_for_write(model) != alias or model._meta.db_table not in there:
                continue
            for statement in audit_triggers(model, how, table=table):
                cursor.execute(statement)


def audit_triggers(model: type[Model], how: dict[str, str], *, table: str) -> Iterator[str]:
    personal = [str(field.column) for field in model._meta.concrete_fields if field.name in personal_columns(model)]
    skipped = [how.get("key", "id"), "id", "created_at", "updated_at", *how.get("skip", "").split()]
    skipped += how.get("counters", "").split()
    counters = [f"OLD.{name} IS NOT DISTINCT FROM NEW.{name}" for name in how.get("counters", "").split()]
    events = {
        "UPDATE": " AND ".join(["OLD.* IS DISTINCT FROM NEW.*", *counters]),
        "DELETE": "true",
        "INSERT": how.get("created"),
    }
    for event, when in events.items():
        if when:
            yield AUDIT_TRIGGERS.format(
                name=event.lower(),
                event=event,
                audited=model._meta.db_table,
                when=f"WHEN ({when})",
                table=table,
                label=model._meta.label,
                key=how.get("key", "id"),
                personal="{" + ",".join(personal) + "}",
                skipped="{" + ",".join(skipped) + "}",
            )
