#!/usr/bin/env python3
"""The report of 500 runs and 2 million metric rows: usage: limits_test.py MDNLAB

Prints what it took. It fails above 3 MiB, and above times that leave room for a busy machine: 4 times the
promised 5 s of a report, 5 times the promised 0.2 s of `query leaderboard`.
"""
import pathlib
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20


def seconds(*words):
    started = time.monotonic()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - started


def main():
    mdnlab = sys.argv[1]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        database, page = folder / 'large.db', folder / 'large.html'
        make = pathlib.Path(__file__).resolve().parent / 'make_database.py'
        subprocess.run([sys.executable, make, database, '--runs', '500', '--metrics', '2000000'], check=True)
        report = seconds(mdnlab, 'report', '--db', database, '-o', page)
        leaderboard = min(seconds(mdnlab, 'query', 'leaderboard', '--db', database) for _ in range(3))
        size = page.stat().st_size
    print(f'report {report:.2f} s, {size / MIB:.2f} MiB; query leaderboard {leaderboard:.3f} s')
    return 0 if size < 3 * MIB and report < 20 and leaderboard < 1 else 1


if __name__ == '__main__':
    sys.exit(main())
