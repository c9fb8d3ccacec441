"""What is measured, with the commands that measure it. Not part of the installed package, and not part of the tests."""
