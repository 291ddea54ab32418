#!/usr/bin/env python3
"""usage: lint.py [CHECK...]   runs the checks named, or all; exit code 1 if there is a finding"""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from rules import RULES  # noqa: E402
from source import files_of  # noqa: E402
from tools import TOOLS  # noqa: E402

CHECKS = {**RULES, **TOOLS}


def main(names):
    unknown = set(names) - set(CHECKS)
    if unknown:
        print(f"no check {', '.join(sorted(unknown))}; there are: {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    files = files_of(root)
    count = 0
    for name in names or CHECKS:
        began = time.monotonic()
        findings = CHECKS[name](root, files)
        for finding in findings:
            print(f"{finding} [{name}]")
        print(f"lint: {name}: {len(findings) or 'no'} findings in {time.monotonic() - began:.1f} s", flush=True)
        count += len(findings)
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
