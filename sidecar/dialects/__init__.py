"""All that is true of one API.

Rule: outside of this room, `domain.call` and ``config`` nothing names a dialect: no comparison, no
table by its name, no import of its module. A dialect is one module and one row of
`registry.DIALECTS`, so that an API is added, read and changed in one place.

Words. A *dialect* is an API that apps call: chat, responses, messages, embeddings. Its *endpoints*
are the paths at which they call it. *Peek* reads the few members of a request body that steer a
call; *patch* writes another model's name into it. *Turns* are the conversation, as text. *Served*
is what a response says about itself: tokens, model, why it ended.

Flow, in the order in which a call meets it:

    registry    which dialect a path belongs to; where it belongs to none, what the headers say;
                the list of models, in one shape that the SDKs of all dialects can read
    request     steering members and turns, which all request bodies have in common
    lenient     decodes what apps and providers got nearly right
    chat, responses, messages, embeddings
                each implements `base.Dialect`: endpoints, bodies, responses, streams, errors
    signed_state
                whether the newest turn holds what only its maker can read
    signed_cuts cuts that out of a body, before the open tool loop
    usage       reads responses and events leniently, within bounds of size
    errors      tells an error from a response: a whole body, an event of a stream
    openai      how the errors of OpenAI's three APIs are written
    guess       which API a body belongs to that comes without a path

`base` holds the interface, and the values said through it: `Turn`, `Problem`, an error before it is
put into a dialect's words, and `StreamRules`, by which the relay follows an event stream that it
does not decode.

Dialects hold no state, do no I/O and import only ``domain`` and ``wire``.
"""
