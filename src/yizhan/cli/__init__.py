"""The command line, `yizhan`: one file per command; `main` puts them together and turns errors into exit codes.

Nothing heavy is imported before a command runs: `yizhan --help` loads no platform, SQL, HTTP or media library.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on `arguments` (the process's own if None) and return the exit code.

    0 sent (or done), 1 failed, 2 usage or refused input, 3 partly, 4 accepted but not finished, 5 unknown result.
    """
    from yizhan.cli.app import run_command

    return run_command(arguments)
