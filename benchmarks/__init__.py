"""One script for each claim in the README about speed."""
