"""`python -m benchmarks [SIZE…]` or `make bench SIZES=1000,20000`: tables of ratios; no verdict.

SIZES (default 1000,20000,200000), ROUNDS (5) and ROUND_SECONDS (2); ONLY=load,crowd,layers,trips,growth,writes,booking.
"""

import os
import sys

from benchmarks import databases

PARTS = ("load", "crowd", "layers", "trips", "growth", "writes", "booking")


def main(arguments: list[str]) -> None:
    if not databases.SERVER:
        raise SystemExit("DATABASE_URL is not set: use `make bench`, which starts the servers")
    sizes = sorted(int(size) for size in arguments or os.environ.get("SIZES", "1000,20000,200000").split(","))
    parts = os.environ.get("ONLY", ",".join(PARTS)).split(",")
    often, seconds = int(os.environ.get("ROUNDS", "5")), float(os.environ.get("ROUND_SECONDS", "2"))
    for size in sizes:
        databases.prepare(size)
    set_up(sizes[0])

    # Only now, for they need Django.
    from benchmarks import booking, growth, layers, mix, rounds, servers, writes  # noqa: PLC0415

    if "load" in parts:
        title(f"Load: {rounds.CONNECTIONS} connections, medians of {often} interleaved rounds of {seconds:g} s, ms")
        lines = [rounds.HEAD]
        for size in sizes:
            mix.use(size)
            for scenario in mix.SCENARIOS:
                progress(f"{size:,} {scenario}")
                lines += rounds.report(size, scenario, rounds=often, seconds=seconds)
        table(lines)
    if "crowd" in parts:
        title("Ten times the connections, list, ms")
        lines = [["size", "connections", "req/s", "p50", "p95", "p99"]]
        for size in sizes:
            mix.use(size)
            progress(f"{size:,}")
            lines += rounds.crowd(size, rounds=often, seconds=seconds)
        table(lines)
    if "layers" in parts:
        title("Where the application's time goes")
        mix.use(sizes[0])
        table([layers.HEAD, *layers.report()])
    if "trips" in parts:
        title("Round trips to PostgreSQL for each request, counted on the wire")
        mix.use(sizes[0])
        for scenario in mix.SCENARIOS:
            print(f"{scenario:<14}{servers.trips_of(sizes[0], mix.targets(scenario)):.2f}")
    if "growth" in parts:
        title("Growth: execution time in the database")
        head, lines = growth.report(sizes)
        table([head, *lines])
    if "writes" in parts:
        title(f"Keeping the search row current, at {sizes[-1]:,} activities")
        table([writes.HEAD, *writes.report(sizes[-1])])
    if "booking" in parts:
        title(f"Booking: medians of {often} interleaved rounds of {seconds:g} s")
        table([booking.HEAD, *booking.report(sizes[0], rounds=often, seconds=seconds)])


def set_up(size: int) -> None:
    """Django in this process, on the benchmark's databases."""
    os.environ.update(databases.environment(size) | {"DJANGO_SETTINGS_MODULE": "juniro.settings"})
    import django  # noqa: PLC0415

    django.setup()


def title(text: str) -> None:
    progress("")
    print(f"\n{text}\n", flush=True)


def progress(text: str) -> None:
    """What is being measured, on one line that is overwritten; on a screen only."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def table(lines: list[list[str]]) -> None:
    progress("")
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        cells = (
            cell.ljust(width) if column < 1 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join(cells).rstrip(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
