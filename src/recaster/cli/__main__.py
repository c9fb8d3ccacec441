"""Lets `python -m recaster.cli` do what `recaster` does."""

from recaster.cli import main

if __name__ == "__main__":
    main()
