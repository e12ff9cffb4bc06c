// Clients without Socket.IO, in Node and in a page. Commands:
//   {"do":"open","id","kind","url","query"}   kind: ws, sse, comet, jsonp, sockjs-<transport>
//   {"do":"send","id","text"}                 a message of the client's, for ws and sockjs
//   {"do":"forget"}                           closes all
// What happens is printed as {"id","on":"open"|"message"|"closed", …}. A message has mid, event, args and ack; where a
// transport gives the argument of new_msg as it is, that is the one of args.
//
// Each comes back by itself, after the last message that it has got: as an EventSource does, the others by the code here.
export function commands({ WebSocket, EventSource, SockJS, script }, print) {
  const open = new Map(); // functions that close, by id
  const sends = new Map();
  const pause = () => new Promise((done) => setTimeout(done, 200));
  const say = (id, { id: mid, event, args, ack }) => print({ id, on: "message", mid, event, args, ack });

  function hear(id, text) {
    const one = JSON.parse(text);
    if (one.event && one.ack) sends.get(id)(JSON.stringify({ ack: one.ack, args: ["from " + id] }));
    if (one.event !== "ready") say(id, one);
    return one.id;
  }

  // Keeps a connection of the kind that connect makes, given the last message's id.
  function keep(id, connect) {
    let last = "";
    let current;
    let over = false;
    const again = () => {
      if (over) return;
      current = connect(last);
      sends.set(id, (text) => current.send(text));
      current.onopen = () => print({ id, on: "open" });
      current.onerror = () => {}; // onclose follows; npm's ws throws what nobody hears
      current.onmessage = ({ data }) => (last = hear(id, data) ?? last);
      current.onclose = async ({ code, reason }) => {
        print({ id, on: "closed", code, reason });
        await pause();
        again();
      };
    };
    again();
    open.set(id, () => {
      over = true;
      current.close();
    });
  }

  function events(id, url) {
    const source = new EventSource(url);
    open.set(id, () => source.close());
    source.onopen = () => print({ id, on: "open" });
    source.onerror = () => print({ id, on: "closed" });
    source.addEventListener("new_msg", ({ lastEventId, data }) => say(id, { id: lastEventId, event: "new_msg", args: [data] }));
    for (const event of ["e", "missed", "disconnect"])
      source.addEventListener(event, ({ lastEventId, data }) => say(id, { id: lastEventId, event, args: JSON.parse(data) }));
  }

  // Polls by ask, which gets an address and returns the answer.
  async function poll(id, url, ask) {
    let over = false;
    open.set(id, () => (over = true));
    for (let next = "", well; !over; ) {
      try {
        const answer = await ask(url + (next && "&after=" + encodeURIComponent(next)) + (well ? "" : "&wait=0"));
        if (!well) print({ id, on: "open" });
        well = true;
        next = answer.next;
        if (answer.missed) say(id, { event: "missed", args: [] });
        for (const one of answer.messages) say(id, one);
      } catch (error) {
        if (well) print({ id, on: "closed", reason: String(error) });
        well = false;
        await pause();
      }
    }
  }

  const ways = {
    ws: (id, url) => keep(id, (last) => new WebSocket(url.replace(/^http(.*)\?/, "ws$1/ws?") + "&after=" + encodeURIComponent(last))),
    sse: (id, url) => events(id, url.replace("?", "/sse?")),
    comet: (id, url) =>
      poll(id, url.replace("?", "/comet?"), async (address) => {
        const answer = await fetch(address);
        if (!answer.ok) throw new Error(await answer.text());
        return answer.json();
      }),
    jsonp: (id, url) => poll(id, url.replace("?", "/comet?"), script),
  };

  return {
    open({ id, kind, url, query }) {
      const address = `${url}?${query}`;
      const sock = /^sockjs-(.*)/.exec(kind)?.[1];
      if (sock) keep(id, (last) => new SockJS(address.replace("?", "/sockjs?") + "&after=" + encodeURIComponent(last), null, { transports: sock }));
      else ways[kind](id, address);
    },
    send({ id, text }) {
      sends.get(id)(text);
    },
    forget() {
      for (const close of open.values()) close();
      open.clear();
    },
  };
}
