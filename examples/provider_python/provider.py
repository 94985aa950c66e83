"""Counts the words of what it is sent: a provider with the SDK, streamed as it is written.

python provider.py, and PORT=… for another port than 9001.
"""

from __future__ import annotations

from collections import Counter

from uniassist.provider import Call, Provider

words = Provider("words", name="Words", description="Counts the words of a text.", events=["assistant_message"])


@words.invoke
async def count(call: Call) -> None:
    counted = Counter(call.text.lower().split())
    await call.write("一共有" if call.language == "zh" else "In all ")
    await call.write(f"{counted.total()} 个词。" if call.language == "zh" else f"{counted.total()} words.")
    for word, times in counted.most_common(3):
        await call.write(f"\n{word[:40]} × {times}")


if __name__ == "__main__":
    words.run(port=9001)
