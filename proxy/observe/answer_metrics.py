"""What the answers of models take: tokens, and the times of the first and the others.

The names, labels and buckets are those of OpenTelemetry's conventions for GenAI,
v0.1.0, as its exporter for Prometheus writes them. Each answer counts once, also if
several clients get it. Names of models are the upstream's, so there is a bound on them.
"""

from __future__ import annotations

from collections.abc import Iterable

from proxy.observe.histogram import Histogram
from proxy.observe.prometheus_text import Family, Kind
from proxy.stream.families import named
from proxy.stream.family import AnswerReader
from proxy.timeline import Timeline

TOKENS = tuple(float(4**power) for power in range(14))  # to 67,108,864
FIRST_TOKENS = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5),
    *(5.0, 7.5, 10.0),
)
PER_TOKEN = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5),
)
USAGE, FIRST, EACH = (
    "gen_ai_client_token_usage",
    "gen_ai_server_time_to_first_token_seconds",
    "gen_ai_server_time_per_output_token_seconds",
)
ANSWER_FAMILIES: tuple[tuple[str, Kind, str], ...] = (
    (USAGE, "histogram", "Number of input and output tokens used."),
    (FIRST, "histogram", "Time from the request to the first token of the answer."),
    (EACH, "histogram", "Time per output token after the first one."),
)
MOST_MODELS = 100  # whose names are labels; what comes beyond is one more
OTHER = "_OTHER"
UNKNOWN = "-"

Key = tuple[str | None, str, str]  # route, family, model


class AnswerSeries:
    """What is counted for one model of one route."""

    __slots__ = ("each", "first", "input", "output")

    def __init__(self) -> None:
        self.input = Histogram(TOKENS)
        self.output = Histogram(TOKENS)
        self.first = Histogram(FIRST_TOKENS)
        self.each = Histogram(PER_TOKEN)


class AnswerMetrics:
    """Of all answers that this worker has asked for."""

    __slots__ = ("models", "series")

    def __init__(self) -> None:
        self.series: dict[Key, AnswerSeries] = {}
        self.models: set[str] = set()

    def ended(self, timeline: Timeline) -> None:
        """Count the answer of a call that is over."""
        call = timeline.call
        answer = call.answer
        if answer is None or call.family is None:
            return
        key = (timeline.route, call.family, self.label(answer.model))
        series = self.series.get(key)
        if series is None:
            series = self.series[key] = AnswerSeries()
        if answer.input_tokens is not None:
            series.input.observe(answer.input_tokens)
        if answer.output_tokens is not None:
            series.output.observe(answer.output_tokens)
        first, each = timeline.first_token_seconds, answer.seconds_per_token
        if first is not None:
            series.first.observe(first)
        if each is not None:
            series.each.observe(each)

    def label(self, model: str) -> str:
        """The name of a model as a label."""
        if not model:
            return UNKNOWN
        if model not in self.models:
            if len(self.models) >= MOST_MODELS:
                return OTHER
            self.models.add(model)
        return model

    def families(self, no_route: str) -> Iterable[Family]:
        """Everything that is counted."""
        told = {
            name: Family(name, kind, text, []) for name, kind, text in ANSWER_FAMILIES
        }
        for (route, family, model), series in self.series.items():
            reader = named(family).answer
            labels = (("route", route or no_route), *labels_of(reader))
            labels = (*labels, ("gen_ai_response_model", model))
            for kind, histogram in (("input", series.input), ("output", series.output)):
                histogram.tell(told[USAGE], *labels, ("gen_ai_token_type", kind))
            series.first.tell(told[FIRST], *labels)
            series.each.tell(told[EACH], *labels)
        return told.values()


def labels_of(reader: AnswerReader | None) -> tuple[tuple[str, str], ...]:
    """What the conventions require of every answer."""
    if reader is None:
        return ()
    return (
        ("gen_ai_operation_name", reader.operation),
        ("gen_ai_provider_name", reader.provider),
    )
