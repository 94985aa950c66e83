"""A person at the terminal, scripted: reads what the manual driver prints and does it. `python person.py TINY`."""

import os
import subprocess
import sys

running = None
wanted: dict[str, str] = {}
service, stops = "", False


def end_it() -> None:
    if running is not None:
        running.terminate()
        running.wait(20)


for line in sys.stdin:
    words = line.split()
    if line.startswith(("  and set", "   ")):
        name, _, value = words[-1].partition("=")
        wanted[name] = value
    elif line.startswith("  env file"):
        wanted["FILE"] = words[-1]
    elif line.startswith("  waiting until"):
        end_it()
        running = None
        if not stops:
            with open(wanted.pop("FILE")) as file:
                env = dict(entry.strip().split("=", 1) for entry in file if entry.strip())
            command = [sys.executable, "-I", "-S", sys.argv[1], service]
            started = f"by-hand-{os.urandom(3).hex()}"
            running = subprocess.Popen(command, env={**env, **wanted, "UNIASSIST_INSTANCE": started})
        wanted = {}
    elif line[0] != " ":
        service, stops = words[0].rstrip(":"), words[1] == "stop"
end_it()
