"""The flow of a run, from settings to exit status."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TextIO

from sepurux_action.common import wording
from sepurux_action.config.command_line import parse_command_line
from sepurux_action.config.settings import POLICY_PATH, gate_plans
from sepurux_action.errors import ConfigurationError
from sepurux_action.evaluation.decision import EXIT_UNDECIDED, exit_status
from sepurux_action.evaluation.traces import TraceFolder
from sepurux_action.flow.execution import (
    Connections,
    Invocation,
    begin,
    from_flags,
    from_step,
    log_start,
    with_settings,
)
from sepurux_action.flow.results import find_results, open_record, publish, publish_problems, read_earlier
from sepurux_action.github.subject import read_checkout, read_subject, with_base
from sepurux_action.host.deadlines import Signals
from sepurux_action.host.output import ActionsRunner, Level, Output, Terminal
from sepurux_action.report.data import json_text, without_decision
from sepurux_action.report.render import annotation, log_lines, terminal_lines
from sepurux_action.report.report import Report

CONNECTIONS = Connections()
UNFINISHED = "The step ended before the gate had a result. Re-run the job."


def run_step(environ: Mapping[str, str], log: TextIO, signals: Signals, connections: Connections = CONNECTIONS) -> int:
    runner = ActionsRunner(environ, log)
    runner.set_outputs(without_decision(UNFINISHED))  # they remain if the step is killed
    invocation = from_step(runner.inputs, environ, runner.read_event())

    def show(report: Report) -> None:
        """Log the decision, which stands out, the problems on their lines, and the lines about what failed."""
        if report.gates:
            level = Level.WARNING if report.not_passed else Level.NOTICE
            if report.blocking:
                level = Level.ERROR
            runner.annotate(level, annotation(report), title="Sepurux gate")
        for problem in report.problems:
            title = "Sepurux gate: invalid settings"
            file, text = (problem.file, str(problem)) if problem.line else ("", problem.located)
            runner.annotate(Level.ERROR, text, title=title, file=file, line=problem.line)
        for line in log_lines(report):
            runner.log(line, in_color=True)

    return run_gates(invocation, runner, signals, show, connections)


def run_command_line(arguments: Sequence[str], environ: Mapping[str, str], signals: Signals) -> int:
    """Run as `sepurux-gate`; return the exit status. Exits for --help, --version, and unknown flags."""
    command = parse_command_line(arguments)
    terminal = Terminal(environ)

    def show(report: Report) -> None:
        document = json_text(report) if command.report_format == "json" else ""
        evaluated = not (report.problems or report.short)
        terminal.write_result(terminal_lines(report), document, evaluated=evaluated)

    try:
        with from_flags(command, environ, terminal) as invocation:
            if command.check is not None:
                return _check(command.check, invocation.traces(), terminal, signals)
            return run_gates(invocation, terminal, signals, show, CONNECTIONS)
    finally:
        terminal.close()


def run_gates(
    invocation: Invocation, host: Output, signals: Signals, show: Callable[[Report], None], connections: Connections
) -> int:
    """Show the report; return the exit status: 0, 1 if a `fail` blocks, 2 if anything else does, or a signal's."""
    execution = begin(invocation, host, signals, connections)
    execution = replace(execution, subject=read_subject(execution.calls, execution.event))
    try:
        execution = with_settings(execution)
    except ConfigurationError as error:
        show(publish_problems(execution, error))
        return signals.status(EXIT_UNDECIDED)
    execution = read_earlier(execution)
    log_start(execution)
    execution = replace(execution, subject=with_base(execution.calls, execution.subject, execution.settings.gates))
    record = open_record(execution)
    results, pull = find_results(execution, record)
    show(publish(execution, record, pull, results))
    return signals.status(exit_status(results))


def _check(files: Sequence[str], folder: TraceFolder, terminal: Terminal, signals: Signals) -> int:
    """Write problems in policy files, or what they mean; return the exit status."""
    lines, status = list[str](), 0
    for path in files or [POLICY_PATH]:
        try:
            plans = [*gate_plans(read_checkout(folder, path))]
        except ConfigurationError as error:
            status = EXIT_UNDECIDED
            lines += [f"{each.file}:{each.line}: {each}" for each in error.problems]
        else:
            lines += [f"{path}: valid, {wording.pluralize(len(plans), 'gate')}", *(f"  {plan}" for plan in plans)]
    terminal.write_result(lines)
    return signals.status(status)
