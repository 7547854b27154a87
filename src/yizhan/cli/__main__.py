"""`python -m yizhan.cli`: the command line without its script."""

from yizhan.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
