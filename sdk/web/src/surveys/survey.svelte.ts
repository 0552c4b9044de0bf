/** A survey that somebody has open: its draft is kept a moment after each change, on this device at once, and every step can be taken back. */

import { Problem, type Surveys } from '@vaxel/client';
import { i18n } from '../i18n/i18n.svelte.ts';
import { readJson, write, writeJson } from '../lib/store.ts';
import { client, explain, session } from '../state/session.svelte.ts';
import { toasts } from '../state/toasts.svelte.ts';
import { textOf } from './model.ts';
import { texts } from './texts/texts.ts';

/** Long enough for a sentence to be one step back, short enough that nobody waits for it. */
const REST_MS = 700;
/** Steps that can be taken back. */
const STEPS_MAX = 100;

type Saving = 'saved' | 'waiting' | 'saving' | 'offline' | 'conflict' | 'refused';

interface Kept {
  definition: Surveys.Definition;
  changed_at_ms: number;
}

export class OpenSurvey {
  readonly id: string;
  full = $state.raw<Surveys.Full | undefined>();
  definition = $state<Surveys.Definition | undefined>();
  faults = $state.raw<Surveys.Fault[]>([]);
  saving = $state<Saving>('saved');
  problem = $state<string | undefined>();
  gone = $state(false);
  /** The language whose texts are written now. */
  language = $state<string>(i18n.locale);
  #undo = $state.raw<string[]>([]);
  #redo = $state.raw<string[]>([]);
  #last = '';
  #sent = '';
  #changedAt = 0;
  #rest: ReturnType<typeof setTimeout> | undefined;
  #busy: Promise<void> | undefined;

  constructor(id: string) {
    this.id = id;
  }

  get title(): string {
    return textOf(this.definition?.title ?? this.full?.summary.title, this.language) || texts().untitled;
  }

  get mayEdit(): boolean {
    return (this.full?.summary.may_edit ?? false) && may('surveys.create');
  }

  /** A closed survey stays as it was. */
  get editable(): boolean {
    return this.mayEdit && this.full?.summary.state !== 'closed';
  }

  get canUndo(): boolean {
    return this.#undo.length > 0;
  }

  get canRedo(): boolean {
    return this.#redo.length > 0;
  }

