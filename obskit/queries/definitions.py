"""The model decorator: keyword-only frozen dataclasses that report every wrong field, with its place, at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import lru_cache, wraps
from inspect import Parameter, signature
from typing import Any, ClassVar, Final, ParamSpec, Self, TypeVar, dataclass_transform

from obskit.errors import DefinitionError, Problem, nearest, report
from obskit.queries.stacks import MISSING as MISSING_STACK
from obskit.queries.stacks import PerStack, spread, varying
from obskit.queries.values import (
    Parse,
    as_flag,
    as_number,
    as_positive,
    as_share,
    as_text,
    as_whole,
    checked_id,
    many,
    one,
    one_of,
    shown,
)

__all__ = [
    "Definition",
    "Parse",
    "as_flag",
    "as_number",
    "as_positive",
    "as_share",
    "as_text",
    "as_whole",
    "caller",
    "checked",
    "checked_id",
    "definition",
    "given",
    "many",
    "one",
    "one_of",
    "ready_made",
    "shown",
    "whole",
]

T = TypeVar("T")
P = ParamSpec("P")

_ABOVE: Final = (
    "obskit.queries",
    "obskit.alerts",
    "obskit.dashboards",
    "obskit.packs",
    "obskit.resources",
    "dataclasses",
    "functools",
)
_WITHIN: Final = tuple(f"{name}." for name in _ABOVE)


def caller() -> str:
    """Return ``path:line`` of the nearest frame that is not the definition library itself."""
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way to a caller's line, and the only cheap one
    while frame.f_back is not None:
        module = str(frame.f_globals.get("__name__", ""))
        is_ours = module in _ABOVE or module.startswith(_WITHIN)
        if not is_ours and frame.f_code.co_filename != "<string>":
            break
        frame = frame.f_back
    return f"{_relative(frame.f_code.co_filename, os.getcwd())}:{frame.f_lineno}"  # noqa: PTH109 - called ten thousand times


@lru_cache(maxsize=1024)
def _relative(path: str, start: str) -> str:
    """Return a path below a folder as it is from there; any other as it is, and ``<stdin>`` too."""
    relative = os.path.relpath(path, start) if os.path.isabs(path) else path  # noqa: PTH117 - it may be "<stdin>"
    return path if relative.startswith("..") else relative


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What every model has.

    Attributes:
        source: ``path:line`` where it was made. Not compared.
        is_broken: whether its constructor reported a problem, so that checking it again would only confuse.
        variants: what it is in each stack, where a value was given with `per_stack`; its fields are those of the first.
    """

    noun: ClassVar[str] = "definition"
    named_by: ClassVar[str] = ""

    source: str = field(init=False, compare=False, repr=False, default="")
    is_broken: bool = field(init=False, compare=False, repr=False, default=False)
    variants: PerStack[Any] | None = field(init=False, compare=False, repr=False, default=None)

    def __init_subclass__(cls, **options: Any) -> None:
        super(Definition, cls).__init_subclass__(**options)  # slots=True made Definition anew
        for name, method in list(vars(cls).items()):
            code = getattr(method, "__code__", None)
            if code is not None and code.co_varnames[1:2] == ("context",) and code.co_argcount > 1:
                setattr(cls, name, _of_stack(name, method))

    @property
    def place(self) -> str:
        """Where it is, for a `Problem`: ``alerts/latency.py:12: policy "p95-high"``."""
        return _place(type(self), self.source, getattr(self, self.named_by, None) if self.named_by else None)

    def problem(self, problem: str, way_out: str) -> Problem:
        """Return a problem of this definition."""
        return Problem(place=self.place, problem=problem, way_out=way_out)

    def is_for(self, stack: str) -> bool:
        """Return whether it can be rendered for a stack: wherever `per_stack` was used, there is a value for it."""
        return self.variants is None or (self.variants.has(stack) and not self.is_left_out(stack))

    def is_left_out(self, stack: str) -> bool:
        """Return whether the whole definition was given with `per_stack`, as None for this stack."""
        return self.variants is not None and self.variants.has(stack) and self.variants.value(stack) is None

    def for_stack(self, stack: str) -> Self:
        """Return the definition as it is in a stack; itself where nothing was given with `per_stack`.

        Raises:
            DefinitionError: a value was given for other stacks only, or it is left out in this one.
        """
        if self.variants is None:
            return self
        if self.is_left_out(stack):
            raise DefinitionError(self.problem(f'is left out in stack "{stack}"', "Name a stack that has it"))
        found: Self = self.variants.value(stack, self.place)
        return found


