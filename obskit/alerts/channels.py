"""Where notifications go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final, Self

from obskit.alerts.channel_kinds import (
    ARGUMENTS,
    CHECKS,
    KINDS,
    OTHER,
    SECRETS,
    AddressWithToken,
    Setting,
    read_setting,
    unset_problem,
)
from obskit.errors import Problem, nearest
from obskit.queries.carried import as_json_fields, merged
from obskit.queries.context import EnvVar, RenderContext, Secret
from obskit.queries.definitions import Definition, as_flag, as_text, checked_id, definition, given
from obskit.queries.labels import checked_labels, label_problems
from obskit.queries.reading import carrying, document_of, id_of, read_flag, read_labels, read_table, read_text

__all__ = ["NotificationChannel"]

_BY_SERVER: Final = frozenset({"name", "creationRecord", "mutationRecords", "verificationStatus"})


def _kind(value: object) -> str:
    kind = as_text(value)
    if kind not in KINDS:
        guess = nearest(kind, KINDS)
        hint = f'Did you mean "{guess}"' if guess else f"Use one of {', '.join(KINDS)}"
        raise ValueError(f"{kind!r} is no kind of channel | {hint}")
    return kind


def _settings(value: object) -> Mapping[str, Setting]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{value!r} is not a table of settings | Use email(…), webhook(…) and the like")
    for name, setting in value.items():
        if not isinstance(setting, Setting):
            raise TypeError(f'{name}={setting!r} is not a text | Write a text, env("NAME") or secret("NAME")')
    return dict(value)


@definition
class NotificationChannel(Definition):
    """One way to reach somebody.

    Made by `email`, `slack`, `pagerduty`, `webhook`, `pubsub`, `sms` and `google_chat`.

    Attributes:
        id: lower-case letters, digits and dashes; what policies and sync know it by.
        kind: the platform's type, e.g. ``webhook_tokenauth``; ``other`` for one that only `carried` knows.
        settings: the labels that this kind needs; each a text, an `env` or a `secret`.
        display_name: shown in the console, at most 512 characters; the id when empty.
        description: at most 1,024 characters.
        enabled: whether notifications are forwarded.
        labels: the user's own labels.
        carried: fields of the REST API that this model does not know, merged into what it renders.
    """

    noun: ClassVar[str] = "channel"
    named_by: ClassVar[str] = "id"
    collection: ClassVar[str] = "notificationChannels"
    labels_field: ClassVar[str] = "userLabels"

    id: str = given(checked_id, placeholder="")
    kind: str = given(_kind, placeholder="email")
    settings: Mapping[str, Setting] = given(_settings, default_factory=dict, is_shown=False)
    display_name: str = given(as_text, default="")
    description: str = given(as_text, default="")
    enabled: bool = given(as_flag, default=True)
    labels: Mapping[str, str] = given(checked_labels, default_factory=dict)
    carried: Mapping[str, Any] = given(as_json_fields, default_factory=dict)

    @property
    def secrets(self) -> tuple[Setting, ...]:
        """What is read from the environment or from Secret Manager."""
        return tuple(each for each in self.settings.values() if not isinstance(each, str))

    def to_dict(self, context: RenderContext) -> dict[str, Any]:
        """Return the REST form, without ``name``.

        Raises:
            DefinitionError: an environment variable or a secret that it needs is missing.
        """
        rendered: dict[str, Any] = {
            "type": self.kind,
            "displayName": self.display_name or self.id,
            "labels": {name: read_setting(setting, context) for name, setting in self.settings.items()},
            "enabled": self.enabled,
        }
        if self.description:
            rendered["description"] = self.description
        if self.labels:
            rendered["userLabels"] = dict(self.labels)
        return merged(rendered, self.carried)

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, id: str = "") -> Self:  # noqa: A002 - the field's name
        """Return the channel that an object of the REST API is.

        A secret, which the API gives back masked, is read from an environment variable named after the channel:
        ``PAGER_SERVICE_KEY`` for the ``service_key`` of ``pager``.

        Args:
            document: the object's JSON.
            id: the channel's id; made from its names where it is empty.

        Raises:
            DefinitionError: it is no JSON object.
        """
        wanted = document_of(document, noun=cls.noun, without=_BY_SERVER)
        own = id_of(document, given=id, default="channel")
        labels = {key: value for key, value in read_table(wanted, "labels").items() if isinstance(value, str)}
        masked = {f"{own}_{key}".replace("-", "_").upper(): key for key in labels if key in SECRETS}
        settings: dict[str, Setting] = {key: value for key, value in labels.items() if key not in SECRETS}
        settings |= {key: EnvVar(variable) for variable, key in masked.items()}
        found = read_text(wanted, "type")
        made = cls(
            id=own,
            kind=found if found in KINDS else OTHER,
            settings=settings if found in KINDS else {},
            display_name=read_text(wanted, "displayName"),
            description=read_text(wanted, "description"),
            enabled=read_flag(wanted, "enabled", default=True),
            labels=read_labels(wanted),
        )
        if "userLabels" in wanted:
            wanted["userLabels"] = read_labels(wanted)
        context = RenderContext(project="", environ={variable: labels[key] or "-" for variable, key in masked.items()})
        return carrying(made, made.to_dict(context), wanted)

    def problems(self, context: RenderContext) -> list[Problem]:
        """Return every rule of the platform that this channel breaks."""
        if self.is_broken:
            return []
        unset = [unset_problem(setting, context, self.place) for setting in self.settings.values()]
        missing = [problem for problem in unset if problem is not None]
        rules = [*self._rules(), *(() if missing else self._value_rules(context))]
        return [
            *missing,
            *(self.problem(problem, way_out) for problem, way_out in rules),
            *label_problems(self.labels, self.place),
        ]

    def _rules(self) -> Iterator[tuple[str, str]]:
        if len(self.display_name) > 512:
            yield f"display_name has {len(self.display_name)} characters, at most 512 are allowed", "Shorten it"
        if len(self.description) > 1024:
            yield f"description has {len(self.description)} characters, at most 1024 are allowed", "Shorten it"
        if self.kind == OTHER and not self.carried.get("type"):
            yield 'a channel of kind "other" needs its type', 'Add carried={"type": …, "labels": …}'
        kind = KINDS[self.kind]
        for name in kind.required:
            if name not in self.settings:
                yield f'a channel of kind "{self.kind}" needs {name}', f'Add it: settings={{"{name}": …}}'
        for name in kind.secret:
            if isinstance(self.settings.get(name), str):
                known = ARGUMENTS.get(name, name)
                yield (
                    f"{known} is a secret and stands in the file",
                    f'Read it from the environment: {known}=env("NAME")',
                )

    def _value_rules(self, context: RenderContext) -> Iterator[tuple[str, str]]:
        for name, check in CHECKS.items():
            setting = self.settings.get(name)
            # A secret is only known while sync runs; what it holds is checked then.
            if setting is None or (isinstance(setting, Secret | AddressWithToken) and not setting.is_set(context)):
                continue
            way_out = check(read_setting(setting, context))
            if way_out:
                shown = repr(setting) if isinstance(setting, str) else f"what {setting.name} holds"
                yield f"{ARGUMENTS.get(name, name)}: {shown} cannot be used", way_out
