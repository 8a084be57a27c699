"""From one API to another, through a neutral conversation.

Rule of the room: pure. A request is read into one `conversation.Conversation` and written from it,
a response into `completion` values and written from them: three readers and three writers, and no
pair of APIs is written by hand. Nothing is lost in silence: what a writer leaves out is a
`losses.Loss`, weighed by one table of fields, `fields`.

| module | what it is |
|---|---|
| `conversation` | a request, whatever API it came in |
| `completion` | a response, whole or as events, whatever API it came in |
| `completion_events` | a whole response as events, for a caller that wants a stream |
| `losses` | what a request would be sent without, and how grave that is |
| `requests` | the door for requests: read, weighed, written |
| `fields`, `chat_fields`, ... | every field of the three APIs' requests, and what becomes of it |
| `chat_reader`, `responses_reader`, `messages_reader` | a request as a conversation |
| `chat_writer`, `responses_writer`, `messages_writer` | a conversation as a request |
| `late_results` | results of tools that came late, behind their calls |
| `reading`, `writing` | what readers and writers have in common |
| `targets` | what the model at the other end can do, by its family and id |
| `claude_models`, `openai_models` | what is known of their makers' models |
| `fitting` | how far a conversation's wishes fit a target: what is written, what is lacking |
| `weighing` | what a target would not get, by the caller's own names |
| `responses` | the door for responses: whole, streamed, errors |
| `chat_whole`, `responses_whole`, `messages_whole` | whole responses, read and written |
| `chat_event_reader`, ... | a provider's event stream as neutral events |
| `chat_event_writer`, ... | neutral events as the caller's event stream |
| `event_ports` | what the door asks of both |
| `event_splitter` | server-sent events, whatever the chunks |
| `value_count` | how many values a text has, before it is decoded |
| `chat_calls`, `output_parts`, `part_queue` | parts that grow side by side |
| `response_frame`, `open_items` | the objects of the responses API, as bytes |
| `reasons`, `token_usage`, `tool_calls` | ends, counts and arguments, in each API's words |
| `tool_ids` | ids of tool calls, within each API's length and alphabet, without state |
| `provider_error` | a provider's error in the caller's words |
| `lost_content`, `bounds` | what is named as left out; how much a provider may ask for |

[README](README.md): what becomes of a request, and of a response.
"""
