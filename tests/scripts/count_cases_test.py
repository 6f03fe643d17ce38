"""The last line of scripts/test: right counts, and no way to pass without having run."""

import contextlib
import importlib.util
import io
import json
import os
import tempfile
import unittest

SOURCE = os.environ["MDNLAB_SOURCE"]
spec = importlib.util.spec_from_file_location("count_cases", os.path.join(SOURCE, "scripts", "count_cases.py"))
count_cases = importlib.util.module_from_spec(spec)
spec.loader.exec_module(count_cases)

TWO_PASS = '<testcase name="one" classname="A" status="run"/><testcase name="two" classname="A" status="run"/>'
ONE_FAILS = '<testcase name="bad" classname="A"><failure message="short">file.cc:3&#10;1 is not 2</failure></testcase>'
SKIPPED = '<testcase name="gpu" classname="A"><skipped message="no GPU"/></testcase>'
DISABLED = '<testcase name="off" classname="A" status="notrun"/>'


def program(name, result="OK", failed=False, output=""):
    return json.dumps({"name": f"mdnlab:{name}", "result": result, "is_fail": failed, "stdout": output})


def suite(name, cases):
    return f'<testsuite name="mdnlab.mdnlab:{name}">{cases}</testsuite>'


class CountCases(unittest.TestCase):
    def count(self, programs, suites):
        """(exit code, last line, everything printed); None leaves a log out."""
        printed = io.StringIO()
        with tempfile.TemporaryDirectory() as logs:
            if programs is not None:
                with open(os.path.join(logs, "testlog.json"), "w") as file:
                    file.write("\n".join(programs))
            if suites is not None:
                with open(os.path.join(logs, "testlog.junit.xml"), "w") as file:
                    file.write(suites if isinstance(suites, str) else f"<testsuites>{''.join(suites)}</testsuites>")
            with contextlib.redirect_stdout(printed):
                code = count_cases.main(logs)
        return code, printed.getvalue().splitlines()[-1], printed.getvalue()

    def expect(self, code, last_line, programs, suites, *shown):
        found_code, found_line, printed = self.count(programs, suites)
        self.assertEqual((found_code, found_line), (code, last_line))
        for text in shown:
            self.assertIn(text, printed)

    def test_passing_cases_of_several_programs(self):
        self.expect(0, "4 passed, 0 failed", [program("a"), program("b")],
                    [suite("a.A", TWO_PASS), suite("b.A", TWO_PASS)])

    def test_a_failed_case_is_shown_with_its_message(self):
        self.expect(1, "2 passed, 1 failed", [program("a", "FAIL", True)], [suite("a.A", TWO_PASS + ONE_FAILS)],
                    "FAILED mdnlab:a: A.bad\n    file.cc:3\n    1 is not 2\n")

    def test_skipped_and_disabled_cases(self):
        self.expect(0, "2 passed, 0 failed, 2 skipped", [program("a")], [suite("a.A", TWO_PASS + SKIPPED + DISABLED)])

    def test_a_program_without_cases_is_one_case(self):
        shared = '<testsuite name="mdnlab"><testcase name="mdnlab:x" classname="mdnlab"/></testsuite>'
        self.expect(0, "1 passed, 0 failed", [program("x")], [shared])

    def test_a_program_skipped_as_a_whole(self):
        shared = '<testsuite name="mdnlab"><testcase name="mdnlab:x" classname="mdnlab"><skipped/></testcase></testsuite>'
        self.expect(0, "0 passed, 0 failed, 1 skipped", [program("x", "SKIP")], [shared])

    def test_a_crash_counts_once_and_shows_the_output(self):
        shared = '<testsuite name="mdnlab"><testcase name="mdnlab:x" classname="mdnlab"><error/></testcase></testsuite>'
        self.expect(1, "0 passed, 1 failed", [program("x", "ERROR", True, "Segmentation fault")], [shared],
                    "FAILED mdnlab:x\n    Segmentation fault")

    def test_a_failure_after_the_last_case(self):
        self.expect(1, "2 passed, 1 failed", [program("a", "FAIL", True, "LeakSanitizer")], [suite("a.A", TWO_PASS)],
                    "FAILED mdnlab:a: the program itself: FAIL\n    LeakSanitizer")

    def test_a_program_that_ran_no_case_fails(self):
        self.expect(1, "2 passed, 1 failed", [program("a"), program("b")], [suite("a.A", TWO_PASS)],
                    "FAILED mdnlab:b: the program ran no case")

    def test_a_name_that_begins_another_name(self):
        self.expect(1, "2 passed, 1 failed", [program("a"), program("a.b")], [suite("a.b.A", TWO_PASS)],
                    "FAILED mdnlab:a: the program ran no case")

    def test_nothing_run_is_a_failure(self):
        self.expect(1, "0 passed, 0 failed", [], [])

    def test_missing_or_cut_logs_are_a_failure(self):
        self.expect(1, "0 passed, 0 failed", None, None, "no whole test log")
        self.expect(1, "0 passed, 0 failed", [program("a")], None, "no whole test log")
        self.expect(1, "0 passed, 0 failed", [program("a")], "<testsuites><testsuite", "no whole test log")

    def test_a_long_message_shows_its_end(self):
        output = "\n".join(f"line {i}" for i in range(100))
        self.expect(1, "2 passed, 1 failed", [program("a", "FAIL", True, output)], [suite("a.A", TWO_PASS)],
                    "(40 lines before these)\n    line 40\n", "line 99")


if __name__ == "__main__":
    unittest.main()
