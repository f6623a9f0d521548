"""What an OpenAI-compatible server answers, and what it means.

Fields are those of OpenAI's chat completions reference; the servers that follow it (vLLM, SGLang,
llama.cpp, gateways) each leave some out or shape errors their own way, so nothing here is taken for
granted but that the answer is JSON.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from engines.captions.engine import Refused

MAX_TEXT = 32_768  # characters of a caption; far beyond what any caption holds
MAX_WORDS = 300  # of the server's own, in a message or a reject's detail
_MAX_WAIT = 60.0  # seconds, whatever Retry-After asks for
_MAX_INT = 2**31 - 1  # Avro's int

# Codes that tell of our key, our account or our choice of model, whatever the status.
OURS = {"invalid_api_key", "model_not_found", "insufficient_quota"}
_FILTERED = {"content_filter", "content_policy_violation", "moderation_blocked"}
_THINKING = re.compile(r"(</?think(?:ing)?>)", re.IGNORECASE)
# Not for a text: controls but tab and newline, halves of surrogate pairs, which UTF-8 cannot hold.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Malformed(Exception):
    """The server says 200, but this is no chat completion."""


@dataclass(slots=True, frozen=True)
class Completion:
    text: str
    finish: Literal["stop", "length"]
    tokens_in: int | None
    tokens_out: int | None


@dataclass(slots=True, frozen=True)
class Complaint:
    """The body of an error: a code and a parameter's name, where the server gives them."""

    code: str
    parameter: str
    words: str

    @property
    def filtered(self) -> bool:
        """The content is at fault, not the request."""
        return self.code in _FILTERED

    def rejects(self, parameter: str) -> bool:
        """The model does not take `parameter`, or not the value that was sent."""
        unsupported = self.code in ("unsupported_parameter", "unsupported_value")
        return (unsupported and self.parameter == parameter) or (
            f"'{parameter}' is not supported with this model" in self.words
            or f"'{parameter}' does not support" in self.words
        )


def completion(body: bytes) -> Completion:
    """Read a chat completion.

    Raises:
        Malformed: it is none.
        Refused: the model or its filter would not, or there is no text.
    """
    answer = _json(body)
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list):
        raise Malformed(_words(body) or "an empty answer")
    if not choices:
        raise Refused("caption-empty", "no choices")
    choice = choices[0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise Malformed("a choice without a message")
    finish = choice.get("finish_reason")
    refusal = message.get("refusal")
    if finish == "content_filter" or (isinstance(refusal, str) and refusal):
        raise Refused("caption-refused", cleaned(str(refusal or finish), MAX_WORDS))
    full = cleaned(without_thoughts(_content(message.get("content"))))
    if not full:
        raise Refused("caption-empty", f"no text; finish reason {cleaned(str(finish), 40)}")
    text = full[:MAX_TEXT].rstrip()
    usage = answer.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Completion(
        text=text,
        finish="length" if finish == "length" or len(full) > MAX_TEXT else "stop",
        tokens_in=_count(usage.get("prompt_tokens")),
        tokens_out=_count(usage.get("completion_tokens")),
    )


def complaint(body: bytes) -> Complaint:
    """Read an error's body, whatever it is."""
    try:
        answer = _json(body)
    except Malformed:
        return Complaint("", "", _words(body))
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    if not isinstance(error, dict):
        return Complaint("", "", cleaned(str(error), MAX_WORDS))
    words = error.get("message") or error.get("detail") or json.dumps(error)
    named = [str(error.get(key) or "") for key in ("code", "type")]
    code = next((each for each in named if each in _FILTERED), named[0] or named[1])
    parameter = error.get("param")
    return Complaint(
        code=cleaned(code, 80),
        parameter=parameter if isinstance(parameter, str) else "",
        words=cleaned(str(words), MAX_WORDS),
    )


def models(body: bytes) -> list[str]:
    """The models of a listing, in its order.

    Raises:
        Malformed: it is no listing.
    """
    answer = _json(body)
    listed = answer.get("data") if isinstance(answer, dict) else answer
    if not isinstance(listed, list):
        raise Malformed(_words(body) or "an empty answer")
    names = (each.get("id") for each in listed if isinstance(each, dict))
    return [name for name in names if isinstance(name, str) and name]


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds to wait, as the server asks (RFC 9110, section 10.2.3), at most a minute; else 0."""
    asked = headers.get("Retry-After", "").strip()
    try:
        seconds = float(asked)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(asked).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError, OSError):
            return 0.0
    return min(max(seconds, 0.0), _MAX_WAIT) if math.isfinite(seconds) else 0.0


def without_thoughts(text: str) -> str:
    """`text` without ``<think>`` blocks.

    Some chat templates open the block in the prompt, so that only its end is answered; and a token
    limit may leave out the end.
    """
    kept: list[str] = []
    thinking = False
    for part in _THINKING.split(text):
        if not _THINKING.fullmatch(part):
            kept += [] if thinking else [part]
        elif part.startswith("</"):
            if not thinking:
                kept.clear()
            thinking = False
        else:
            thinking = True
    return "".join(kept)


def cleaned(text: str, limit: int | None = None) -> str:
    """`text` without control characters, stripped, cut at `limit` characters."""
    text = _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    return text if limit is None else text[:limit]


def _content(content: object) -> str:
    """A message's content: text, or a list of parts."""
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _count(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= _MAX_INT else None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:  # ValueError: not JSON, not UTF-8
        raise Malformed(_words(body) or "an empty answer") from error


def _words(body: bytes) -> str:
    return cleaned(body[: 4 * MAX_WORDS].decode("utf-8", "replace"), MAX_WORDS)
