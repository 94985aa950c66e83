"""Try the channel without an account: the platform on a port, and you as the person who writes."""

from __future__ import annotations

import argparse
import asyncio

from tests.wechat_simulator.simulator import WechatSimulator, talk


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.wechat_simulator", description=__doc__)
    parser.add_argument("--adapter", default="http://127.0.0.1:8788", help="where adapter-wechat listens")
    parser.add_argument("--token", required=True, help="the adapter's WECHAT_TOKEN")
    parser.add_argument("--aes-key", help="the adapter's WECHAT_ENCODING_AES_KEY; without: plain mode")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--openid", default="openid-of-yours")
    asked = parser.parse_args()
    with WechatSimulator(token=asked.token, aes_key=asked.aes_key, port=asked.port) as simulator:
        simulator.watch(asked.adapter)
        print("Settings of the adapter:")
        for name, value in simulator.settings.items():
            print(f"  {name}={value}")
        print("Write a line; Ctrl-D ends.")
        asyncio.run(talk(simulator, asked.openid))


if __name__ == "__main__":
    main()
