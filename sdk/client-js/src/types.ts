/** The JSON shapes of the Växel API, and which method takes and answers what. */

import type { PageInfo, PluginPage, ShowPage } from './pages.ts';

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
  organizations?: { slug: string; name: string; url: string; people: DemoPerson[] }[];
  version: string;
}

export type PresenceStatus = 'online' | 'away' | 'offline';

export interface PluginInfo {
  id: string;
  version: string;
  name: string;
  enabled: boolean;
  /** It was switched on, and now asks for more than was agreed to. */
  needs_consent: boolean;
  /** What it asks for, and why in its author's words; administrators only. */
  capabilities?: { name: string; reason: string }[];
  /** Why it cannot be used at all; administrators only. */
  unavailable?: string;
  summary?: string | null;
  description?: string | null;
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

/** Every method this client knows, by the name that HTTP and the socket share. */
export interface Methods {
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
  'roles/permissions': M<Empty, { items: PermissionInfo[] }>;
  'roles/list': M<Empty, { items: RoleInfo[] }>;
  'roles/create': M<{ name: string; permissions: string[] }, { id: RoleId; role: RoleInfo }>;
  'roles/update': M<{ role: RoleId; name?: string; permissions?: string[] }, { role: RoleInfo }>;
  'roles/delete': M<{ role: RoleId }, unknown>;
  'roles/holders': M<{ role: RoleId }, { items: RoleHolder[] }>;
  'roles/assign': M<{ role: RoleId } & RoleHolder, { role: RoleInfo }>;
  'roles/unassign': M<{ role: RoleId } & RoleHolder, { role: RoleInfo }>;
  'audit/list': M<Paging, Page<AuditEntry>>;
  'presence/list': M<Empty, { items: { user: UserId; status: PresenceStatus }[] }>;
  'presence/set': M<{ status: 'online' | 'away' }, unknown>;
  'plugins/list': M<Empty, { items: PluginInfo[] }>;
  'plugins/pages': M<Empty, { items: PageInfo[] }>;
  'plugins/show_page': M<ShowPage, PluginPage>;
  'plugins/enable': M<{ plugin: string }, unknown>;
  'plugins/disable': M<{ plugin: string }, unknown>;
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
  'presence.changed': { user: UserId; status: PresenceStatus };
  /** Many changes at once; each is told as `presence.changed` too. */
  'presence.listed': { items: { user: UserId; status: PresenceStatus }[] };
  /** Told to whoever is here; after a gap, `users/me` says what is on. */
  'plugins.switched': { plugin: string; enabled: boolean };
}

export type Topic = keyof Events;
