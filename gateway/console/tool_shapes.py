"""Parameters, bodies and answers of what concerns tools and the policies on them, as the description has them."""

from typing import Annotated, Any, Literal

import msgspec

from gateway.console.shapes import Listed, Text
from gateway.core.conditions import Condition
from gateway.core.decision import Decision, Mode
from gateway.core.discovery import Kind
from gateway.core.entities import ToolInvocationPolicy, TrustedDataPolicy
from gateway.core.explanation import Considered, Default
from gateway.storage.queries.tools import Wanted

MOST_TOOLS = 200
"""Tools whose policies are set at once: the database takes no records meanwhile."""
_MOST_POLICIES = 100
Search = Annotated[str, msgspec.Meta(min_length=1, max_length=256, description="A part of the name.")]
Conditions = Annotated[tuple[Condition, ...], msgspec.Meta(max_length=100)]
Names = Annotated[
    tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=256)], ...], msgspec.Meta(max_length=100)
]
CallAction = Literal[
    "allow_when_context_is_untrusted", "block_when_context_is_untrusted", "block_always", "require_approval"
]
ResultAction = Literal["mark_as_trusted", "mark_as_untrusted", "block_always", "sanitize_with_dual_llm"]


class ToolFilters(Listed, frozen=True, kw_only=True):
    """Which page of which tools; all that is said applies."""

    agent: Text | None = None
    name: Text | None = None
    q: Search | None = None
    kind: Kind | None = None

    def wanted(self, agent: str | None) -> Wanted:
        """Return what the queries take, of this agent if there is one."""
        return Wanted(agent=agent or self.agent, name=self.name, q=self.q, kind=self.kind)


class Applied(msgspec.Struct, kw_only=True):
    """A policy that is for a tool, by its name or by a glob."""

    id: str
    tool: str
    action: str
    mode: Mode
    conditioned: bool
    """It counts only where its conditions hold."""
    declared: bool


class OfTool(msgspec.Struct):
    """The policies on a tool's calls and on its results."""

    call: list[Applied]
    result: list[Applied]


class Defaults(msgspec.Struct):
    """What holds of a tool where no policy with conditions matches."""

    call: Default
    result: Default


class Said(msgspec.Struct, kw_only=True):
    """What a tool says of itself."""

    client: str
    """Which client declared it so last."""
    description: str
    parameters: Any
    """The JSON schema of its arguments; null: it has none, or one that is not kept."""
    parameters_bytes: int
    first_seen: str | None
    last_seen: str | None


class Version(Said, kw_only=True):
    """What it said of itself for some time."""

    version: str


class ListedTool(Said, kw_only=True):
    """A tool that requests of an agent declare."""

    id: str
    agent: str
    name: str
    kind: Kind
    versions: int
    policies: OfTool | None
    """Null for a virtual key, as the next."""
    default: Defaults | None


class ListedTools(msgspec.Struct):
    """A page of tools, by name."""

    items: list[ListedTool]
    next: str | None


class ShownTool(ListedTool, kw_only=True):
    """A tool, and what it has said of itself, the latest first."""

    history: list[Version]


class _Setting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: str = ""
    conditions: Conditions = ()
    mode: Mode = "enforce"


class CallSetting(_Setting, frozen=True, kw_only=True):
    """What is to be done with calls."""

    action: CallAction


class ResultSetting(_Setting, frozen=True, kw_only=True):
    """What is to be done with results."""

    action: ResultAction


class Bulk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Policies for many tools at once."""

    tools: Annotated[
        tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=256)], ...],
        msgspec.Meta(min_length=1, max_length=MOST_TOOLS, description="Names, or ids of the list."),
    ]
    call: CallSetting | None = None
    result: ResultSetting | None = None
    agents: Names = ()
    teams: Names = ()


class Outcome(msgspec.Struct):
    """What became of one tool's policy."""

    tool: str
    kind: Literal["call", "result"]
    policy: str
    outcome: Literal["created", "changed", "unchanged"]


class Outcomes(msgspec.Struct):
    """What became of all."""

    items: list[Outcome]


class Draft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A policy that is not stored: on calls if a call is asked about, else on results."""

    tool: str
    action: CallAction | ResultAction
    id: str = ""
    """The stored policy in whose place it is tried."""
    conditions: Conditions = ()
    reason: str = ""
    agents: Names = ()
    teams: Names = ()
    mode: Mode = "enforce"

    def entity(self, kind: type[ToolInvocationPolicy | TrustedDataPolicy], id_: str) -> Any:
        """Return it as the policy that it would be; raise ``msgspec.ValidationError`` if it can be none."""
        return msgspec.convert(msgspec.structs.asdict(self) | {"id": self.id or id_}, kind)


class AskedContext(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In which context it is asked; what is not said is as the agent has it, or empty."""

    agent: str = ""
    """Its slug or id; empty: the default agent."""
    team_ids: Names | None = None
    user: str = ""
    external_agent: str = ""
    model: str = ""
    provider: str = ""
    untrusted: bool | None = None


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call, or a result, of which it is asked what policies say."""

    tool: Annotated[str, msgspec.Meta(max_length=1024)]
    arguments: dict[str, Any] | str | msgspec.UnsetType = msgspec.UNSET
    """An object, or its JSON as a model may write it, be it broken."""
    result: Any = msgspec.UNSET
    """JSON, or a text as the client sends it."""
    is_error: bool = False
    context: AskedContext = AskedContext()
    policies: Annotated[tuple[Draft, ...], msgspec.Meta(max_length=_MOST_POLICIES)] = ()
    """Others to be tried beside the stored ones."""
    instead: bool = False
    """They are tried in the place of all the stored ones."""


class Explained(msgspec.Struct, kw_only=True):
    """What is decided, and why."""

    decision: Decision
    decisions: list[Decision]
    """All: also those of policies in shadow mode, and of the tools that the call means."""
    considered: list[Considered]
    default: Default
    untrusted: bool
    """Whether the context counted as untrusted."""
