"""The files of `report_dir`: their names and contents. Source: contract, section 3."""

from __future__ import annotations

import json

from sepurux_action.report.junit import junit_xml
from sepurux_action.report.report import Report
from sepurux_action.report.report_json import report_json

REPORT_JSON = "report.json"


def json_text(report: Report) -> str:
    """Return the text of `report.json`."""
    return json.dumps(report_json(report), indent=2, allow_nan=False) + "\n"


def report_files(report: Report, summary: str) -> dict[str, str]:
    """Return the text of each file by its name; `summary` is the job summary."""
    return {
        REPORT_JSON: json_text(report),
        "report.md": summary,
        "junit.xml": junit_xml(report).decode(),
    }
