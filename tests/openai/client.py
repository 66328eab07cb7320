"""OpenAI's library for Python, unchanged, against Stoa. Plain asserts; the first that fails ends it."""

import json
import os
import urllib.request

import openai
from openai import OpenAI
from pydantic import BaseModel

BASE_URL, KEY, FAKE = (os.environ[name] for name in ("STOA_BASE_URL", "STOA_KEY", "FAKE_URL"))
client = OpenAI(base_url=BASE_URL, api_key=KEY)
QUESTION = [{"role": "user", "content": "How many days do I have to return unused items?"}]


class FindOrder(BaseModel):
    """What the tool is given."""

    query: str


def asked_message(calls):
    """The assistant's message with these calls, as a program would send it back."""
    return {"role": "assistant", "content": None, "tool_calls": [call.model_dump() for call in calls]}


def refused(kind, **arguments):
    """Makes a call that must fail in this way."""
    try:
        client.with_options(max_retries=0).chat.completions.create(**arguments)
    except kind as error:
        return error
    raise AssertionError(f"{arguments} should have been {kind.__name__}")


def asked_for(model):
    """How often the fake provider was asked for a model."""
    with urllib.request.urlopen(f"{FAKE}/_fake/requests") as answer:
        requests = json.load(answer)["requests"]
    return sum(request["model"].startswith(model) for request in requests)


# Models.
names = [model.id for model in client.models.list()]
assert names[:2] == ["stoa", "fake-chat"], names
assert client.models.retrieve("stoa").object == "model"

# The bot, whole: its answer comes from the documents.
whole = client.chat.completions.create(model="stoa", messages=QUESTION, user="e2e", seed=1)
message = whole.choices[0].message
assert "60 days" in message.content, message
assert whole.choices[0].finish_reason == "stop"
assert message.stoa["sources"][0]["title"] == "Returns", message
assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens > 0

# The bot, streamed, with what it took.
text, sources, usage, pieces = "", [], None, 0
stream = client.chat.completions.create(
    model="stoa", messages=QUESTION, stream=True, stream_options={"include_usage": True}
)
for chunk in stream:
    usage = chunk.usage or usage
    for choice in chunk.choices:
        pieces += 1
        text += choice.delta.content or ""
        if choice.finish_reason:
            assert choice.finish_reason == "stop"
            sources = chunk.stoa["sources"]
assert "60 days" in text and pieces > 5, text
assert sources[0]["title"] == "Returns", sources
assert usage.completion_tokens > 0, usage

# The library's own helper, which gathers the chunks.
with client.chat.completions.stream(model="fake-chat", messages=QUESTION) as helper:
    final = helper.get_final_completion()
assert final.choices[0].message.content.startswith("You asked: How many days"), final

# A model passed through, by the name of its configuration, with limits.
plain = client.chat.completions.create(
    model="good", messages=QUESTION, temperature=0.2, max_completion_tokens=50, stop=["days"]
)
assert plain.choices[0].message.content == "You asked: How many ", plain

# Tools: the model's calls come back, whole and streamed alike, and are answered.
TOOLS = [
    openai.pydantic_function_tool(FindOrder, name="find_order", description="Finds an order."),
    {"type": "function", "function": {"name": "find_shop", "parameters": {"type": "object", "properties": {}}}},
]
for model in ("calling", "stoa"):
    asked = client.chat.completions.create(model=model, messages=QUESTION, tools=TOOLS, tool_choice="required")
    if model == "calling":
        calls = asked.choices[0].message.tool_calls
        assert asked.choices[0].finish_reason == "tool_calls", asked
        assert [call.function.name for call in calls] == ["find_order", "find_shop"], calls
        assert json.loads(calls[0].function.arguments)["query"] == QUESTION[0]["content"], calls
    else:
        assert not asked.choices[0].message.tool_calls, "the first model of this instance calls nothing"
with client.chat.completions.stream(model="calling", messages=QUESTION, tools=TOOLS[1:]) as helper:
    kinds = {event.type for event in helper}
    final = helper.get_final_completion().choices[0]
assert {"tool_calls.function.arguments.delta", "tool_calls.function.arguments.done"} <= kinds, kinds
assert final.finish_reason == "tool_calls" and final.message.tool_calls[1].id == calls[1].id, final
results = [{"role": "tool", "tool_call_id": call.id, "content": f"{call.function.name} is closed"} for call in calls]
for model in ("calling", "stoa"):
    going_on = QUESTION + [asked_message(calls)] + results
    answer = client.chat.completions.create(model=model, messages=going_on, tools=TOOLS, parallel_tool_calls=False)
    assert answer.choices[0].message.content.startswith("The tool said: find_shop is closed"), answer
one = client.chat.completions.create(model="calling", messages=QUESTION, tools=TOOLS, parallel_tool_calls=False)
assert len(one.choices[0].message.tool_calls) == 1, one
lost = refused(openai.BadRequestError, model="stoa", messages=QUESTION + results[:1])
assert lost.param == "messages[1].tool_call_id", lost
days = client.chat.completions.create(model="good", messages=QUESTION, response_format={"type": "json_object"})
assert days.choices[0].message.content

# Failures are the library's own kinds.
assert refused(openai.NotFoundError, model="gpt-9", messages=QUESTION).code == "model_not_found"
assert refused(openai.BadRequestError, model="stoa", messages=[]).param == "messages"
assert refused(openai.BadRequestError, model="stoa", messages=QUESTION, n=2).param == "n"
limited = refused(openai.RateLimitError, model="limited-python", messages=QUESTION)
assert limited.code == "rate_limit_exceeded" and limited.response.headers["retry-after"] == "1"
try:
    OpenAI(base_url=BASE_URL, api_key="sk-wrong").models.list()
    raise AssertionError("a wrong key was taken")
except openai.AuthenticationError as error:
    assert error.code == "invalid_api_key"
try:
    for chunk in client.chat.completions.create(model="breaking", messages=QUESTION, stream=True):
        pass
    raise AssertionError("a stream that broke off looked whole")
except openai.APIError as error:
    assert "provider" in error.message.lower(), error

# The library tries again by itself: the fake refuses two calls for the model, and one was above.
assert client.chat.completions.create(model="limited-python", messages=QUESTION).choices[0].message.content
assert asked_for("python-fake") == 3, asked_for("python-fake")

# Vectors, which the library asks for in base64.
vectors = client.embeddings.create(model="fake-embedding", input=["tents", "boots"])
assert [len(it.embedding) for it in vectors.data] == [256, 256]
floats = client.embeddings.create(model="stoa", input="tents", encoding_format="float")
assert all(abs(a - b) < 1e-6 for a, b in zip(floats.data[0].embedding, vectors.data[0].embedding))
print(f"openai {openai.__version__} for Python: well")
