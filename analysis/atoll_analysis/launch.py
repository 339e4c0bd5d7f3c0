# SPDX-License-Identifier: BSD-3-Clause
"""Starts a command of the analysis with an interpreter that has its packages, or says what is missing."""
import importlib
import importlib.util
import os
import sys

PACKAGES = {"h5py": "python3-h5py", "numpy": "python3-numpy", "matplotlib": "python3-matplotlib", "yaml": "python3-yaml"}
SYSTEM = "/usr/bin/python3"


def run(command):
    """Run main() of the module `command`; does not return.

    Another Python may stand first in PATH without the packages that the system's has: then the system's is tried once.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing and os.path.realpath(sys.executable) != os.path.realpath(SYSTEM) and os.access(SYSTEM, os.X_OK):
        os.execv(SYSTEM, [SYSTEM, *sys.argv])
    if missing:
        sys.exit(f"analysis/{command}: {sys.executable} lacks {', '.join(missing)} "
                 f"(Debian: apt-get install {' '.join(PACKAGES[m] for m in missing)})")
    sys.exit(importlib.import_module(f"atoll_analysis.{command}").main())
