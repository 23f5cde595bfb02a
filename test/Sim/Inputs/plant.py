"""Plants a fault in a kernel that is right.

    plant.py NAME FILE

Prints the file without the lines that end in `// NAME`, among other names, and
with the code of those that start with `// NAME: `. A name that is not in the file
is an error.
"""

import sys
from pathlib import Path


def main(name, path):
    lines, planted = [], 0
    for line in Path(path).read_text().splitlines():
        if f" // {name} " in line.rstrip() + " ":
            planted += 1
            line = ""
        elif line.lstrip().startswith(f"// {name}: "):
            planted += 1
            line = line.replace(f"// {name}: ", "", 1)
        lines.append(line)
    if not planted:
        sys.exit(f"{path} has no fault '{name}'")
    print("\n".join(lines))


main(*sys.argv[1:])
