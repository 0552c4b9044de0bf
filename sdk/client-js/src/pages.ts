/** Pages of plugins as the server gives them: checked there, so that only these elements arrive. */

export type Tone = 'default' | 'emphasis' | 'accent' | 'good' | 'attention' | 'warning';

export interface TextBlock {
  type: 'TextBlock';
  text: string;
  style?: 'default' | 'heading';
  size?: 'default' | 'small' | 'medium' | 'large';
  weight?: 'default' | 'bolder';
  color?: Tone;
  isSubtle?: boolean;
}

export interface Container {
  type: 'Container';
  items: Element[];
  style?: Tone;
}

export interface ColumnSet {
  type: 'ColumnSet';
  columns: { items: Element[]; width?: 'auto' | 'stretch' }[];
}

export interface FactSet {
  type: 'FactSet';
  facts: { title: string; value: string }[];
}

export interface Table {
  type: 'Table';
  columns?: { horizontalCellContentAlignment?: 'left' | 'center' | 'right' }[];
  rows: { cells: { items: Element[] }[] }[];
  firstRowAsHeader: boolean;
  'Vaxel.caption'?: string;
}

export interface ActionSet {
  type: 'ActionSet';
  actions: Action[];
}

interface Asked {
  id: string;
  label: string;
  isRequired?: boolean;
  errorMessage?: string;
  'Vaxel.hint'?: string;
  'Vaxel.error'?: string;
}

export interface InputText extends Asked {
  type: 'Input.Text';
  value?: string;
  placeholder?: string;
  isMultiline?: boolean;
  maxLength?: number;
  style?: 'text' | 'tel' | 'url' | 'email';
}

export interface InputNumber extends Asked {
  type: 'Input.Number';
  value?: number;
  min?: number;
  max?: number;
  placeholder?: string;
}

export interface InputMoment extends Asked {
  type: 'Input.Date' | 'Input.Time';
  value?: string;
  min?: string;
  max?: string;
}

export interface InputToggle extends Omit<Asked, 'label'> {
  type: 'Input.Toggle';
  title: string;
  label?: string;
  value?: string;
  valueOn: string;
  valueOff: string;
}

export interface InputChoiceSet extends Asked {
  type: 'Input.ChoiceSet';
  choices: { title: string; value: string }[];
  value?: string;
  isMultiSelect?: boolean;
  style?: 'compact' | 'expanded';
}

/** One of the whole numbers from `min` to `max`, beside each other. */
export interface InputScale extends Asked {
  type: 'Vaxel.Scale';
  min: number;
  max: number;
  minLabel?: string;
  maxLabel?: string;
  value?: number;
}

/** One of the same columns for each row, told as `id.row`. */
export interface InputMatrix extends Asked {
  type: 'Vaxel.Matrix';
  rows: { title: string; value: string }[];
  columns: { title: string; value: string }[];
  value?: Record<string, string>;
}

/** The place of each choice, told as `id.choice`. */
export interface InputRanking extends Asked {
  type: 'Vaxel.Ranking';
  choices: { title: string; value: string }[];
  value?: string;
}

export type Input = InputScale | InputMatrix | InputRanking | InputText | InputNumber | InputMoment | InputToggle | InputChoiceSet;

export interface Progress {
  type: 'Vaxel.Progress';
  label: string;
  value: number;
  max: number;
}

export interface Notice {
  type: 'Vaxel.Notice';
  text: string;
  title?: string;
  style?: Tone;
}

export interface List {
  type: 'Vaxel.List';
  items: { title: string; text?: string; url?: string }[];
}

export type Element = TextBlock | Container | ColumnSet | FactSet | Table | ActionSet | Input | Progress | Notice | List;

export interface Submit {
  type: 'Action.Submit';
  title: string;
  id: string;
  style?: 'default' | 'positive' | 'destructive';
  associatedInputs?: 'auto' | 'none';
}

export interface OpenUrl {
  type: 'Action.OpenUrl';
  title: string;
  url: string;
  style?: 'default' | 'positive' | 'destructive';
}

export type Action = Submit | OpenUrl;

/** Colours of the host's, all of them as easy to read. */
export type Tint = 'sea' | 'forest' | 'clay' | 'plum' | 'ink';

export interface PluginPage {
  type: 'Page';
  title: string;
  lang?: string;
  tint?: Tint;
  body: Element[];
  actions?: Action[];
  refresh_on?: string[];
  next?: string;
}

/** A page that the caller may open. */
export interface PageInfo {
  plugin: string;
  page: string;
  title: string;
  navigation: boolean;
  /** Not one that shows nothing without more behind its address. */
  listed: boolean;
  public: boolean;
}

export interface ShowPage {
  plugin: string;
  page: string;
  path?: string;
  query?: [string, string][];
  sent?: { action: string; inputs: Record<string, unknown>; id?: string };
}
