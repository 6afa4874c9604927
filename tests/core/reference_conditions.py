"""Conditions, evaluated slowly and obviously: what the evaluator is compared with.

Written from the rules, one at a time, without a thought for speed; it shares no code with what it judges.
"""

import re
from decimal import Decimal, InvalidOperation


def hold(conditions, content, context):
    """``conditions``: triples of key, operator and value. ``context``: a dictionary by the names that keys use."""
    return all(holds(*condition, content, context) for condition in conditions)


def holds(key, operator, value, content, context):
    one_is_enough = key.startswith("any:")
    if one_is_enough:
        key = key[len("any:") :]
    if key.startswith("context."):
        here = context[key[len("context.") :]]
        if isinstance(here, list):
            values = here
            one_is_enough = one_is_enough or operator not in ("notEqual", "notContains")
        else:
            values = [here] if here != "" else []
    else:
        values = follow(content, re.findall(r"[^.\[\]]+|\[[^\]]*\]", key))
    if operator == "exists":
        return (len(values) > 0) == (value is None or value)
    if not values:
        return False
    verdicts = [satisfies(each, operator, value) for each in values]
    return any(verdicts) if one_is_enough else all(verdicts)


def follow(content, path):
    if not path:
        return [content]
    step, *rest = path
    if step == "[*]":
        if not isinstance(content, list):
            return []
        return [value for element in content for value in follow(element, rest)]
    if step.startswith("["):
        index = int(step[1:-1])
        if not isinstance(content, list) or index >= len(content):
            return []
        return follow(content[index], rest)
    if not isinstance(content, dict) or step not in content:
        return []
    return follow(content[step], rest)


def satisfies(found, operator, value):
    if operator == "equal":
        return same(found, value)
    if operator == "notEqual":
        return not same(found, value)
    if operator == "in":
        return any(same(found, each) for each in value)
    if operator == "contains":
        return any(text(value) in each for each in everything_in(found))
    if operator == "notContains":
        return not any(text(value) in each for each in everything_in(found))
    if operator == "regex":
        return any(re.search(value, each) for each in everything_in(found))
    if isinstance(found, list | dict):
        return False
    if operator == "startsWith":
        return text(found)[: len(text(value))] == text(value)
    if operator == "endsWith":
        return text(found)[::-1][: len(text(value))] == text(value)[::-1]
    number = as_number(found)
    if number is None:
        return False
    return {"gt": number > value, "gte": number >= value, "lt": number < value, "lte": number <= value}[
        operator
    ]


def same(a, b):
    if isinstance(a, list | dict):
        return False
    if isinstance(a, str) and isinstance(b, str):
        return a == b
    if isinstance(a, bool) or isinstance(b, bool) or a is None or b is None:
        return text(a) == text(b) and (type(a) is type(b) or isinstance(a, str) or isinstance(b, str))
    left, right = as_number(a), as_number(b)
    return left is not None and right is not None and left == right


def as_number(value):
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    written = value.strip(" \t\r\n")
    if not written or any(character not in "0123456789+-.eE" for character in written):
        return None
    try:
        # Not by int alone, which refuses thousands of digits.
        return int(Decimal(written)) if written.lstrip("+-").isdigit() else float(written)
    except (ValueError, InvalidOperation):
        return None


def text(value):
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if value == int(value):
        return str(int(value))
    if abs(value) < 1e-6:
        mantissa, exponent = repr(value).split("e")
        return f"{mantissa}e{int(exponent)}"
    return format(Decimal(repr(value)), "f")


def everything_in(value):
    if isinstance(value, list):
        return [each for element in value for each in everything_in(element)]
    if isinstance(value, dict):
        return [*value, *(each for element in value.values() for each in everything_in(element))]
    return [text(value)]
