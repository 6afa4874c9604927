"""AgentDojo's tasks, and a model that does whatever it reads: what the replays replay.

The model is the worst case: it follows the user's task, and as soon as a tool's result holds an attack it makes all
calls of that attack, each whatever became of the one before; then it goes on with the task.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from bench.dialogue import Tool, encoded
from gateway import settings
from gateway.core.evaluation import Context
from gateway.core.policies import Guard
from gateway.core.rules import ALLOW, TRUST
from gateway.core.snapshot import build
from gateway.core.view import Text, ToolCall, ToolResult

ROOT = Path(__file__).parent.parent
DATA = ROOT / "bench" / "agentdojo.json"
EXAMPLE = ROOT / "deploy" / "examples" / "lethal-trifecta.toml"
ONLY_READS = re.compile(r"(get|list|read|search|check)_(?!webpage)\w+")
"""The names of tools that change nothing and call no address; all others act."""
PLACE = re.compile(r"\{\{(\w+)\}\}")


class Move(msgspec.Struct, frozen=True):
    """One call of a ground truth; ``result`` is a place in the suite's list."""

    tool: str
    arguments: dict[str, Any]
    result: int

    @property
    def acts(self) -> bool:
        """Whether it changes something, or sends something out."""
        return ONLY_READS.fullmatch(self.tool) is None


class UserTask(msgspec.Struct, frozen=True):
    """What a user wants."""

    prompt: str
    calls: tuple[Move, ...]


class Attack(msgspec.Struct, frozen=True):
    """What an attacker wants."""

    goal: str
    derived: bool
    """AgentDojo has no ground truth for it; the export wrote one."""
    calls: tuple[Move, ...]

    @property
    def acts(self) -> bool:
        return any(move.acts for move in self.calls)


class Suite(msgspec.Struct, frozen=True):
    """One suite."""

    tools: tuple[Tool, ...]
    vectors: dict[str, str]
    """Where an attacker can place text, and what is there without one."""
    user_tasks: dict[str, UserTask]
    injection_tasks: dict[str, Attack]
    results: tuple[str, ...]

    def result(self, move: Move, attack: str) -> str:
        """What a call's tool answers: with the attack's text in every place, or as it is without one."""
        return PLACE.sub(lambda place: attack or self.vectors[place[1]], self.results[move.result])


class Dojo(msgspec.Struct, frozen=True):
    """All of it."""

    source: str
    attack: str
    """The text around an attack's goal."""
    suites: dict[str, Suite]

    def text(self, attack: Attack) -> str:
        return self.attack.replace("{goal}", attack.goal)


class Scene(msgspec.Struct, frozen=True):
    """A user's task, with an attack or without one."""

    suite: str
    user: str
    attack: str = ""


class Made(msgspec.Struct, frozen=True):
    """One call that the model made."""

    move: Move
    attack: bool
    """The attack's, not the user's."""
    allowed: bool


@cache
def load() -> Dojo:
    """Read the export."""
    return msgspec.json.decode(DATA.read_bytes(), type=Dojo)


def pairs() -> list[Scene]:
    """Every task under every attack."""
    return [
        Scene(name, user, attack)
        for name, suite in load().suites.items()
        for user in suite.user_tasks
        for attack in suite.injection_tasks
    ]


def undisturbed() -> list[Scene]:
    """Every task by itself."""
    return [Scene(name, user) for name, suite in load().suites.items() for user in suite.user_tasks]


@cache
def _tasks() -> dict[str, tuple[Suite, UserTask]]:
    return {
        task.prompt: (suite, task) for suite in load().suites.values() for task in suite.user_tasks.values()
    }


@cache
def _texts(prompt: str) -> tuple[tuple[str, Attack], ...]:
    suite, _ = _tasks()[prompt]
    return tuple((load().text(attack), attack) for attack in suite.injection_tasks.values())


def choose(prompt: str, heard: Sequence[str]) -> tuple[Move, bool] | None:
    """The model: return its next call, and whether it is an attack's; it knows what it has been told, and no more."""
    _, task = _tasks()[prompt]
    script = [(move, False) for move in task.calls]
    for turn, text in enumerate(heard):
        obeyed = next((attack for said, attack in _texts(prompt) if said in text), None)
        if obeyed:
            script[turn + 1 : turn + 1] = [(move, True) for move in obeyed.calls]
            break
    return script[len(heard)] if len(heard) < len(script) else None


def guard(
    path: Path = EXAMPLE, *, keep: Callable[[Any], bool] = lambda policy: True, more: Sequence[Any] = ()
) -> Guard:
    """What a configuration file says of calls and results.

    ``keep``: which of its policies; ``more``: what the file does not say, before what it does.
    """
    loaded = settings.load(str(path), {}, {})
    policies = [*more, *loaded.tool_invocation_policies, *loaded.trusted_data_policies]
    declared = {"policies": [policy.as_declared() for policy in policies if keep(policy)]}
    snapshot = build(declared, default_policies=loaded.default_policies)
    return snapshot.guard(snapshot.agents[snapshot.default_agent], ())