  get #key(): string {
    return `draft:${session.user}:survey:${this.id}`;
  }

  async load(): Promise<void> {
    try {
      const before = this.#sent;
      const full = await client.call('plugins/surveys/get', { survey: this.id });
      // What was saved while this was on its way is newer.
      if (this.#sent !== before) return await this.load();
      this.full = full;
      // What is being written here is not taken away by what comes, nor saved over what came from elsewhere.
      if (this.definition && this.saving !== 'saved') return;
      this.problem = undefined;
      this.faults = full.faults;
      this.#changedAt = full.summary.changed_at_ms;
      this.#take(full.definition);
      const kept = this.editable ? readJson<Kept>(this.#key) : undefined;
      if (kept && JSON.stringify(kept.definition) !== this.#last) {
        if (kept.changed_at_ms !== this.#changedAt) this.saving = 'conflict';
        else this.definition = kept.definition;
      }
    } catch (error) {
      this.gone = Problem.of(error).status === 404;
      this.problem = explain(error);
    }
  }

  #take(definition: Surveys.Definition): void {
    this.definition = definition;
    this.#last = this.#sent = JSON.stringify(definition);
    if (!definition.languages.includes(this.language)) {
      this.language = definition.languages.includes(i18n.locale) ? i18n.locale : (definition.languages[0] ?? 'sv');
    }
  }

  /** To be called in an effect: hears every change of the draft. */
  hear(): void {
    if (!this.definition || !this.editable) return;
    const now = JSON.stringify(this.definition);
    if (now === this.#last && now === this.#sent) return;
    if (this.saving === 'conflict') return;
    writeJson(this.#key, { definition: this.definition, changed_at_ms: this.#changedAt } satisfies Kept);
    if (this.saving !== 'saving') this.saving = 'waiting';
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => this.settle(), REST_MS);
  }

  /** The change becomes a step, and is saved. */
  settle(): Promise<void> {
    clearTimeout(this.#rest);
    const now = JSON.stringify(this.definition);
    if (now !== this.#last) {
      this.#undo = [...this.#undo.slice(1 - STEPS_MAX), this.#last];
      this.#redo = [];
      this.#last = now;
    }
    return this.save();
  }

  undo(): void {
    void this.settle();
    this.#step('undo');
  }

  redo(): void {
    this.#step('redo');
  }

  #step(way: 'undo' | 'redo'): void {
    const [from, to] = way === 'undo' ? [this.#undo, this.#redo] : [this.#redo, this.#undo];
    const back = from.at(-1);
    if (back === undefined) return;
    const [rest, more] = [from.slice(0, -1), [...to, this.#last]];
    [this.#undo, this.#redo] = way === 'undo' ? [rest, more] : [more, rest];
    this.#last = back;
    this.definition = JSON.parse(back) as Surveys.Definition;
    if (!this.definition.languages.includes(this.language)) this.language = this.definition.languages[0] ?? 'sv';
    void this.save();
  }

  /** One saving at a time; what changed meanwhile is saved behind it. */
  async save(): Promise<void> {
    if (this.#busy) await this.#busy;
    if (!this.definition || !this.editable || this.saving === 'conflict') return;
    const now = JSON.stringify(this.definition);
    if (now === this.#sent) {
      if (this.saving !== 'saved') this.#rested();
      return;
    }
    this.saving = 'saving';
    this.#busy = this.#send(now).finally(() => (this.#busy = undefined));
    await this.#busy;
  }

  #rested(): void {
    this.saving = 'saved';
    this.problem = undefined;
    write(this.#key, null);
  }

  async #send(now: string): Promise<void> {
    try {
      const definition = JSON.parse(now) as Surveys.Definition;
      const saved = await client.call('plugins/surveys/save', { survey: this.id, definition, changed_at_ms: this.#changedAt });
      this.#changedAt = saved.changed_at_ms;
      this.faults = saved.faults;
      this.#sent = now;
      if (this.full) this.full = { ...this.full, changed: this.full.summary.version > 0 };
      if (JSON.stringify(this.definition) === now) this.#rested();
      else this.saving = 'waiting';
    } catch (error) {
      const problem = Problem.of(error);
      this.saving = problem.status === 409 ? 'conflict' : problem.transient ? 'offline' : 'refused';
      this.problem = explain(error);
    }
  }

  /** Behind a conflict: mine is saved over the other, or the other is taken and mine is one step back. */
  async resolve(mine: boolean): Promise<void> {
    try {
      const full = await client.call('plugins/surveys/get', { survey: this.id });
      const kept = readJson<Kept>(this.#key)?.definition ?? this.definition;
      this.full = full;
      this.#changedAt = full.summary.changed_at_ms;
      this.saving = 'saved';
      this.#take(full.definition);
      this.faults = full.faults;
      if (!kept) return;
      if (mine) {
        this.definition = kept;
        await this.settle();
      } else {
        this.#undo = [...this.#undo.slice(1 - STEPS_MAX), JSON.stringify(kept)];
        write(this.#key, null);
      }
    } catch (error) {
      toasts.problem(error);
    }
  }

  /** So many answers have come by now. */
  came(answers: number): void {
    if (this.full && this.full.summary.answers !== answers) this.full = { ...this.full, summary: { ...this.full.summary, answers } };
  }

  /** Publishes what stands there; false where something is wrong, which is told at its place. */
  async publish(): Promise<boolean> {
    return this.#act(async () => {
      await this.settle();
      if (this.saving !== 'saved') throw new Error(this.problem);
      await client.call('plugins/surveys/publish', { survey: this.id });
    });
  }

  async close(): Promise<boolean> {
    return this.#act(() => client.call('plugins/surveys/close', { survey: this.id }));
  }

  async #act(act: () => Promise<unknown>): Promise<boolean> {
    try {
      await act();
      await this.load();
      return true;
    } catch (error) {
      toasts.problem(error);
      await this.load();
      return false;
    }
  }
}

/** Whether whoever is signed in holds a permission of the plugin's. */
export const may = (permission: string) => session.me?.permissions.includes(permission) ?? false;

/** What is wrong at one place of the draft. */
export const faultsAt = (survey: OpenSurvey, at: string) => survey.faults.filter((fault) => fault.at === at).map((fault) => fault.why);
