// The two curl lines that push to this page, and their copy buttons.

const $ = (id) => document.getElementById(id);

const isLoopback = (host) => host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127\./.test(host);

// pushBase is the address of the push port as seen from where this page is.
function pushBase({ host, port }) {
  if (!port) return location.origin + "/";
  if (!host) host = isLoopback(location.hostname) ? "127.0.0.1" : location.hostname;
  return `http://${host}:${port}/`;
}

// quote makes one shell word: double quotes, which cmd.exe knows too, unless the
// text has something that a POSIX shell would still read inside them.
function quote(s) {
  return /["$`\\!]/.test(s) ? "'" + s.replaceAll("'", "'\\''") + "'" : `"${s}"`;
}

function curlArgs(config, uid) {
  const args = [["curl", quote(pushBase(config.push))]];
  if (config.push.access === "keys") args.push(["-H", '"Authorization: Bearer $CRIER_KEY"']);
  args.push(["-d", "type=publish"]);
  if (uid !== null) {
    args.push(/^[\w.~-]+$/.test(uid) ? ["-d", `to=${uid}`, "to"] : ["--data-urlencode", quote(`to=${uid}`), "to"]);
  }
  args.push(["--data-urlencode", quote(`content=${config.text.sample}`), "content"]);
  return args;
}

// show writes one option with its value per unbreakable span, so that a narrow
// screen breaks the line between options.
function show(code, args) {
  code.replaceChildren(
    ...args.flatMap(([flag, value, part]) => {
      const span = document.createElement("span");
      const mark = document.createElement(part ? "b" : "span");
      mark.textContent = value;
      span.append(flag + " ", mark);
      return [span, " "];
    }),
  );
  code.dataset.line = args.map(([flag, value]) => `${flag} ${value}`).join(" ");
}

// A browser may push by itself only where no key is asked and the push port
// sees it come from its own machine.
function link(a, config, uid) {
  const { access, port } = config.push;
  a.hidden = !(access === "loopback" && port && (location.hostname === "localhost" || /^127\./.test(location.hostname)));
  if (a.hidden) return;
  const query = new URLSearchParams({ type: "publish", ...(uid !== null && { to: uid }), content: config.text.sample });
  a.href = `http://${location.hostname}:${port}/?${query}`;
}

async function copyText(text) {
  if (navigator.clipboard && window.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = document.createElement("textarea"); // plain http has no clipboard API
  area.value = text;
  area.className = "offscreen";
  document.body.append(area);
  area.select();
  const ok = document.execCommand("copy");
  area.remove();
  if (!ok) throw new Error("copy refused");
}

function bindCopy(button, config) {
  const label = button.textContent;
  let timer;
  button.addEventListener("click", async () => {
    const code = $(button.dataset.copy);
    let done = true;
    try {
      await copyText(code.dataset.line);
    } catch {
      done = false;
      getSelection().selectAllChildren(code);
    }
    button.textContent = done ? config.text.copied : config.text.copy_failed;
    button.dataset.done = done;
    button.focus();
    clearTimeout(timer);
    timer = setTimeout(() => {
      button.textContent = label;
      delete button.dataset.done;
    }, 2000);
  });
}

let bound = false;

export function fillCommands(config, uid) {
  show($("one"), curlArgs(config, uid));
  show($("all"), curlArgs(config, null));
  link($("one-link"), config, uid);
  link($("all-link"), config, null);
  if (bound) return;
  bound = true;
  for (const button of document.querySelectorAll("[data-copy]")) bindCopy(button, config);
}
