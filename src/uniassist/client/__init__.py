"""A client of the gateway, as an app is one: send, follow, answer, cancel, across whatever breaks.

    async with Client("https://chat.example.com", user_id="u-7", token=fresh_token) as client:
        ack = await client.send("plan my weekend", session_id="s-1")
        async for event in client.follow(ack.session_id, cursor=ack.stream.cursor):
            …

A call that breaks is made again under the same key, so that it happens once; a stream goes on behind the last event
that was given. What the gateway refuses is Refused, with its code.
"""

from uniassist.client.client import Client, Token
from uniassist.client.failures import Away, ClientError, Refused

__all__ = ["Away", "Client", "ClientError", "Refused", "Token"]
