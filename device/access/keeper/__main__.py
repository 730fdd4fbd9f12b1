"""`python -m device.access.keeper SETTINGS`: hold the lock's pin for the daemon at the other end of stdin and stdout.

`python -m device.access.keeper --rest FILE` only puts the pin to rest, by the settings that the daemon has left in the
file: for systemd's ExecStopPost=.
"""

from __future__ import annotations

import sys
from pathlib import Path

from device.access.keeper.process import rest, run
from device.access.keeper.settings import KeeperSettings


def main(arguments: list[str]) -> int:
    """Returns the exit code: 0 ok, 1 the machine failed, 2 usage."""
    try:
        if len(arguments) == 2 and arguments[0] == "--rest":
            return rest(KeeperSettings.from_json(Path(arguments[1]).read_text()))
        if len(arguments) == 1:
            return run(KeeperSettings.from_json(arguments[0]))
    except (ValueError, OSError) as error:
        print(f"keeper: {error}", file=sys.stderr)
        return 2
    print(__doc__, file=sys.stderr)
    return 2


sys.exit(main(sys.argv[1:]))
