// Makes a page's browser as old as IE 8 and 9 are to a client: no WebSocket, an XMLHttpRequest that may not call other
// origins and has no bytes, and for those XDomainRequest, which sends GET and POST without headers and cookies of its
// own. It runs before the client.
(function () {
  var Real = window.XMLHttpRequest;

  window.WebSocket = undefined;
  window.XMLHttpRequest = function () {
    this.open = function () {
      throw new Error("Access is denied.");
    };
  };

  window.XDomainRequest = function () {
    var own = this;
    var real = new Real();
    own.responseText = "";
    own.contentType = "";
    own.timeout = 0;
    own.open = function (method, url) {
      if (method !== "GET" && method !== "POST") throw new Error("Invalid argument.");
      if (new URL(url, location).protocol !== location.protocol) throw new Error("Access is denied.");
      real.open(method, url, true);
    };
    own.send = function (data) {
      real.timeout = own.timeout;
      real.send(data === undefined || data === null ? null : new Blob([data])); // which has no Content-Type
    };
    own.abort = function () {
      real.abort();
    };
    real.onload = function () {
      own.responseText = real.responseText;
      own.contentType = real.getResponseHeader("Content-Type") || "";
      var fine = real.status >= 200 && real.status < 300;
      if (fine ? own.onload : own.onerror) (fine ? own.onload : own.onerror)();
    };
    real.onerror = function () {
      if (own.onerror) own.onerror();
    };
    real.ontimeout = function () {
      if (own.ontimeout) own.ontimeout();
    };
    real.onprogress = function () {
      if (own.onprogress) own.onprogress();
    };
  };
})();
