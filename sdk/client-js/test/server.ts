/** A small server that speaks the contract: sessions, one echoing method, events with cursors, and every way to say no. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';

interface Frame {
  type: string;
  token?: string;
  resume?: string;
  id?: number;
  method?: string;
  params?: Record<string, unknown>;
  idempotency_key?: string;
}

export class TestServer {
  readonly frames: Frame[] = [];
  readonly requests: { path: string; key: string | undefined; token: string | undefined }[] = [];
  readonly log: { cursor: number; topic: string; data: unknown }[] = [];
  readonly sockets: WebSocket[] = [];
  readonly done = new Map<string, unknown>();
  refreshes = 0;
  executed = 0;
  /** Answers held back until `release`, so that a test decides their order. */
  hold = false;
  /** Hears, and says nothing: what a phone's dead line looks like. */
  mute = false;
  oldestCursor = 0;
  tokenSeconds = 600;
  refuseRefresh = false;
  failNextHttp = 0;
  loseNextAnswer = false;
  readonly #held: (() => void)[] = [];
  readonly #http: Server;
  readonly #wss: WebSocketServer;
  base = '';

  constructor() {
    this.#http = createServer((request, response) => this.#serve(request, response));
    this.#wss = new WebSocketServer({ server: this.#http, path: '/api/v1/socket', handleProtocols: () => 'vaxel.v1' });
    this.#wss.on('connection', (socket) => {
      this.sockets.push(socket);
      socket.on('message', (data) => this.#frame(socket, JSON.parse(String(data)) as Frame));
      socket.on('error', () => undefined);
    });
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#http.listen(0, '127.0.0.1', resolve));
    this.base = `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
    return this;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.terminate();
    this.#wss.close();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  get last(): WebSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error('nobody has connected');
    return socket;
  }

  auths(): Frame[] {
    return this.frames.filter((frame) => frame.type === 'auth');
  }

  publish(topic: string, data: unknown): void {
    const cursor = this.log.length + 1;
    this.log.push({ cursor, topic, data });
    for (const socket of this.sockets) this.#send(socket, { type: 'event', cursor: String(cursor), topic, data });
  }

  bye(code: string, extra: Record<string, unknown> = {}): void {
    this.#send(this.last, { type: 'bye', code, ...extra });
    this.last.close();
  }

  /** Lets held answers go, the last asked first. */
  release(): void {
    for (const answer of this.#held.splice(0).toReversed()) answer();
  }

  #frame(socket: WebSocket, frame: Frame): void {
    this.frames.push(frame);
    if (this.mute) return;
    if (frame.type === 'auth') {
      const expired = frame.resume !== undefined && Number(frame.resume) < this.oldestCursor;
      const cursor = expired ? undefined : frame.resume;
      this.#send(socket, { type: 'ready', cursor: cursor ?? String(this.log.length), user: 'usr_1' });
      if (expired) this.#send(socket, { type: 'error', error: { status: 404, code: 'cursor_expired' } });
      if (cursor === undefined) return;
      for (const event of this.log.slice(Number(cursor))) this.#send(socket, { type: 'event', ...event, cursor: String(event.cursor) });
    } else if (frame.type === 'call') {
      const answer = () => {
        const result = this.#execute(frame.params ?? {}, frame.idempotency_key);
        if (this.loseNextAnswer) {
          this.loseNextAnswer = false;
          socket.terminate();
        } else this.#send(socket, { type: 'result', id: frame.id, result });
      };
      if (this.hold) this.#held.push(answer);
      else answer();
    }
  }

  #execute(params: Record<string, unknown>, key: string | undefined): unknown {
    if (key !== undefined && this.done.has(key)) return this.done.get(key);
    this.executed += 1;
    const result = { echo: params, nth: this.executed };
    if (key !== undefined) this.done.set(key, result);
    return result;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? '').replace('/api/v1/', '');
    const key = request.headers['idempotency-key'] as string | undefined;
    this.requests.push({ path, key, token: request.headers.authorization });
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      if (this.failNextHttp > 0) {
        this.failNextHttp -= 1;
        this.#execute(JSON.parse(body) as Record<string, unknown>, key);
        request.socket.destroy();
        return;
      }
      if (path === 'session/refresh' || path === 'session/login') this.#session(path, response);
      else this.#json(response, 200, this.#execute(JSON.parse(body) as Record<string, unknown>, key));
    });
  }

  #session(path: string, response: ServerResponse): void {
    this.refreshes += 1;
    if (this.refuseRefresh && path === 'session/refresh') {
      this.#json(response, 401, { status: 401, code: 'unauthenticated', title: 'no session', detail: 'sign in again' });
      return;
    }
    const user = { id: 'usr_1', login: 'anna', display_name: 'Anna', admin: true };
    this.#json(response, 200, { access_token: `token-${this.refreshes}`, expires_in: this.tokenSeconds, user });
  }

  #json(response: ServerResponse, status: number, body: unknown): void {
    response.writeHead(status, { 'content-type': status < 400 ? 'application/json' : 'application/problem+json' });
    response.end(JSON.stringify(body));
  }

  #send(socket: WebSocket, frame: unknown): void {
    if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(frame));
  }
}