def whole(variants: PerStack[Any]) -> Definition | None:
    """Return one definition for what is another one, or none, in each stack; None unless all have the same id."""
    each = [*variants.by_stack.values(), *([] if variants.otherwise is MISSING_STACK else [variants.otherwise])]
    shown = [one for one in each if one is not None]
    if not shown or not all(isinstance(one, Definition) for one in shown):
        return None
    if len({(type(one), getattr(one, "id", None)) for one in shown}) > 1:
        return None
    made = copy(shown[0])
    object.__setattr__(made, "variants", variants)
    object.__setattr__(made, "is_broken", any(one.is_broken for one in shown))
    return made  # type: ignore[no-any-return]


def _of_stack(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that takes a context, run on the definition as it is in the context's stack."""

    @wraps(method)
    def run(self: Definition, context: Any, *args: Any, **values: Any) -> Any:
        if self.variants is None:
            return method(self, context, *args, **values)
        try:
            found = self.for_stack(context.stack)
        except DefinitionError as error:
            if name == "problems":
                return list(error.problems)
            raise
        return getattr(found, name)(context, *args, **values)

    return run


def given(
    parse: Parse,
    *,
    default: Any = MISSING,
    default_factory: Any = MISSING,
    placeholder: Any = None,
    is_shown: bool = True,
) -> Any:
    """Declare a field of a definition.

    Args:
        parse: turns what the user wrote into the value; raises ValueError or TypeError with the reason.
        default: the value when nothing is given. None also means that None may be given.
        default_factory: makes the value when nothing is given.
        placeholder: stands in for a value that was missing or wrong, while more problems are collected.
        is_shown: whether the value may stand in the model's repr.
    """
    metadata = {"parse": parse, "placeholder": placeholder}
    if default_factory is not MISSING:
        return field(default_factory=default_factory, metadata=metadata, repr=is_shown)
    if default is not MISSING:
        return field(default=default, metadata=metadata, repr=is_shown)
    return field(metadata=metadata, repr=is_shown)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(given,))
def definition(cls: type[T]) -> type[T]:
    """Make a model: a frozen, slotted, keyword-only dataclass whose constructor reports all that is wrong."""
    made: Any = dataclass(frozen=True, slots=True, kw_only=True)(cls)
    construct = made.__init__
    # What only a reader of JSON needs comes last where the fields are listed.
    listed = sorted(fields(made), key=lambda item: item.name == "carried")
    known = {item.name: item for item in listed if item.init}

    @wraps(construct)
    def init(self: Any, *args: object, **values: object) -> None:
        source = caller()
        variants = spread(made, args, values)
        if variants is not None:
            _show_first(self, variants, source)
            return
        label = values.get(made.named_by) if made.named_by else None
        parsed, found = _parsed(known, args, values)
        place = _place(made, source, label)
        report([Problem(place=place, problem=problem, way_out=way_out) for problem, way_out in found])
        construct(self, **parsed)
        object.__setattr__(self, "source", source)
        object.__setattr__(self, "is_broken", bool(found))

    made.__init__ = init
    return made  # type: ignore[no-any-return]


def _show_first(self: Any, variants: PerStack[Any], source: str) -> None:
    """Make a definition of its variants: its own fields are those of the first."""
    first = variants.first()
    for item in fields(first):
        object.__setattr__(self, item.name, getattr(first, item.name))
    object.__setattr__(self, "source", source)
    object.__setattr__(self, "variants", variants)
    each = [*variants.by_stack.values(), first if variants.otherwise is MISSING_STACK else variants.otherwise]
    object.__setattr__(self, "is_broken", any(one.is_broken for one in each))
    if self.named_by == "id" and len({one.id for one in each}) > 1:
        report(self.problem("its id differs from stack to stack", "Give it the same id in every stack"))


def _place(model: Any, source: str, label: object) -> str:
    return f"{source}: {model.noun}" + (f' "{label}"' if label else "")


