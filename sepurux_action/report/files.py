"""The files of `report_dir`: their names and contents.

Source: https://github.com/sepurux/gate-action/blob/main/docs/report-files.md
"""

from __future__ import annotations

import json

from sepurux_action.report.junit import junit_xml
from sepurux_action.report.report import Report
from sepurux_action.report.report_json import report_json

REPORT_JSON, REPORT_MD, JUNIT_XML = REPORT_FILES = ("report.json", "report.md", "junit.xml")


def json_text(report: Report) -> str:
    """Return the text of `report.json`."""
    return json.dumps(report_json(report), indent=2, allow_nan=False) + "\n"


def report_files(report: Report, summary: str) -> dict[str, str]:
    """Return the text of each file by its name; `summary` is the job summary."""
    return {
        REPORT_JSON: json_text(report),
        REPORT_MD: summary,
        JUNIT_XML: junit_xml(report).decode(),
    }
