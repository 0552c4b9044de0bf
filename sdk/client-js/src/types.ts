/** The JSON shapes of the Växel API, and which method takes and answers what. */

import type { PageInfo, PluginPage, ShowPage } from './pages.ts';
import type { SurveyMethods } from './surveys.ts';

export type UserId = string;
export type GroupId = string;
export type RoleId = string;
export type ConversationId = string;
export type MessageId = string;
/** Unix time in milliseconds. */
export type UnixMs = number;
export type Locale = 'sv' | 'en';

export interface User {
  id: UserId;
  login: string;
  display_name: string;
  admin: boolean;
  locale?: Locale;
  email?: string | null;
}

export interface Tenant {
  id: string;
  slug: string;
  name: string;
  locale: Locale;
}

export interface Me {
  user: User;
  tenant: Tenant;
  permissions: string[];
  /** Ids of the plugins that this tenant has switched on. */
  plugins: string[];
}

export interface Person {
  id: UserId;
  display_name: string;
  admin: boolean;
  active: boolean;
  login?: string;
  title?: string | null;
  /** Has a one-time link and has not used it yet. */
  invited?: boolean;
  last_login_at?: UnixMs | null;
}

/** Several people of the organization under one name. */
export interface Group {
  id: GroupId;
  name: string;
  member_count: number;
  created_at: UnixMs;
}

/** Something that a plugin's methods may require. */
export interface PermissionInfo {
  /** `chat.moderate` */
  name: string;
  plugin: string;
  summary: string;
  /** Who has it without any role. */
  suggested: ('member' | 'admin')[];
}

/** Permissions under one name, held by people and groups. */
export interface RoleInfo {
  id: RoleId;
  name: string;
  permissions: string[];
  holder_count: number;
  created_at: UnixMs;
}

/** A person, or everybody in a group. */
export type RoleHolder = { user: UserId; group?: never } | { user?: never; group: GroupId };

export interface SignedIn {
  access_token: string;
  /** Seconds. */
  expires_in: number;
  user: User;
  tenant?: Tenant;
}

export interface DemoPerson {
  id: UserId;
  display_name: string;
  admin: boolean;
  title?: string | null;
}

export interface PublicInfo {
  tenant: { name: string; slug: string; locale: Locale } | null;
  demo: boolean;
  demo_people?: DemoPerson[];
  organizations?: { slug: string; name: string; url: string; people: DemoPerson[]; links?: { title: Partial<Record<Locale, string>>; url: string }[] }[];
  version: string;
}

export type PresenceStatus = 'online' | 'away' | 'offline';

/** How a plugin stands in this organization. */
export type PluginStanding = 'on' | 'off' | 'waiting' | 'resting' | 'suspended' | 'unavailable' | 'migrating';

export interface PluginInfo {
  id: string;
  version: string;
  name: string;
  enabled: boolean;
  /** `waiting`: for consent, or an update waits for it. */
  state?: PluginStanding;
  /** It was switched on, and now asks for more than was agreed to. */
  needs_consent: boolean;
  /** What it asks for, and why in its author's words; administrators only. */
  capabilities?: { name: string; reason: string }[];
  /** Why it cannot be used at all; administrators only. */
  unavailable?: string;
  summary?: string | null;
  description?: string | null;
}

export type PluginAskKind = 'capability' | 'events' | 'hook_before' | 'hook_after' | 'http_in';

/** One thing that an organization agrees to or refuses. */
export interface PluginAsk {
  /** `storage`, `events:chat.message.created`, `before:chat/messages.send`, `http-in` */
  id: string;
  kind: PluginAskKind;
  /** Why, in its author's words. */
  reason: string;
  /** Hosts or methods, where it is about some and not about all. */
  details: string[];
  /** The plugin is of no use without. */
  required: boolean;
  granted: boolean;
}

/** An ask of a newer version, beside what is in use. */
export interface PluginUpdateAsk extends PluginAsk {
  added_details: string[];
  is_new: boolean;
}

export interface PluginUpdate {
  version: string;
  asks: PluginUpdateAsk[];
  waits_for_consent: boolean;
}

export type ConnectionKind = 'oauth2' | 'client_credentials' | 'api_key' | 'basic';