def _parsed(
    known: Mapping[str, Field[Any]], args: Sequence[object], values: Mapping[str, object]
) -> tuple[dict[str, object], list[tuple[str, str]]]:
    found: list[tuple[str, str]] = []
    if args:
        found.append((f"{shown(args[0])} has no field name", f"Write it as FIELD=…; the fields are {', '.join(known)}"))
    unknown = [name for name in values if name not in known]
    guesses = {name: nearest(name, set(known) - set(values)) for name in unknown}
    for name, guess in guesses.items():
        way_out = f'Did you mean "{guess}"' if guess else f"Remove it; the fields are {', '.join(known)}"
        found.append((f'unknown field "{name}"', way_out))
    parsed: dict[str, object] = {}
    for name, item in known.items():
        if name in values:
            parsed[name] = _value(item, values[name], found)
        elif item.default is MISSING and item.default_factory is MISSING:
            parsed[name] = item.metadata["placeholder"]
            if name not in guesses.values():
                found.append((f'field "{name}" is missing', f"Add {name}=…"))
    return parsed, found


def _value(item: Field[Any], value: object, found: list[tuple[str, str]]) -> object:
    if value is None and item.default is None:
        return None
    try:
        return item.metadata["parse"](value)
    except (ValueError, TypeError) as error:
        reason, _, way_out = str(error).partition(" | ")
        found.append((f'field "{item.name}": {reason}', way_out or "See the field's description for what it may be"))
    if item.default is not MISSING:
        return item.default
    return item.default_factory() if item.default_factory is not MISSING else item.metadata["placeholder"]


def ready_made(noun: str, *, also: Sequence[str] = ()) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Return a decorator for functions that make a definition: arguments that do not exist are reported, not raised.

    Args:
        noun: what the function makes, for the problem's place.
        also: the keywords that it takes beside those of its signature.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        known = signature(function).parameters

        @varying
        @wraps(function)
        def make(*args: P.args, **values: P.kwargs) -> T:
            taken, allowed, found = _arguments(known, also, args, values)
            label = values.get("id") or (taken[0] if taken else "")
            place = f"{caller()}: {noun}" + (f' "{label}"' if label else "")
            report([Problem(place=place, problem=problem, way_out=way_out) for problem, way_out in found])
            made = function(*taken, **allowed)  # type: ignore[arg-type]
            if found:
                object.__setattr__(made, "is_broken", True)
            return made

        return make

    return decorate


def _arguments(
    parameters: Mapping[str, Parameter], also: Sequence[str], args: Sequence[object], values: Mapping[str, object]
) -> tuple[Sequence[object], dict[str, object], list[tuple[str, str]]]:
    known = [name for name, each in parameters.items() if each.kind is not Parameter.VAR_KEYWORD]
    positional = [name for name in known if parameters[name].kind is Parameter.POSITIONAL_OR_KEYWORD]
    names = (*known, *also)
    taken, allowed = args[: len(positional)], {name: value for name, value in values.items() if name in names}
    guesses = {name: nearest(name, set(names) - set(values)) for name in values if name not in names}
    found = [
        (
            f'unknown argument "{name}"',
            f'Did you mean "{guess}"' if guess else f"Remove it; there are {', '.join(names)}",
        )
        for name, guess in guesses.items()
    ]
    found += [(f"{shown(extra)} has no argument's name", f"Write it as {known[0]}=…") for extra in args[len(taken) :]]
    wanted = [name for name in known if parameters[name].default is Parameter.empty and name not in allowed]
    wanted = missing = [name for name in wanted if name not in positional[: len(taken)]]
    if args[len(taken) :]:  # it is told above
        missing = [name for name in missing if name != known[0]]
    found += [(f'argument "{name}" is missing', f"Add {name}=…") for name in missing if name not in guesses.values()]
    return taken, allowed | dict.fromkeys(wanted, ""), found


def checked(parse: Parse, value: object, *, name: str, noun: str, otherwise: Any) -> Any:
    """Return a parsed argument of a ready-made definition; report it and return `otherwise` if it is wrong.

    Args:
        parse: as in `given`.
        value: what the user wrote.
        name: the argument's name.
        noun: what the argument belongs to, e.g. ``policy "latency-p95"``.
        otherwise: stands in while more problems are collected.
    """
    try:
        return parse(value)
    except (ValueError, TypeError) as error:
        reason, _, way_out = str(error).partition(" | ")
        way_out = way_out or "See the function's description for what it may be"
        report(Problem(place=f"{caller()}: {noun}", problem=f"{name}: {reason}", way_out=way_out))
    return otherwise
