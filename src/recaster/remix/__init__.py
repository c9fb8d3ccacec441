"""The only place that knows the order of the work: fetch, analyse, adapt, render, verify, publish."""
