"""Every attack on an answer, and why some do not exist on some wires."""

from tests.attacks.model import Attack, NotExpressible
from tests.attacks.wires.anthropic import ANTHROPIC
from tests.attacks.wires.chat import CHAT
from tests.attacks.wires.gemini import GEMINI, GEMINI_ARRAY
from tests.attacks.wires.responses import RESPONSES

TABLES = (CHAT, RESPONSES, ANTHROPIC, GEMINI, GEMINI_ARRAY)
ATTACKS: tuple[Attack, ...] = tuple(attack for table in TABLES for attack in table.attacks)
MISSING: tuple[NotExpressible, ...] = tuple(missing for table in TABLES for missing in table.missing)
