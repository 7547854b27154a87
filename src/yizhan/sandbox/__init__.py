"""An offline WeChat and QQ: every platform's own HTTP API on a local address, over a simulated world."""

from yizhan.sandbox.app import DEFAULT_PORT, Sandbox, serve

__all__ = ["DEFAULT_PORT", "Sandbox", "serve"]
