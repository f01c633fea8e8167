"""`make demo-regions` as a process: two whole regions with servers of their own, and the search for people in both."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

CHECKOUT = Path(__file__).resolve().parents[2]

STEPS = (
    "neither database has a new row",
    "an app learns where to go instead",
    "refused with REGION_MISMATCH",
    "prices of India are in INR",
    "prices of the United States are in USD",
    "refused with CROSS_REGION_BOOKING",
    "refused with SLUG_TAKEN",
    "the United States sees it after",
    "India sees it after",
    "India reads DEMO_REGIONS = [1, 2, 3]",
    "the verified webhook made it paid and confirmed",
    "the global database knows: us, ",
    "the global database knows: in, ",
    "everything they said is in it",
    "and nothing about anybody else",
    "refused with INVALID_TOKEN",
    "what was over stays in the books, what lay ahead is cancelled",
    "the receipt says that Supabase's user is gone, too",
)
PLACES = ("the global database", "the other region's database", "a log", "the other region's mail", "Redis")


def test_two_regions_on_one_machine_and_nobody_leaves_home():
    # Not pytest's tmp_path: root's PostgreSQL runs under another account, which that is closed to.
    with tempfile.TemporaryDirectory(prefix="juniro-") as folder:
        Path(folder).chmod(0o755)
        demo = subprocess.run(
            [sys.executable, "-m", "local.two_regions"],
            check=False,
            cwd=CHECKOUT,
            env=os.environ | {"JUNIRO_LOCAL_DIR": folder},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert demo.returncode == 0, f"{demo.stdout[-3000:]}\n{demo.stderr}"
        told = [line.removeprefix("   ✓ ") for line in demo.stdout.splitlines() if line.startswith("   ✓ ")]
        assert [step for step in STEPS if not any(line.startswith(step) for line in told)] == []
        # Everything of both was searched, before the erasures and after, and the search is not blind.
        looks = [line for line in told if line.endswith("everybody is at home, and nowhere else")]
        assert len(looks) == 2
        for look in looks:
            found = {what: int(count) for count, what in re.findall(r"(\d+) × ([a-zA-Z ]+)", look)}
            assert (found["database"], found["global database"]) == (2, 1)
            assert found["Redis dump"] >= 3
            assert found["log"] >= 10
            assert min(found["mail of the United States"], found["mail of India"]) >= 5
        assert [place for place in PLACES if not any(line.startswith(f"{place}: ") for line in told)] == []
        assert [each.name() for each in psutil.process_iter() if works_in(each, folder)] == []


def works_in(process: psutil.Process, folder: str) -> bool:
    try:
        return process.cwd().startswith(folder)
    except psutil.Error:
        return False
