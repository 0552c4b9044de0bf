/** One error type for everything that can go wrong between a caller and the server. */

export interface ProblemBody {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
  code?: string;
  request_id?: string;
  retry_after_ms?: number;
}

export class Problem extends Error {
  override readonly name = 'Problem';
  /** 0 when no server answered. */
  readonly status: number;
  readonly code: string;
  readonly requestId: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(body: ProblemBody, status = body.status ?? 0) {
    super(body.detail ?? body.title ?? body.code ?? 'unknown problem');
    this.status = status;
    // Codes are an open list; spelling differs only in the separator, so callers compare one form.
    this.code = (body.code ?? `http_${status}`).replaceAll('-', '_');
    this.requestId = body.request_id;
    this.retryAfterMs = body.retry_after_ms;
  }

  /** Nobody refused: the same call may be made again, with the same idempotency key. */
  get transient(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }

  static network(detail = 'the server could not be reached'): Problem {
    return new Problem({ code: 'network', detail });
  }

  static timeout(): Problem {
    return new Problem({ code: 'timeout', detail: 'the server did not answer in time' });
  }

  static of(error: unknown): Problem {
    if (error instanceof Problem) return error;
    return Problem.network(error instanceof Error ? error.message : undefined);
  }

  static async fromResponse(response: Response): Promise<Problem> {
    let body: ProblemBody = {};
    try {
      body = (await response.json()) as ProblemBody;
    } catch {
      // Not JSON, so not ours (a proxy's page, say): the status is all there is to tell.
    }
    const after = Number(response.headers.get('retry-after'));
    if (body.retry_after_ms === undefined && after > 0) body.retry_after_ms = after * 1000;
    return new Problem(body, response.status);
  }
}
