"""Compiles one kernel file and keeps what ptxas says of it.

usage: compile.py LOG COMMAND...     LOG gets all that COMMAND prints; the terminal only what is no ptxas report
"""

import re
import subprocess
import sys

# What -Xptxas=-v prints for every function.
REPORT = re.compile(r"^ptxas info |^\s+\d+ bytes (stack frame|cumulative)|^\s*$")

log, *command = sys.argv[1:]
done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
with open(log, "w", encoding="utf-8") as file:
    file.write(done.stdout)
print("\n".join(line for line in done.stdout.splitlines() if not REPORT.match(line)), end="")
sys.exit(done.returncode)
