"""What a provider is written with: a handler that answers, and around it all else that the contract asks for.

    from uniassist.provider import Call, Provider

    weather = Provider("weather", name="Weather", description="Says what the weather will be.")

    @weather.invoke
    async def answer(call: Call) -> str:
        return f"It will rain, {call.user.user_id}."

    if __name__ == "__main__":
        weather.run(port=9001)

`docs/providers.md` says what may be asked of a provider, and how one is connected.
"""

from uniassist.provider.call import Call
from uniassist.provider.late import Gateway, NotAccepted, Run
from uniassist.provider.provider import Provider

__all__ = ["Call", "Gateway", "NotAccepted", "Provider", "Run"]
