"""`make bench`: how fast the product is, beside what the machine could do and beside what one would write first.

Everything runs on servers of its own, which are removed at the end: a PostgreSQL with the settings in `servers.py`, the
embedded broker, WORKERS copies of each worker, web server, beat, and the simulator, which answers in 50 ms.

    ROWS=100000 ROUNDS=3 WORKERS=2          the whole path (`rounds.py`)
    GROWTH=10000,100000,1000000             sizes of file that are compared (`growth.py`); not set: those up to ROWS
    DASHBOARD_ROWS=1000000                  messages behind the screens (`dashboard.py`)
    NUMBERS=200000                          phone numbers in each of three lists (`numbers.py`)
    CALLS=2000 CLIENTS=8                    calls of each kind, by so many at a time (`api.py`)
    SAMPLE=500                              messages of the ordinary design
    BUCKET=100                              reports in one push: Infobip's default, its largest is 2000
    ONLY=path,growth,…                      some of the parts, in the order of PARTS in `options.py`

Prints a table and, as the last line, a JSON object; appends a JSON line for each figure to `bench.jsonl` and writes the
plot `bench.svg`, both in VAR_DIR. It measures and does not judge: the exit code is 1 only where a count was wrong or a
program failed.
"""

import os
import sys

import django

from smsapp.demo.client import DemoFailed
from smsapp.demo.display import say
from smsapp.demo.scratch import Scratch, scratch
from smsapp.runtime.supervisor import ProcessError, StopRequested, Supervisor, into_folder
from tests.benchmarks.options import Options, forget_outside, options_from
from tests.benchmarks.servers import Wrong, environment_of, postgresql_home, start_postgresql


def run(options: Options, own: Scratch, supervisor: Supervisor) -> None:
    """Django is set up on the run's own database, so that the benchmark reads what its processes write."""
    os.environ |= environment_of(own)
    django.setup()
    from tests.benchmarks import parts
    from tests.benchmarks.report import Report
    from tests.benchmarks.stand import Stand, versions

    report, stand = Report(options), Stand(supervisor, own, options)
    say("Starting PostgreSQL, broker, simulator, web server, workers and beat ...")
    stand.start()
    about = versions(stand)
    for name in options.only:
        say(f"Measuring {name} ...")
        report.add(parts.MEASURE[name](stand))
    report.add_memory(stand.memory.peak_mib)
    report.close(about)


def main() -> int:
    options = options_from(dict(os.environ))
    forget_outside()
    try:
        with postgresql_home() as home, scratch(options.folder, "", "", keep=options.keep) as own:
            if options.keep:
                (own.folder / "kept").touch()
                say(f"Logs and data: {own.folder}")
            with Supervisor(into_folder(own.folder / "logs")) as supervisor:
                own.database_url = start_postgresql(supervisor, home)
                run(options, own, supervisor)
    except StopRequested:
        print("Stopped; nothing is left running.", file=sys.stderr)
        return 130
    except (ProcessError, DemoFailed, Wrong) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
