"""Figures, HTML and Markdown: what a study found, for people."""

from netsim.report.build import answer_of, render_html, render_markdown, write_report
from netsim.report.frame import write_interval, write_value
from netsim.report.result import Result
from netsim.report.tables import summary_rows

__all__ = [
    "Result",
    "answer_of",
    "render_html",
    "render_markdown",
    "summary_rows",
    "write_interval",
    "write_report",
    "write_value",
]
