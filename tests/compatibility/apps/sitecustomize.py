"""Python imports this module instead of the one in tests/apps: warnings of third-party libraries are no errors here."""
