// Who this page is: a uid from the address, from this tab's memory, or made up.

const alphabet = "abcdefghjkmnpqrstuvwxyz23456789"; // nothing that looks like something else
const $ = (id) => document.getElementById(id);

// A private window may refuse storage; the page then works without a memory.
const memory = {
  get(key) {
    try { return sessionStorage.getItem(key); } catch { return null; }
  },
  set(key, value) {
    try { sessionStorage.setItem(key, value); } catch { /* nothing to remember with */ }
  },
};

function randomUid() {
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  return Array.from(bytes, (b) => alphabet[b % alphabet.length]).join("");
}

export function validUid(uid) {
  const bytes = new TextEncoder().encode(uid).length;
  return bytes >= 1 && bytes <= 255 && !/[\u0000-\u001f\u007f-\u009f]/.test(uid);
}

export class Identity {
  constructor(text) {
    this.text = text;
    this.onChange = () => {};
    const url = new URL(location.href);
    const asked = url.searchParams.get("uid") ?? "";
    this.token = url.searchParams.get("token") ?? memory.get("crier.token") ?? "";
    this.uid = validUid(asked) ? asked : memory.get("crier.uid") || randomUid();
    memory.set("crier.uid", this.uid);
    memory.set("crier.token", this.token);
    if (url.searchParams.has("token")) { // a token does not stay in the address bar
      url.searchParams.delete("token");
      history.replaceState(null, "", url);
    }
    this.#bind();
  }

  #bind() {
    const input = $("uid");
    input.value = this.uid;
    this.#fit();
    input.addEventListener("input", () => {
      input.setCustomValidity("");
      $("uid-apply").hidden = input.value === this.uid;
      this.#fit();
    });
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      input.value = this.uid;
      input.setCustomValidity("");
      $("uid-apply").hidden = true;
      this.#fit();
    });
    $("uid-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#change(input.value);
    });
  }

  #change(uid) {
    if (!validUid(uid)) {
      $("uid").setCustomValidity(this.text.uid_bad);
      $("uid").reportValidity();
      return;
    }
    $("uid-apply").hidden = true;
    $("uid").blur();
    if (uid === this.uid) return;
    this.uid = uid;
    memory.set("crier.uid", uid);
    const url = new URL(location.href);
    url.searchParams.set("uid", uid);
    history.replaceState(null, "", url);
    this.onChange(uid);
  }

  // Long uids get smaller letters.
  #fit() {
    const n = $("uid").value.length;
    $("uid").dataset.size = n <= 8 ? "l" : n <= 14 ? "m" : n <= 26 ? "s" : "xs";
  }
}
