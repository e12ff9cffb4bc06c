"""Opens Socket.IO connections with python-socketio's client: commands on standard input and what happens on standard
output, a JSON object a line, as clients/sockets.mjs says. Of the options it knows transports, reconnectionDelay and
reconnectionDelayMax.
"""

import asyncio
import json
import os
import sys

import socketio


def tell(id, on, **more):
    print(json.dumps({"id": id, "on": on, **more}), flush=True)


class Driver:
    def __init__(self):
        self.sockets = {}
        self.tasks = set()  # the loop keeps weak references alone

    async def run(self):
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            command = json.loads(line)
            # In their order, and no waiting: connecting and closing take several round trips.
            task = asyncio.create_task(getattr(self, command["do"])(command))
            self.tasks.add(task)
            task.add_done_callback(self.ended)
        os._exit(0)  # whatever the clients still do

    def ended(self, task):
        self.tasks.discard(task)
        if not task.cancelled() and task.exception():
            print(repr(task.exception()), file=sys.stderr, flush=True)

    async def open(self, command):
        id, options = command["id"], command["options"]
        client = socketio.AsyncClient(
            reconnection_delay=options["reconnectionDelay"] / 1000,
            reconnection_delay_max=options["reconnectionDelayMax"] / 1000,
        )
        self.sockets[id] = client

        async def connect():
            engine = client.eio.sid
            tell(id, "connect", sid=getattr(client, "sid", None) or engine, engine=engine, transport=client.transport())
            if "login" in command:
                await self.emit({"id": id, "event": "login", "args": [command["login"]], "ack": "login"})

        async def disconnect(*reason):  # 5.12 and later give one
            tell(id, "disconnect", reason=" ".join(map(str, reason)))

        async def connect_error(*reason):
            tell(id, "refused", reason=" ".join(map(str, reason)))

        client.on("connect", connect)
        client.on("disconnect", disconnect)
        client.on("connect_error", connect_error)
        for event in command["watch"]:
            client.on(event, self.watcher(id, event))
        await client.connect(command["url"], transports=options.get("transports"))
        if "transports" not in options and client.transport() == "websocket":  # it has no event for that
            tell(id, "upgrade", transport=client.transport())

    def watcher(self, id, event):
        async def happened(*args):
            tell(id, "event", event=event, args=args)

        return happened

    async def emit(self, command):
        id, ack = command["id"], command.get("ack")

        def answered(*args):
            tell(id, "ack", ack=ack, args=args)

        await self.sockets[id].emit(command["event"], tuple(command["args"]), callback=answered if ack else None)

    async def close(self, command):
        await self.sockets[command["id"]].disconnect()

    async def forget(self, command):
        sockets, self.sockets = self.sockets, {}
        for client in sockets.values():
            client.reconnection = False
            await client.disconnect()


asyncio.run(Driver().run())
