"""Ask the agent once, and print all that it says."""

import asyncio
import sys

from claude_agent_sdk import ClaudeAgentOptions, query


async def main() -> None:
    """Run the agent to its end."""
    options = ClaudeAgentOptions(allowed_tools=["Read"])
    async for message in query(prompt=sys.argv[1], options=options):
        print(message)


asyncio.run(main())
