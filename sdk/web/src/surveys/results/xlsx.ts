/** A workbook of one sheet (ECMA-376), written here: texts are texts, never formulas, and numbers are numbers. */

export type Cell = string | number | undefined;

/** What a spreadsheet takes in one cell. */
const CELL_CHARS_MAX = 32_767;

const HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n';
const OPEN = 'http://schemas.openxmlformats.org';

export function workbook(name: string, rows: Cell[][]): Uint8Array<ArrayBuffer> {
  const sheet = rows.map((row, at) => `<row r="${at + 1}">${row.map((cell, column) => cellXml(cell, `${columnName(column)}${at + 1}`)).join('')}</row>`).join('');
  return zip([
    ['[Content_Types].xml', `${HEAD}<Types xmlns="${OPEN}/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>`],
    ['_rels/.rels', `${HEAD}<Relationships xmlns="${OPEN}/package/2006/relationships"><Relationship Id="r1" Type="${OPEN}/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>`],
    ['xl/workbook.xml', `${HEAD}<workbook xmlns="${OPEN}/spreadsheetml/2006/main" xmlns:r="${OPEN}/officeDocument/2006/relationships"><sheets><sheet name="${escape(sheetName(name))}" sheetId="1" r:id="r1"/></sheets></workbook>`],
    ['xl/_rels/workbook.xml.rels', `${HEAD}<Relationships xmlns="${OPEN}/package/2006/relationships"><Relationship Id="r1" Type="${OPEN}/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`],
    ['xl/worksheets/sheet1.xml', `${HEAD}<worksheet xmlns="${OPEN}/spreadsheetml/2006/main"><sheetData>${sheet}</sheetData></worksheet>`],
  ]);
}

/** A sheet's name has at most 31 characters and none of these. */
const sheetName = (name: string) => name.replace(/[\\/?*[\]:']/g, ' ').trim().slice(0, 31) || '1';

function cellXml(cell: Cell, at: string): string {
  if (cell === undefined || cell === '') return '';
  if (typeof cell === 'number') return `<c r="${at}"><v>${cell}</v></c>`;
  return `<c r="${at}" t="inlineStr"><is><t xml:space="preserve">${escape(cell.slice(0, CELL_CHARS_MAX))}</t></is></c>`;
}

/** A to Z, AA and on. */
function columnName(column: number): string {
  const last = String.fromCharCode(65 + (column % 26));
  return column < 26 ? last : columnName(Math.floor(column / 26) - 1) + last;
}

/** Characters that no XML may hold are left out. */
function escape(text: string): string {
  const plain = text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '');
  return plain.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** Files one behind the other, not compressed, with the directory at the end. */
function zip(files: [name: string, text: string][]): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const [name, text] of files) {
    const [label, data] = [encoder.encode(name), encoder.encode(text)];
    // Version, flags (UTF-8), method (none), time and date (the first there is), sum, sizes, length of the name, no extra field.
    const about = [u16(20), u16(0x0800), u16(0), u16(0), u16(0x21), u32(crc32(data)), u32(data.length), u32(data.length), u16(label.length), u16(0)];
    const file = joined([u32(0x04034b50), ...about, label, data]);
    directory.push(joined([u32(0x02014b50), u16(20), ...about, u16(0), u16(0), u16(0), u32(0), u32(at), label]));
    parts.push(file);
    at += file.length;
  }
  const list = joined(directory);
  const end = joined([u32(0x06054b50), u16(0), u16(0), u16(files.length), u16(files.length), u32(list.length), u32(at), u16(0)]);
  return joined([...parts, list, end]);
}

const u16 = (value: number) => Uint8Array.of(value & 255, (value >> 8) & 255);
const u32 = (value: number) => Uint8Array.of(value & 255, (value >>> 8) & 255, (value >>> 16) & 255, (value >>> 24) & 255);

function joined(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function crc32(data: Uint8Array): number {
  let sum = -1;
  for (const byte of data) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return ~sum >>> 0;
}