/** A credential that the server holds for a plugin; nobody reads it back. */
export interface PluginConnection {
  name: string;
  title: string;
  kind: ConnectionKind;
  /** Each person has one of their own. */
  per_user: boolean;
  /** The only hosts that it is sent to. */
  hosts: string[];
  state: 'missing' | 'connected' | 'expired';
}

export interface PluginDetails {
  id: string;
  name: string;
  summary?: string | null;
  version: string;
  publisher?: string | null;
  enabled: boolean;
  state: PluginStanding;
  needs_consent: boolean;
  asks: PluginAsk[];
  update?: PluginUpdate | null;
  /** The version that a rollback would bring back. */
  former?: string | null;
  rollout?: { version: string; state: 'running' | 'stopped' | 'withdrawn' | 'done'; reason?: string | null } | null;
  permissions?: { name: string; summary: string; roles: string[] }[];
  pages?: { name: string; title: string; public: boolean; navigation: boolean }[];
  /** `every`: the five fields of crontab(5). */
  jobs?: { name: string; summary: string; every?: string | null }[];
  /** `schema`: a JSON Schema of an object. */
  settings?: { schema: Record<string, unknown>; values: Record<string, unknown> } | null;
  connections?: PluginConnection[];
  /** Whether erasing it would destroy anything. */
  has_data: boolean;
  unavailable?: string | null;
}

/** What a plugin used on one day. */
export interface PluginUse {
  plugin: string;
  /** `2026-11-22` */
  day: string;
  calls: number;
  faults: number;
  refusals: number;
  processor_ms: number;
  memory_bytes_max: number;
  stored_bytes?: number | null;
  /** How often each capability was used. */
  uses: Record<string, number>;
}

/** What the organization's plugins may use up in a day, and have; what each of them may store. */
export interface PluginBudget {
  processor_ms: number;
  processor_ms_max: number;
  is_used_up: boolean;
  requests: number;
  requests_max: number;
  stored_bytes_max: number;
  file_bytes_max: number;
}

/** What a plugin would have used, replayed from what happened. */
export interface WouldTouch {
  days: number;
  events_replayed: number;
  calls_seen: number;
  items: { ask: string; uses: number; details: string[] }[];
  /** Asked for, and not used once. */
  unused: string[];
  problems: string[];
}

/** Work for a plugin that failed until it was given up. */
export interface DeadLetter {
  id: string;
  kind: string;
  name: string;
  attempts: number;
  error: string;
  at: UnixMs;
}

export type ConversationKind = 'channel' | 'group' | 'direct';
export type Role = 'owner' | 'member';

export interface Conversation {
  id: ConversationId;
  kind: ConversationKind;
  name: string | null;
  public: boolean;
  members: UserId[];
  member_count: number;
  joined: boolean;
  role: Role | null;
  /** 0..=100, where 100 means "99+". */
  unread: number;
  mentions: number;
  read_up_to: MessageId | null;
  last_message: Message | null;
  created_at: UnixMs;
  created_by: UserId;
}

export interface Quote {
  id: MessageId;
  author: UserId;
  text: string;
  deleted: boolean;
}

export interface Reaction {
  emoji: string;
  users: UserId[];
}

export interface Message {
  id: MessageId;
  conversation: ConversationId;
  author: UserId;
  text: string;
  created_at: UnixMs;
  edited_at: UnixMs | null;
  deleted: boolean;
  reply_to: Quote | null;
  mentions: UserId[];
  reactions: Reaction[];
}

/** What a message said before an edit. */
export interface FormerText {
  text: string;
  /** When it was replaced. */
  edited_at: UnixMs;
}

export interface Member {
  user: UserId;
  role: Role;
  joined_at: UnixMs;
}

/** One act that was written down. */
export interface AuditEntry {
  at: UnixMs;
  /** A user's id, `plugin:…`, `system` or `anonymous`. */
  actor: string;
  action: string;
  /** To whom or what, by id. */
  target?: string;
  outcome: 'done' | 'refused' | 'throttled';
}

export interface OneTimeLink {
  link: string;
  expires_at: UnixMs;
}

export interface Page<T> {
  items: T[];
  next?: string | null;
}

export interface Paging {
  cursor?: string;
  limit?: number;
}

type Empty = Record<string, never>;
interface M<P, R> {
  params: P;
  result: R;
}
type Of = { conversation: ConversationId };
type OfPlugin = { plugin: string };
/** An act that waits for a second administrator. */
export interface Approval {
  id: string;
  /** What is to be called: `plugins/grant`. */
  method: string;
  params: Record<string, unknown>;
  asked_by: UserId;
  /** Unix time in ms, as all times. */
  asked_at: number;
  expires_at: number;
}

