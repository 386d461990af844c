"""What a step shows of a campaign of many scenarios; no response about them changes the decision."""

from __future__ import annotations

import re

from tests.sandboxed import MANY, many_scenarios, scripted_sandbox
from tests.scenes import Scene


def test_a_report_says_in_which_of_many_scenarios_something_failed(scene: Scene) -> None:
    with scripted_sandbox(many_scenarios(40), late_s=0) as server:
        result = scene.run(base_url=server.url, campaign=MANY)
    assert (result.outputs["decision"], result.exit_code, scene.status[0]) == ("fail", 1, "failure"), result.log
    assert scene.status[2].endswith("; 40 scenarios")
    names = re.findall(r"^- ❌.\[`(refund order A-\d+)`\]\(.*?\): ", result.summary, re.MULTILINE)
    assert names == [f"refund order A-{number}" for number in (1001, 1009, 1017, 1025, 1033)]
    assert all("in 5 of 40 scenarios" in text for text in (scene.ours[0], result.summary))
    assert re.findall(r"✗.* (refund order A-\d+)  ", result.log) == names
    assert "35 of 40 scenarios passed." in result.log
    assert not any("were not read" in text for text in (scene.ours[0], result.summary, result.log))
