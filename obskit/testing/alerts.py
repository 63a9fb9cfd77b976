"""Tests of alert policies: what a policy is given, on a virtual clock, and what it must do.

    slow = (
        AlertTest(high_latency, "one request in ten is slow for eight minutes")
        .histogram(HTTP_SERVER_DURATION, {0.3: "0+54x60", 4: "0+6x60"}, service="chat")
        .is_open("6m", until="14m", service="chat")
        .notifies("pagerduty", times=1)
    )

Each method returns a new test, so that tests can share a beginning; give that a name with a leading underscore.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from obskit.alerts import AlertPolicy
from obskit.catalog import HTTP_SERVER_DURATION, Kind, Metric, Route
from obskit.engine.selectors import slo_selector
from obskit.errors import DefinitionError, Problem, report
from obskit.queries.context import RenderContext
from obskit.queries.definitions import whole
from obskit.queries.durations import DurationLike, whole_seconds
from obskit.queries.stacks import PerStack
from obskit.testing.collecting import caller
from obskit.testing.expectations import Expectation, Notifies, OpenAt, OpenFrom, Silent, SilentAt
from obskit.testing.inputs import Budget, Clock, Entries, Given, Measured, Observed, Sources, Written
from obskit.testing.judging import Result, judge
from obskit.testing.notation import Values, labels_of, named_labels, values_of
from obskit.testing.recordings import load_recording

__all__ = ["AlertTest", "Result"]

_PROJECT: Final = "test-project"


@dataclass(frozen=True, slots=True)
class AlertTest:
    """A policy, what it is given, and what it must do. The clock begins at 0 and stands for nothing real.

    Attributes:
        policy: of `obskit.alerts`, also with `per_stack` as a whole, or in the REST API's JSON.
        says: what the case is, for whoever reads the report.
        every: time between two values of a series.
        source: ``path:line`` where it was made.
    """

    policy: AlertPolicy | Mapping[str, Any]
    says: str = ""
    every: DurationLike = field(default="30s", kw_only=True)
    source: str = field(default="", kw_only=True, compare=False)
    given: tuple[Given, ...] = field(default=(), kw_only=True)
    expected: tuple[Expectation, ...] = field(default=(), kw_only=True)
    start_ms: int = field(default=0, kw_only=True)
    lasts_ms: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        if not self.source:
            object.__setattr__(self, "source", caller())
        if isinstance(self.policy, PerStack):
            self._join(self.policy)
        if self._ms(self.every, "every") <= 0:
            self._wrong("every is 0 s", 'Write for example every="30s"')

    # ------------------------------------------------------------------ what it is given

    def series(self, selector: str, values: Values) -> AlertTest:
        """Return the test with one more PromQL series.

        Args:
            selector: its name and labels, e.g. ``requests_total{job="chat"}``.
            values: in promtool's notation (``0+60x20 _x3 1200``), or numbers with None for a gap.
        """
        try:
            return self._with(Written(labels_of(selector), values_of(values)))
        except (ValueError, TypeError) as error:
            return self._refused(error)

    def metric(
        self,
        metric: Metric | str,
        values: Values,
        *,
        where: Mapping[str, str] | None = None,
        resource_type: str = "",
        resource: Mapping[str, str] | None = None,
        kind: str = "",
        value_type: str = "",
        **labels: str,
    ) -> AlertTest:
        """Return the test with one more series of a metric, as PromQL and filters see it.

        Args:
            metric: of `obskit.catalog`, spelled for the export route; or a metric type of Google's.
            values: as for `series`; what a counter has reached, not what it gained.
            where: labels, for names that are no keyword: ``{"http.response.status_code": "503"}``.
            resource_type: of the monitored resource; a catalog metric's own by default.
            resource: labels of the monitored resource.
            kind: ``GAUGE``, ``DELTA`` or ``CUMULATIVE``; a catalog metric's own, GAUGE for another by default.
            value_type: ``INT64``, ``DOUBLE`` or ``BOOL``; a catalog metric's own, DOUBLE for another by default.
            labels: of the metric; a catalog metric also has ``service``, ``instance``, ``location``, ``namespace``.
        """
        if isinstance(metric, Metric) and metric.kind is Kind.HISTOGRAM:
            return self._refused(ValueError(f"{metric.name} is a histogram | Use .histogram(…)"))
        try:
            measured = Measured(
                metric=metric,
                labels=named_labels(metric, {**(where or {}), **labels}),
                values=values_of(values),
                resource_type=resource_type,
                resource=dict(resource or {}),
                kind=kind,
                value_type=value_type,
            )
        except (ValueError, TypeError, DefinitionError) as error:
            return self._refused(error)
        return self._with(measured)

    def histogram(
        self,
        metric: Metric | str,
        counts: Mapping[float, Values],
        *,
        where: Mapping[str, str] | None = None,
        bounds: Iterable[float] = HTTP_SERVER_DURATION.buckets,
        resource_type: str = "",
        resource: Mapping[str, str] | None = None,
        kind: str = "",
        **labels: str,
    ) -> AlertTest:
        """Return the test with one more histogram: how many values of each size there were so far.

        Args:
            metric: of `obskit.catalog`, or a metric type of Google's.
            counts: size → how often so far: ``{0.3: "0+54x40", 4: "0+6x40"}`` are 54 fast and 6 slow ones a step.
            where: as for `metric`.
            bounds: of the buckets of a metric of Google's; a catalog metric has its own.
            resource_type: as for `metric`.
            resource: as for `metric`.
            kind: as for `metric`.
            labels: as for `metric`.
        """
        try:
            observed = Observed(
                metric=metric,
                labels=named_labels(metric, {**(where or {}), **labels}),
                counts={float(size): values_of(values) for size, values in counts.items()},
                bounds=metric.buckets if isinstance(metric, Metric) else tuple(bounds),
                resource_type=resource_type,
                resource=dict(resource or {}),
                kind=kind,
            )
        except (ValueError, TypeError, DefinitionError) as error:
            return self._refused(error)
        return self._with(observed)

    def objective(self, goal: float, *, good: Values, total: Values) -> AlertTest:
        """Return the test with the SLO that the policy's burn rates are of; it ends with the shorter of the two.

        Args:
            goal: the share that must be good, e.g. 0.999.
            good: how many events were good so far.
            total: how many there were so far.
        """
        found = [
            selector
            for condition in self.document().get("conditions") or ()
            for body in condition.values()
            if isinstance(body, Mapping) and (selector := slo_selector(str(body.get("filter") or "")))
        ]
        try:
            return self._with(Budget.of(goal, values_of(good), values_of(total), found))
        except (ValueError, TypeError) as error:
            return self._refused(error)

    def log(self, entry: str | Mapping[str, Any], *, at: DurationLike | Iterable[DurationLike]) -> AlertTest:
        """Return the test with a log entry, once or several times.

        Args:
            entry: a LogEntry in the REST API's JSON; a text is its ``textPayload``, of severity ERROR.
            at: when, since the test's beginning.
        """
        document = {"severity": "ERROR", "textPayload": entry} if isinstance(entry, str) else entry
        return self._with(Entries(document, self._moments(at, "at")))

    def recorded(self, path: Path | str) -> AlertTest:
        """Return the test with the series of a recording; its beginning is the test's.

        Args:
            path: what ``obskit backtest --record`` wrote; a relative one is looked for beside the test's file.
        """
        return self._with(load_recording(Path(path), beside=self.source.rpartition(":")[0]))

    def starting(self, moment: str) -> AlertTest:
        """Return the test with another beginning than 1970, for queries that ask for the hour or the weekday.

        Args:
            moment: with its time zone, e.g. ``2026-11-02T09:00Z``.
        """
        try:
            found = datetime.fromisoformat(moment)
        except ValueError:
            return self._refused(ValueError(f"{moment!r} is no time | Write for example 2026-11-02T09:00Z"))
        if found.tzinfo is None:
            return self._refused(ValueError(f"{moment!r} names no time zone | Write {moment}Z"))
        return replace(self, start_ms=round(found.timestamp() * 1000))

    def lasting(self, duration: DurationLike) -> AlertTest:
        """Return the test with a length; without it, until the last value and the last time that is expected."""
        return replace(self, lasts_ms=self._ms(duration, "lasting"))

    # ------------------------------------------------------------------ what it must do

    def is_open(
        self, since: DurationLike, *, until: DurationLike | None = None, within: DurationLike = 0, **labels: str
    ) -> AlertTest:
        """Return the test with the demand that one incident opens and closes at these times.

        With it, every incident of the test must be expected by one such demand.

        Args:
            since: the first evaluation at or after this time opens it.
            until: the first evaluation at or after this time closes it; it stays open to the end when not given.
            within: how far from these times is still right.
            labels: that the incident's series has, e.g. ``service="chat"``.
        """
        end = None if until is None else self._ms(until, "until")
        wanted = OpenFrom(
            from_ms=self._ms(since, "since"), until_ms=end, within_ms=self._ms(within, "within"), labels=labels
        )
        return self._expecting(wanted)

    def is_open_at(self, *times: DurationLike, **labels: str) -> AlertTest:
        """Return the test with the demand that an incident is open at these times, whatever is before and after."""
        return self._expecting(OpenAt(at_ms=self._moments(times, "times"), labels=labels))

    def is_silent_at(self, *times: DurationLike, **labels: str) -> AlertTest:
        """Return the test with the demand that no incident is open at these times."""
        return self._expecting(SilentAt(at_ms=self._moments(times, "times"), labels=labels))

    def stays_silent(self, **labels: str) -> AlertTest:
        """Return the test with the demand that no incident opens at all."""
        return self._expecting(Silent(labels=labels))

    def notifies(self, channel: str, *, times: int) -> AlertTest:
        """Return the test with the demand that a channel is told so often of something open, reminders included.

        Args:
            channel: the channel's id.
            times: 0 for never.
        """
        return self._expecting(Notifies(channel=channel, times=times))

    # ------------------------------------------------------------------ running it

    @property
    def policy_id(self) -> str:
        """The policy's id, or the display name of one in JSON."""
        return self.policy.id if isinstance(self.policy, AlertPolicy) else str(self.policy.get("displayName", ""))

    @property
    def name(self) -> str:
        """The policy and the case."""
        return f"{self.policy_id}: {self.says}" if self.says else self.policy_id

    @property
    def fires(self) -> bool:
        """Whether it expects the policy to fire."""
        return any(each.fires for each in self.expected)

    def document(self, route: Route = Route.GCP, *, stack: str = "default") -> Mapping[str, Any]:
        """Return the policy in the REST API's JSON."""
        if isinstance(self.policy, AlertPolicy):
            return self.policy.to_dict(RenderContext(project=_PROJECT, route=route, stack=stack))
        return self.policy

    def sources(self, route: Route = Route.GCP) -> Sources:
        """Return what the test is given, where the engine finds it."""
        every_ms = self._ms(self.every, "every") or 1
        sources = Sources(Clock(start_ms=self.start_ms, every_ms=every_ms, route=route))
        for given in self.given:
            given.feed(sources)
        return sources

    def run(self, route: Route = Route.GCP, *, stack: str = "default") -> Result:
        """Return what became of the test.

        Args:
            route: that the policy and catalog metrics are spelled for.
            stack: that the policy is rendered for.
        """
        return judge(self, route, stack)

    def check(self, route: Route = Route.GCP, *, stack: str = "default") -> None:
        """Run the test.

        Raises:
            AssertionError: something is otherwise than expected; the message has a timeline.
        """
        result = self.run(route, stack=stack)
        if not result.has_passed:
            raise AssertionError(f"{self.source}: {self.name}\n" + "\n".join(result.failures) + f"\n\n{result.text}")

    # ------------------------------------------------------------------ arguments

    def _with(self, given: Given) -> AlertTest:
        return replace(self, given=(*self.given, given))

    def _expecting(self, expected: Expectation) -> AlertTest:
        return replace(self, expected=(*self.expected, expected))

    def _join(self, variants: PerStack[Any]) -> None:
        """Make one policy of what is another one in each stack."""
        joined = whole(variants)
        object.__setattr__(self, "policy", joined if isinstance(joined, AlertPolicy) else {})
        if not isinstance(joined, AlertPolicy):
            self._wrong("policy is a per_stack of policies whose ids differ", "Test each of them by itself")

    def _ms(self, value: DurationLike, name: str) -> int:
        try:
            return round(whole_seconds(value) * 1000)
        except (ValueError, TypeError) as error:
            reason, _, way_out = str(error).partition(" | ")
            self._wrong(f"{name}: {reason}", way_out)
            return 0

    def _moments(self, times: DurationLike | Iterable[DurationLike], name: str) -> tuple[int, ...]:
        several = times if isinstance(times, list | tuple) else (times,)
        found = tuple(self._ms(each, name) for each in several)
        if not found:
            self._wrong(f"{name}: there is no time", 'Write for example "5m"')
        return found or (0,)

    def _refused(self, error: Exception) -> AlertTest:
        if isinstance(error, DefinitionError):
            raise error
        reason, _, way_out = str(error).partition(" | ")
        self._wrong(reason, way_out)
        return self

    def _wrong(self, problem: str, way_out: str) -> None:
        report(self.problem(problem, way_out or "See the method's description for what it may be"))

    def problem(self, problem: str, way_out: str) -> Problem:
        """Return a problem of this test."""
        return Problem(place=f'{self.source}: test "{self.name}"', problem=problem, way_out=way_out)
