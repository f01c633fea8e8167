"""The part of docs/privacy.md that the code itself knows best: which table holds what."""

import re
from collections.abc import Callable, Iterator

from django.db import models, router

from core.classification import Sensitivity, classified_models, sensitivities
from privacy.retention import RULES

PAGE = "docs/privacy.md"
# Every row has them.
LEFT_OUT = {"id", "created_at", "updated_at"}


def data_map() -> Iterator[str]:
    """A table of all tables with their columns by sensitivity, the personal ones first."""
    yield "| table | PII high | PII medium | operational | public |"
    yield "|---|---|---|---|---|"
    rows = [(model, by_sensitivity(model)) for model in classified_models() if not model._meta.auto_created]
    for model, names in sorted(rows, key=lambda row: (row[0]._meta.app_label, row[0].__name__)):
        place = " (global)" if router.db_for_read(model) == "global" else ""
        cells = " | ".join(names[each] or "–" for each in Sensitivity)
        yield f"| `{model._meta.label}`{place} | {cells} |"


def by_sensitivity(model: type[models.Model]) -> dict[Sensitivity, str]:
    said = {name: each for name, each in sensitivities(model).items() if name not in LEFT_OUT}
    return {each: " ".join(f"`{name}`" for name in said if said[name] is each) for each in Sensitivity}


def retention_table() -> Iterator[str]:
    """What is kept for how long, with the settings' values where nobody changed them."""
    yield "| what | where | how long | why | by |"
    yield "|---|---|---|---|---|"
    for rule in RULES:
        columns = " ".join(f"`{each}`" for each in rule.columns.split())
        how_long = f"{rule.how_long} (`{rule.setting}`)" if rule.setting else rule.how_long
        yield f"| {rule.what} | {columns} | {how_long} | {rule.why} | {f'`{rule.task}`' if rule.task else '–'} |"


PARTS: dict[str, Callable[[], Iterator[str]]] = {"data map": data_map, "retention": retention_table}


def up_to_date(page: str) -> str:
    """`page` with its generated parts written anew, each between `<!-- its name -->` and `<!-- end -->`."""
    for name, lines in PARTS.items():
        begin, end = f"<!-- {name} -->\n", "<!-- end -->"
        body = "\n".join(lines()).replace("\\", r"\\")
        page, found = re.subn(rf"({begin}).*?({end})", rf"\g<1>{body}\n\g<2>", page, flags=re.S)
        if found != 1:
            raise ValueError(f"{PAGE} has no place for the {name}.")
    return page