/** What waits, oldest first, and whether the guarded methods have to. */
export interface Approvals {
  required: boolean;
  guarded: string[];
  items: Approval[];
}

/** What is typed in; agreeing at another server instead (`oauth2`) needs none of it. */
export type ConnectionSecret = { key?: string; name?: string; password?: string; client_id?: string; client_secret?: string };

/** Every method this client knows, by the name that HTTP and the socket share. */
export interface Methods extends SurveyMethods {
  'session/login': M<{ login: string; password: string }, SignedIn>;
  'session/refresh': M<Empty, SignedIn>;
  'session/logout': M<Empty, Empty>;
  'session/demo': M<{ user: UserId }, SignedIn>;
  'users/me': M<Empty, Me>;
  'users/list': M<Paging & { query?: string }, Page<Person>>;
  'users/invite': M<{ login: string; display_name: string; admin?: boolean }, OneTimeLink & { id: UserId }>;
  'users/invite_preview': M<{ token: string }, { display_name: string; tenant_name: string }>;
  'users/accept': M<{ token: string; password: string }, SignedIn>;
  'users/reset': M<{ user: UserId }, OneTimeLink>;
  'users/deactivate': M<{ user: UserId }, unknown>;
  'users/reactivate': M<{ user: UserId }, unknown>;
  'users/update_me': M<{ display_name?: string; locale?: Locale }, unknown>;
  'users/change_password': M<{ old: string; new: string }, unknown>;
  'groups/list': M<Paging, Page<Group>>;
  'groups/get': M<Paging & { group: GroupId }, Page<{ user: UserId }> & { group: Group }>;
  'groups/create': M<{ name: string }, { id: GroupId; group: Group }>;
  'groups/rename': M<{ group: GroupId; name: string }, { group: Group }>;
  'groups/delete': M<{ group: GroupId }, unknown>;
  'groups/add_member': M<{ group: GroupId; user: UserId }, { group: Group }>;
  'groups/remove_member': M<{ group: GroupId; user: UserId }, { group: Group }>;
  'stepup/make_pin': M<{ plugin: string; scope: string }, { pin: string }>;
  'roles/permissions': M<Empty, { items: PermissionInfo[] }>;
  'roles/list': M<Empty, { items: RoleInfo[] }>;
  'roles/create': M<{ name: string; permissions: string[] }, { id: RoleId; role: RoleInfo }>;
  'roles/update': M<{ role: RoleId; name?: string; permissions?: string[] }, { role: RoleInfo }>;
  'roles/delete': M<{ role: RoleId }, unknown>;
  'roles/holders': M<{ role: RoleId }, { items: RoleHolder[] }>;
  'roles/assign': M<{ role: RoleId } & RoleHolder, { role: RoleInfo }>;
  'roles/unassign': M<{ role: RoleId } & RoleHolder, { role: RoleInfo }>;
  'audit/list': M<Paging, Page<AuditEntry>>;
  /** Administrators only, as all of these. */
  'approvals/list': M<Empty, Approvals>;
  'approvals/require': M<{ required: boolean }, unknown>;
  'approvals/approve': M<{ approval: string }, { method: string; result: Record<string, unknown> }>;
  'approvals/refuse': M<{ approval: string }, unknown>;
  'presence/list': M<Empty, { items: { user: UserId; status: PresenceStatus }[] }>;
  'presence/set': M<{ status: 'online' | 'away' }, unknown>;
  'plugins/list': M<Empty, { items: PluginInfo[] }>;
  'plugins/get': M<OfPlugin, PluginDetails>;
  /** Without `version` the one that is offered; without `grants` everything that is asked for is granted. */
  'plugins/enable': M<OfPlugin & { version?: string; grants?: string[] }, unknown>;
  'plugins/disable': M<OfPlugin, unknown>;
  'plugins/grant': M<OfPlugin & { version?: string; grants: string[] }, unknown>;
  'plugins/upgrade': M<OfPlugin & { version: string; grants?: string[] }, unknown>;
  'plugins/rollback': M<OfPlugin, unknown>;
  'plugins/uninstall': M<OfPlugin & { erase: boolean }, unknown>;
  'plugins/set_settings': M<OfPlugin & { values: Record<string, unknown> }, unknown>;
  /** Those that one may make: everybody their own, administrators the organization's too. */
  'plugins/connections': M<OfPlugin, { items: PluginConnection[] }>;
  'plugins/connect': M<OfPlugin & { connection: string } & ConnectionSecret, { url?: string | null }>;
  'plugins/disconnect': M<OfPlugin & { connection: string }, unknown>;
  'plugins/use': M<{ plugin?: string; days: number }, { items: PluginUse[]; budget?: PluginBudget }>;
  'plugins/would_touch': M<OfPlugin & { version?: string; days: number }, WouldTouch>;
  'plugins/health': M<OfPlugin, { ok: boolean; text: string }>;
  'plugins/dead_letters': M<OfPlugin, { items: DeadLetter[] }>;
  'plugins/retry_dead_letter': M<OfPlugin & { id: string }, unknown>;
  'plugins/discard_dead_letter': M<OfPlugin & { id: string }, unknown>;
  'plugins/pages': M<Empty, { items: PageInfo[] }>;
  'plugins/show_page': M<ShowPage, PluginPage>;
  'plugins/chat/conversations.create': M<
    { name?: string; kind: ConversationKind; members: UserId[]; public?: boolean },
    { id: ConversationId; conversation: Conversation }
  >;
  'plugins/chat/conversations.list': M<Paging, Page<Conversation>>;
  'plugins/chat/conversations.get': M<Of, Conversation>;
  'plugins/chat/conversations.discover': M<Paging, Page<Conversation>>;
  'plugins/chat/conversations.join': M<Of, Conversation>;
  'plugins/chat/conversations.leave': M<Of, unknown>;
  'plugins/chat/conversations.mark_read': M<Of & { message: MessageId }, ReadMark>;
  'plugins/chat/conversations.typing': M<Of, unknown>;
  'plugins/chat/conversations.rename': M<Of & { name: string }, Conversation>;
  'plugins/chat/members.add': M<Of & { members: UserId[] }, unknown>;
  'plugins/chat/members.remove': M<Of & { member: UserId }, unknown>;
  'plugins/chat/members.list': M<Of & Paging, Page<Member>>;
  'plugins/chat/messages.send': M<
    Of & { text: string; local_id: string; reply_to?: MessageId; mentions?: UserId[] },
    { id: MessageId; message: Message }
  >;
  'plugins/chat/messages.list': M<Of & { before?: MessageId; limit: number }, Page<Message>>;
  'plugins/chat/messages.history': M<{ message: MessageId }, { items: FormerText[] }>;
  'plugins/chat/messages.edit': M<{ message: MessageId; text: string }, { message: Message }>;
  'plugins/chat/messages.delete': M<{ message: MessageId }, { message: Message }>;
  'plugins/chat/messages.react': M<{ message: MessageId; emoji: string; on: boolean }, { message: Message }>;
}

