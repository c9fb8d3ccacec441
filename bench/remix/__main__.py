"""`python -m bench.remix`."""

from bench.remix.measure import main

if __name__ == "__main__":
    main()
