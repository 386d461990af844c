"""The model of tests/models.py as a chat model of LangChain."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from tests.models import next_message


class ChatModel(BaseChatModel):
    @property
    def _llm_type(self) -> str:
        return "without-account"

    def bind_tools(self, *_: Any, **__: Any) -> Any:  # noqa: ANN401 - LangChain's types
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:  # noqa: ANN401
        results = [str(each.content) for each in messages if each.type == "tool"]
        tool, arguments = next_message(messages[0].text, messages[1].text, results)
        call = {"name": tool, "args": arguments, "id": "call"}
        message = AIMessage("", tool_calls=[call]) if tool else AIMessage("Done.")
        return ChatResult(generations=[ChatGeneration(message=message)])
