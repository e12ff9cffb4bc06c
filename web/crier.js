// Each message once, for pages of a server with inbox.message_id.
//   <script src="/socket.io/socket.io.js"></script>
//   <script src="/crier.js"></script>
//   <script>var socket = io(); crier(socket).on("new_msg", function (content) { … });</script>
// A message that was stored comes again when the server could not learn that it had arrived. Every message carries its id
// as one more argument; this takes it off, and calls the handlers once for each id, also after a reload of the page. A page
// with several sockets gives each a name: crier(socket, "orders"). For browsers from Internet Explorer 9 on, with any client from 1.0 on.
(function (global) {
  "use strict";
  var most = 1000; // ids that are remembered, the latest
  var shown = true; // the server writes false here where inbox.message_id is not set

  function storage() { // a browser may refuse it
    try { return global.sessionStorage; } catch (refused) { return undefined; }
  }

  function Memory(key) {
    var seen = {}, order = [], saving = false;
    function add(id) {
      seen["#" + id] = true;
      if (order.push(id) > most) delete seen["#" + order.shift()];
    }
    function save() {
      saving = false;
      try { storage().setItem(key, JSON.stringify(order)); } catch (refused) { /* then a reload forgets */ }
    }
    // Who leaves the page does not wait for the timer.
    if (global.addEventListener) global.addEventListener("onpagehide" in global ? "pagehide" : "unload", save);
    try { JSON.parse(storage().getItem(key)).forEach(add); } catch (nothing) { /* it begins empty */ }
    this.has = function (id) { return seen["#" + id] === true; };
    this.add = function (id) {
      add(id);
      if (!saving) saving = setTimeout(save, 0); // once for all that arrive together
    };
  }

  function crier(socket, name) {
    if (socket.crier) return socket.crier;
    var memory = new Memory("crier " + (name || "")), handlers = {};
    function receive(event, args) {
      var ack = typeof args[args.length - 1] === "function" ? [args.pop()] : [];
      if (socket._pid) args.pop(); // the offset of connection state recovery
      var id = args.pop();
      if (memory.has(id)) { if (ack[0]) ack[0](); return; }
      handlers[event].forEach(function (handler) { handler.apply(socket, args.concat(ack)); });
      memory.add(id); // behind the handlers: if one of them fails, the message may come again
    }
    socket.crier = { on: function (event, handler) {
      if (!shown) return socket.on(event, handler), this;
      if (handlers[event]) return handlers[event].push(handler), this;
      handlers[event] = [handler];
      socket.on(event, function () { receive(event, Array.prototype.slice.call(arguments)); });
      return this;
    } };
    return socket.crier;
  }
  global.crier = crier;
})(window);
