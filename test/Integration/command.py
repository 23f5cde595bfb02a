"""A command of ours, and all that it says."""

import os
import subprocess


def command(*arguments, **environment):
    return subprocess.run(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        env={**os.environ, **environment},
    )
