// A small Socket.IO v4 client (Engine.IO 4, WebSocket only, text packets only) that keeps itself connected.

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 10_000;
const HANDSHAKE_MS = 10_000;
const ACK_MS = 5_000;

const ENGINE = { OPEN: "0", CLOSE: "1", PING: "2", PONG: "3", MESSAGE: "4" };
const SOCKET = { CONNECT: "0", DISCONNECT: "1", EVENT: "2", ACK: "3", CONNECT_ERROR: "4" };

/**
 * One connection to the default namespace.
 * `auth` returns what is sent at each handshake.
 * `onState` receives "connecting", "connected" and "offline".
 * `onRefused` receives the reason why a sign-in was refused, after which nothing is retried.
 */
export class Socket {
  #auth;
  #onState;
  #onRefused;
  #handlers = new Map();
  #acks = new Map();
  #lastAckId = 0;
  #failures = 0;
  #webSocket = null;
  #connected = false;
  #stopped = false;
  #silenceMs = HANDSHAKE_MS;
  #silenceTimer;
  #retryTimer;

  constructor({ auth, onState, onRefused }) {
    this.#auth = auth;
    this.#onState = onState;
    this.#onRefused = onRefused;
  }

  /** Calls `handler` with the arguments of every event with this name. */
  on(event, handler) {
    this.#handlers.set(event, handler);
  }

  /** Emits an event and resolves to the first argument of the server's acknowledgement. */
  request(event, ...args) {
    return new Promise((resolve, reject) => {
      if (!this.#connected) return reject(new Error("not connected"));
      const id = ++this.#lastAckId;
      const timer = setTimeout(() => this.#fail(id, "no answer in time"), ACK_MS);
      this.#acks.set(id, { resolve, reject, timer });
      this.#send(ENGINE.MESSAGE + SOCKET.EVENT + id + JSON.stringify([event, ...args]));
    });
  }

  connect() {
    this.#open();
  }

  close() {
    this.#stopped = true;
    clearTimeout(this.#retryTimer);
    if (this.#connected) this.#send(ENGINE.MESSAGE + SOCKET.DISCONNECT);
    this.#drop();
  }

  #open() {
    const url = new URL("/socket.io/?EIO=4&transport=websocket", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const webSocket = new WebSocket(url);
    this.#webSocket = webSocket;
    this.#silenceMs = HANDSHAKE_MS;
    this.#onState("connecting");
    this.#expectPacket();
    // A socket that was given up may still deliver: only the current one is listened to.
    webSocket.onmessage = ({ data }) => webSocket === this.#webSocket && this.#receive(data);
    webSocket.onclose = () => webSocket === this.#webSocket && this.#drop();
  }

  #drop() {
    const webSocket = this.#webSocket;
    this.#webSocket = null;
    this.#connected = false;
    clearTimeout(this.#silenceTimer);
    webSocket?.close();
    for (const id of this.#acks.keys()) this.#fail(id, "connection lost");
    this.#onState("offline");
    if (!this.#stopped) this.#retryLater();
  }

  #retryLater() {
    const ceiling = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#failures++);
    // Jitter, so that not every browser reconnects to a restarted service at once.
    this.#retryTimer = setTimeout(() => this.#open(), ceiling * (0.5 + Math.random() / 2));
  }

  /** The server pings; if it is silent for too long, the connection is dead even if TCP has not noticed. */
  #expectPacket() {
    clearTimeout(this.#silenceTimer);
    this.#silenceTimer = setTimeout(() => this.#drop(), this.#silenceMs);
  }

  #receive(packet) {
    if (typeof packet !== "string") return;
    if (this.#connected) this.#expectPacket();
    const body = packet.slice(1);
    switch (packet[0]) {
      case ENGINE.OPEN: return this.#greet(JSON.parse(body));
      case ENGINE.PING: return this.#send(ENGINE.PONG);
      case ENGINE.CLOSE: return this.#drop();
      case ENGINE.MESSAGE: return this.#receiveMessage(body[0], body.slice(1));
    }
  }

  #greet({ pingInterval, pingTimeout }) {
    this.#silenceMs = pingInterval + pingTimeout;
    this.#send(ENGINE.MESSAGE + SOCKET.CONNECT + JSON.stringify(this.#auth()));
  }

  #receiveMessage(type, body) {
    switch (type) {
      case SOCKET.CONNECT: return this.#welcome();
      case SOCKET.DISCONNECT: return this.#drop();
      case SOCKET.EVENT: return this.#dispatch(parseArguments(body));
      case SOCKET.ACK: return this.#acknowledged(parseArguments(body));
      case SOCKET.CONNECT_ERROR: return this.#refuse(JSON.parse(body).message);
    }
  }

  #welcome() {
    this.#connected = true;
    this.#failures = 0;
    this.#expectPacket();
    this.#onState("connected");
  }

  #refuse(reason) {
    this.close();
    this.#onRefused(reason);
  }

  #dispatch({ id, args: [event, ...args] }) {
    this.#handlers.get(event)?.(...args);
    if (id !== null) this.#send(ENGINE.MESSAGE + SOCKET.ACK + id + "[]");
  }

  #acknowledged({ id, args }) {
    this.#takeAck(id)?.resolve(args[0]);
  }

  #fail(id, reason) {
    this.#takeAck(id)?.reject(new Error(reason));
  }

  #takeAck(id) {
    const ack = this.#acks.get(id);
    this.#acks.delete(id);
    clearTimeout(ack?.timer);
    return ack;
  }

  #send(packet) {
    if (this.#webSocket?.readyState === WebSocket.OPEN) this.#webSocket.send(packet);
  }
}

/** Splits `12["name", …]` into the acknowledgement id, if any, and the arguments. */
function parseArguments(body) {
  const start = body.indexOf("[");
  return { id: start > 0 ? Number(body.slice(0, start)) : null, args: JSON.parse(body.slice(start)) };
}
