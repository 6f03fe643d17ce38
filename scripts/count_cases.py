"""Prints the failed test cases with their messages and, last, `N passed, N failed[, N skipped]`.

usage: count_cases.py LOGS     LOGS is a build's meson-logs, of one `meson test`

Cases come from testlog.junit.xml. A program that failed without a failed case of its own (a crash, a time
limit, a sanitizer at exit) counts as one more failed case, and so does one that ran no case at all;
testlog.json knows those. Exit code 1 when a case failed or when there was none.
"""

import collections
import json
import os
import sys
import xml.etree.ElementTree as xml

Case = collections.namedtuple("Case", "program name outcome message")
Program = collections.namedtuple("Program", "result failed output")

SHOWN_LINES = 60


def read_programs(path):
    """{name: Program}, Meson's own verdicts."""
    programs = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            run = json.loads(line)
            output = run.get("stdout", "") + run.get("stderr", "")
            programs[run["name"]] = Program(run["result"], run["is_fail"], output)
    return programs


def read_cases(path, programs):
    """Meson names a suite `project.program[.suite]`; programs of one case share the suite `project`."""
    cases = []
    for suite in xml.parse(path).getroot().iter("testsuite"):
        _, _, rest = suite.get("name", "").partition(".")
        owners = [program for program in programs if f"{rest}.".startswith(f"{program}.")]
        for case in suite.findall("testcase"):
            name = case.get("name")
            program = max(owners, key=len) if owners else name
            problems = [child for child in case if child.tag in ("failure", "error")]
            skipped = case.find("skipped") is not None or case.get("status") == "notrun"
            outcome = "failed" if problems else "skipped" if skipped else "passed"
            message = "\n".join(child.text or child.get("message") or "" for child in problems)
            cases.append(Case(program, f"{case.get('classname')}.{name}" if owners else name, outcome, message))
    return cases


def count(programs, cases):
    """The cases by outcome, and [(program, name, message)] of what failed."""
    counts = collections.Counter(case.outcome for case in cases)
    outcomes = collections.defaultdict(set)
    for case in cases:
        outcomes[case.program].add(case.outcome)
    failures = [(case.program, case.name, case.message.strip() or programs[case.program].output)
                for case in cases if case.outcome == "failed"]
    for name, program in programs.items():
        if program.failed and "failed" not in outcomes[name]:
            failures.append((name, f"the program itself: {program.result}", program.output))
        elif not program.failed and not outcomes[name]:
            failures.append((name, "the program ran no case", program.output))
    counts["failed"] = len(failures)
    return counts, failures


def show(program, name, message):
    lines = message.rstrip().splitlines()
    print(f"\nFAILED {program}: {name}" if name != program else f"\nFAILED {program}")
    if len(lines) > SHOWN_LINES:
        print(f"    ({len(lines) - SHOWN_LINES} lines before these)")
    for line in lines[-SHOWN_LINES:]:
        print(f"    {line}")


def main(logs):
    counts, failures = collections.Counter(), []
    try:
        programs = read_programs(os.path.join(logs, "testlog.json"))
        counts, failures = count(programs, read_cases(os.path.join(logs, "testlog.junit.xml"), programs))
    except (OSError, ValueError, xml.ParseError) as error:
        print(f"\nno whole test log: {error}")
    for failure in failures:
        show(*failure)
    skipped = f", {counts['skipped']} skipped" if counts["skipped"] else ""
    print(f"\n{counts['passed']} passed, {counts['failed']} failed{skipped}")
    return 0 if sum(counts.values()) and not failures else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