export type MethodName = keyof Methods;

export interface ReadMark {
  conversation: ConversationId;
  read_up_to: MessageId | null;
  unread: number;
  mentions: number;
}

/** Every event this client knows, by topic. */
export interface Events {
  'chat.message.created': { message: Message; local_id?: string | null };
  'chat.message.edited': { message: Message };
  'chat.message.deleted': { message: Pick<Message, 'id' | 'conversation'> & Partial<Message> };
  'chat.message.reacted': { message: Message };
  'chat.conversation.created': { conversation: Conversation };
  'chat.conversation.updated': { conversation: Conversation };
  'chat.read.updated': ReadMark & { user: UserId };
  'chat.member.changed': {
    conversation: ConversationId;
    user: UserId;
    change: 'joined' | 'left' | 'removed' | 'added';
    by: UserId;
  };
  'chat.typing': { conversation: ConversationId; user: UserId };
  'surveys.results.changed': { survey: string };
  'presence.changed': { user: UserId; status: PresenceStatus };
  /** Many changes at once; each is told as `presence.changed` too. */
  'presence.listed': { items: { user: UserId; status: PresenceStatus }[] };
  /** Told to whoever is here; after a gap, `users/me` says what is on. */
  'plugins.switched': { plugin: string; enabled: boolean };
  /** Told to administrators who are here; `approvals/list` says what waits. */
  'approvals.changed': Record<string, never>;
}

export type Topic = keyof Events;
