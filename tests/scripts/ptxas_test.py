"""Holds every CUDA kernel to what its speed rests on: registers that do not spill, and matrix products that run on
while the next instructions are issued.

usage: ptxas_test.py LOG...     what ptxas -v said, one file a source
"""

import re
import sys
import unittest

# Without products that run on by themselves, a saved register costs a load from the first cache. These are held to what
# they have.
SPILLED_BYTES_OF = {"channel_prepareI6__half": 24, "channel_adjointsI6__half": 44}
SPILLED_BYTES = 16  # a few saved scalars are no harm; reloads count them again at each place

# wgmma instructions that ptxas makes wait for each other.
SERIALISED = re.compile(r"\(C75(12|14|20)\)|wgmma.*serializ", re.IGNORECASE)
KERNEL = re.compile(r"Compiling entry function '(\w+)'")
SPILLS = re.compile(r"(\d+) bytes spill stores")


def allowed(kernel):
    """Bytes that `kernel` may spill."""
    return max([SPILLED_BYTES] + [most for name, most in SPILLED_BYTES_OF.items() if name in kernel])


def faults(text):
    """What is wrong with the kernels that `text` reports on, a line each."""
    found, kernel = [], "?"
    for line in text.splitlines():
        if named := KERNEL.search(line):
            kernel = named.group(1)
        spilled = SPILLS.search(line)
        if spilled and int(spilled.group(1)) > allowed(kernel):
            found.append(f"{kernel}: {line.strip()}")
        if SERIALISED.search(line):
            found.append(line.strip())
    return found


class Faults(unittest.TestCase):
    REPORT = ("ptxas info    : Compiling entry function '_Z4scan' for 'sm_90a'\n"
              "ptxas info    : Function properties for _Z4scan\n"
              "    {0} bytes stack frame, {0} bytes spill stores, {0} bytes spill loads\n")

    def test_spills_are_found_by_kernel(self):
        self.assertEqual(faults(self.REPORT.format(16)), [])
        self.assertEqual(len(faults(self.REPORT.format(24))), 1)
        self.assertIn("_Z4scan", faults(self.REPORT.format(24))[0])

    def test_serialised_products_are_found(self):
        self.assertTrue(faults("ptxas info : (C7514) Potential Performance Loss: wgmma.mma_async instructions are "
                               "serialized due to ill formed pipeline stage in function '_Z4scan'\n"))

    def test_the_kernels_of_this_build(self):
        for log in LOGS:
            with self.subTest(log), open(log, encoding="utf-8") as file:
                text = file.read()
                self.assertIn("Compiling entry function", text)
                self.assertEqual(faults(text), [])


LOGS = sys.argv[1:]
if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
