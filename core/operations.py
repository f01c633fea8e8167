"""Migration operations for what Django's models cannot say: cascades and triggers in the database itself."""

from typing import Any

from django.db import router
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import RunSQL

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
