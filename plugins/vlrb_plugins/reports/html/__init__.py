"""The report of a run as a page of HTML, with its figures as files."""
