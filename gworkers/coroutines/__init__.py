"""Coroutines in a green worker: one asyncio loop in a native thread, and the greenlets that wait for it."""
