/** @vaxel/client: session, typed calls, and a socket that resumes. No dependencies. */

export { Client, type CallOptions } from './client.ts';
export { Heard, layOver, type Gap } from './commits.ts';
export { Problem, type ProblemBody } from './problem.ts';
export { Session, type SessionChange, type Token } from './session.ts';
export type { ByeCode, SocketState } from './socket.ts';
export { browserWorld, randomKey, type ChannelLike, type SocketLike, type World } from './world.ts';
export type * as Pages from './pages.ts';
export type * as Surveys from './surveys.ts';
export type * from './types.ts';