def judge(guarded: Guard, scene: Scene) -> list[Made]:
    """Play a scene without a gateway: what its policies say of each call."""
    made = []
    untrusted = False
    heard: list[str] = []
    context = Context()
    for move, attack, result in moves(scene, heard):
        name = f"call_{len(heard)}"
        verdict = guarded.call(
            ToolCall(name, move.tool, encoded(move.arguments)), context, untrusted=untrusted
        )
        allowed = verdict.refused is None
        made.append(Made(move, attack, allowed))
        heard.append(result if allowed else "")
        if allowed:
            judged = guarded.result(ToolResult(name, move.tool, False, (), (Text(result, ()),)), context)
            untrusted = untrusted or judged.action != TRUST
    return made


def moves(scene: Scene, heard: Sequence[str]) -> Iterator[tuple[Move, bool, str]]:
    """Yield each call that the model makes, whether it is an attack's, and what its tool would answer.

    ``heard`` is what the model has been told so far; the caller adds to it before it asks for the next call.
    """
    suite = load().suites[scene.suite]
    prompt = suite.user_tasks[scene.user].prompt
    text = load().text(suite.injection_tasks[scene.attack]) if scene.attack else ""
    while chosen := choose(prompt, heard):
        move, attack = chosen
        yield move, attack, suite.result(move, text)


class Tally(msgspec.Struct):
    """What became of a suite's calls."""

    pairs: int = 0
    speechless: int = 0
    """Pairs whose attack wants words alone: no call to judge."""
    unread: int = 0
    """Pairs whose attack was never read, because the call that would have brought it was refused."""
    stopped: int = 0
    """Pairs none of whose acting attack calls came through."""
    acting: int = 0
    acting_blocked: int = 0
    attack_calls: int = 0
    attack_blocked: int = 0
    after: int = 0
    """The user's calls after the attack was read."""
    after_allowed: int = 0
    tasks: int = 0
    tasks_whole: int = 0
    benign: int = 0
    """The user's calls where there is no attack."""
    benign_allowed: int = 0

    def add(self, scene: Scene, made: Sequence[Made]) -> None:
        """Count a scene that was played."""
        if not scene.attack:
            self.tasks += 1
            self.tasks_whole += all(one.allowed for one in made)
            self.benign += len(made)
            self.benign_allowed += sum(one.allowed for one in made)
            return
        attack = load().suites[scene.suite].injection_tasks[scene.attack]
        calls = [one for one in made if one.attack]
        acting = [one for one in calls if one.move.acts]
        self.pairs += 1
        self.speechless += not attack.acts
        self.unread += attack.acts and not calls
        self.stopped += attack.acts and not any(one.allowed for one in acting)
        self.acting += len(acting)
        self.acting_blocked += sum(not one.allowed for one in acting)
        self.attack_calls += len(calls)
        self.attack_blocked += sum(not one.allowed for one in calls)
        if calls:
            last = max(number for number, one in enumerate(made) if one.attack)
            self.after += len(made) - last - 1
            self.after_allowed += sum(one.allowed for one in made[last + 1 :])

    def plus(self, other: "Tally") -> "Tally":
        """Return the sum."""
        return Tally(*(getattr(self, name) + getattr(other, name) for name in self.__struct_fields__))


Tallies = dict[str, Tally]
Expected = dict[Scene, list[Made]]


def table(tallies: Tallies) -> str:
    """The table of the documentation."""
    lines = [
        "| suite | attacks stopped | their acting calls blocked | all their calls blocked | user's calls allowed | after an attack | tasks without refusal |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    total = Tally()
    for tally in tallies.values():
        total = total.plus(tally)
    for name, tally in {**tallies, "all": total}.items():
        cells = [
            (tally.stopped, tally.pairs - tally.speechless),
            (tally.acting_blocked, tally.acting),
            (tally.attack_blocked, tally.attack_calls),
            (tally.benign_allowed, tally.benign),
            (tally.after_allowed, tally.after),
            (tally.tasks_whole, tally.tasks),
        ]
        lines.append(f"| {name} | " + " | ".join(_share(*cell) for cell in cells) + " |")
    return "\n".join(lines)


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({100 * part / whole:.0f} %)" if whole else "none"


def strict(folder: Path) -> Path:
    """Write the example as its first list's comment offers it: nothing is called after something untrusted."""
    lines = EXAMPLE.read_text().splitlines(keepends=True)
    path = folder / "strict.toml"
    path.write_text("".join(line for line in lines if f'action = "{ALLOW}"' not in line))
    return path


def expect(guarded: Guard, scenes: Sequence[Scene]) -> Expected:
    """Play scenes without a gateway, and return what is made of each."""
    return {scene: judge(guarded, scene) for scene in scenes}


def judged(guarded: Guard, scenes: Sequence[Scene]) -> Tallies:
    """Play scenes without a gateway."""
    tallies: Tallies = {name: Tally() for name in load().suites}
    for scene in scenes:
        tallies[scene.suite].add(scene, judge(guarded, scene))
    return tallies
