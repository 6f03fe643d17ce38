"""Prints the failed test cases with their messages and, last, `N passed, N failed[, N skipped]`.

usage: count_cases.py LOGS     LOGS is a build's meson-logs, of one `meson test`

Cases come from testlog.junit.xml. A program that failed without a failed case of its own (a crash, a time
limit, a sanitizer at exit) counts as one more failed case, and so does one that ran no case at all;
testlog.json knows those. Exit code 1 when a case failed or when there was none.
"""

import json
import os
import sys
import xml.etree.ElementTree as xml

FAILED = ("failure", "error")
SHOWN_LINES = 60


def read_cases(path):
    """[(program, case, outcome, message)]; Meson names a suite project.program[.suite]."""
    cases = []
    for suite in xml.parse(path).getroot().iter("testsuite"):
        for case in suite.findall("testcase"):
            problems = [child for child in case if child.tag in FAILED]
            skipped = case.find("skipped") is not None or case.get("status") == "notrun"
            outcome = "failed" if problems else "skipped" if skipped else "passed"
            # A program of one case is listed in the project's own suite, under its own name.
            parts = suite.get("name", "").split(".")
            program = parts[1] if len(parts) > 1 else case.get("name")
            name = case.get("name") if len(parts) == 1 else f"{case.get('classname')}.{case.get('name')}"
            message = "\n".join(filter(None, (child.text or child.get("message") for child in problems)))
            cases.append((program, name, outcome, message))
    return cases


def read_programs(path):
    """{program: (outcome, output)} of Meson's own verdicts."""
    programs = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            run = json.loads(line)
            name = run["name"].split(":")[-1].split(" / ")[-1]
            programs[name] = (run["result"], run.get("stdout", "") + run.get("stderr", ""))
    return programs


def report(program, name, message):
    lines = message.rstrip().splitlines()
    print(f"\nFAILED {program}: {name}")
    if len(lines) > SHOWN_LINES:
        print(f"    ... {len(lines) - SHOWN_LINES} lines before these")
    for line in lines[-SHOWN_LINES:]:
        print(f"    {line}")


def main(logs):
    cases = []
    programs = {}
    try:
        programs = read_programs(os.path.join(logs, "testlog.json"))
        cases = read_cases(os.path.join(logs, "testlog.junit.xml"))
    except (OSError, ValueError, xml.ParseError) as error:
        print(f"\nno whole test log: {error}")
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for program, name, outcome, message in cases:
        counts[outcome] += 1
        if outcome == "failed":
            report(program, name, message or programs.get(program, ("", ""))[1])
    for program, (result, output) in programs.items():
        outcomes = [outcome for owner, _, outcome, _ in cases if owner == program]
        if result in ("OK", "SKIP", "EXPECTEDFAIL"):
            if not outcomes:
                counts["failed"] += 1
                report(program, "ran no case", output)
        elif "failed" not in outcomes:
            counts["failed"] += 1
            report(program, f"ended with {result}", output)
    text = f"{counts['passed']} passed, {counts['failed']} failed"
    if counts["skipped"]:
        text += f", {counts['skipped']} skipped"
    print(f"\n{text}")
    return 1 if counts["failed"] or not sum(counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
