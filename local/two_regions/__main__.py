"""`make demo-regions`: the United States and India side by side on this machine, and a tour of what is between them.

Each region has its own database, Supabase project, processor, API, worker and beat; the global database and the global
Redis are shared. All of it lies in a folder of its own (`.local/two-regions`), on ports that are free, so that a
`make run` goes on undisturbed. The tour prints each HTTP exchange. After each step everything that must not know a
person is searched for them: exit code 1 if a step does not come out as it must, or somebody is found.
"""

import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import redis
import requests

from local.demo import DemoFailed, Site
from local.run import Group, Plan, RunError, free_port, wait_until_ready
from local.servers import NAMES, ServersError, ServerUrls, local_dir, recreate, running_servers
from local.two_regions.search import Search
from local.two_regions.tour import tour
from local.two_regions.world import Region, World

ACTIVITIES = 24


def environment(plan: Plan, peer: Plan, urls: ServerUrls) -> dict[str, str]:
    """One region's environment: whose tokens it recognises, where the other one is, and folders of its own."""
    auth = f"{peer.sandbox_url}/supabase/auth/v1"
    apis = {each.region: each.api_url for each in (plan, peer)}
    return (
        plan.environment()
        | urls.for_region(plan.region)
        | {
            "SUPABASE_PEER_ISSUERS": f"{auth}={auth}/.well-known/jwks.json",
            "REGION_API_URLS": f"us={apis['us']},in={apis['in']}",
            "EMAIL_URL": f"filemail:///{local_dir() / 'mail' / plan.region}",
            "STORAGE_URL": f"file://{local_dir() / 'media' / plan.region}",
            "LOG_LEVEL": "INFO",
        }
    )


@contextmanager
def world() -> Iterator[World]:
    """Both regions, empty but for the demo catalogue, ready to serve."""
    plans = {name: Plan(name, "127.0.0.1", free_port(), free_port(), ACTIVITIES) for name in ("us", "in")}
    with running_servers() as urls, ExitStack() as stack:
        regions = {}
        for plan, peer in ((plans["us"], plans["in"]), (plans["in"], plans["us"])):
            env = environment(plan, peer, urls)
            recreate(env["DATABASE_URL"])
            group = stack.enter_context(Group(env=env, log=local_dir() / "log" / plan.region))
            regions[plan.region] = Region(Site(plan.region, plan.api_url, plan.sandbox_url), env, group)
        both = World(us=regions["us"], india=regions["in"], folder=local_dir())
        recreate(both.global_url)
        redis.Redis.from_url(both.us.env["REDIS_URL"]).flushall()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(start, (both.us, both.india), plans.values()))
        yield both


def start(region: Region, plan: Plan) -> None:
    prepare = [sys.executable, "manage.py", "prepare_local", "--activities", str(plan.activities)]
    if region.group.finish("prepare", prepare):
        raise RunError(f"prepare_local failed{region.group.last_words('prepare')}")
    for name, command in plan.processes().items():
        region.group.start(name, command)
    wait_until_ready(region.group, f"{plan.api_url}/health/ready")


@contextmanager
def folder() -> Iterator[None]:
    """A folder of our own, emptied, but for the servers, which start faster where they have been."""
    os.environ["JUNIRO_LOCAL_DIR"] = str(local_dir() / "two-regions")
    for name in (*NAMES, "REGION", "PORT", "SANDBOX_PORT"):
        # They speak of one region, of a `make run` perhaps.
        os.environ.pop(name, None)
    local_dir().mkdir(parents=True, exist_ok=True)
    with (local_dir() / "demo.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunError("make demo-regions runs already") from None
        for name in ("log", "mail", "media"):
            shutil.rmtree(local_dir() / name, ignore_errors=True)
        for old in (*local_dir().glob("sandbox-*.sqlite*"), *local_dir().glob("beat-*")):
            old.unlink()
        for old in local_dir().glob("metrics-*"):
            shutil.rmtree(old, ignore_errors=True)
        yield


def run() -> int:
    started = time.monotonic()
    with folder(), world() as both:
        print(f"Both regions are up after {time.monotonic() - started:.0f} s:", flush=True)
        for region in both.regions:
            print(f"  {region.site.region}  API {region.site.api}  sandbox {region.site.sandbox}")
        try:
            tour(both, Search(both))
        except (DemoFailed, requests.RequestException) as error:
            print(f"\n\033[31mThe demo failed: {error}\033[0m\nLogs: {both.folder / 'log'}", file=sys.stderr)
            return 1
    print("\n\033[32mDone: two regions, and nobody's data left home.\033[0m")
    return 0


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        return run()
    except KeyboardInterrupt:
        return 130
    except (RunError, ServersError) as error:
        print(f"demo-regions: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
