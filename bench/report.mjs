/**
 * report: tables in Markdown out of the figures, on the terminal and in docs/speed.md.
 *
 *     node bench/report.mjs FILE.json …                      prints them
 *     node bench/report.mjs --into docs/speed.md FILE.json … puts them between the marks of that document
 *
 * A ratio is the peer's time over deconv's: 2 means that deconv takes half the time.
 *
 * @typedef {import('./protocol.mjs').Entry} Entry
 * @typedef {{ name: string, flops?: number, aside?: boolean, entries: Record<string, Entry>, ratios?: Record<string, number> }} Row
 *   aside: not part of the summary
 * @typedef {{ mean: number, worst: number, cases: number }} Summary geometric mean and smallest of the ratios
 * @typedef {{ name: string, title: string, unit: string, rows: Row[], summary?: Record<string, Summary> }} SuiteResult
 * @typedef {object} Results
 * @property {string} engine
 * @property {ReturnType<typeof import('./setup.mjs').machine>} machine
 * @property {import('./protocol.mjs').Protocol} protocol
 * @property {{ name: string, version: string | undefined, detail: string | undefined }[]} contenders
 * @property {SuiteResult[]} suites
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { TOLERANCE } from './protocol.mjs';

const OURS = 'deconv';
/** The column for the summary against whichever peer is fastest, case by case. */
const FASTEST = 'fastest peer';

/** Three significant digits, no exponent. @param {number} value */
function digits(value) {
  if (value >= 99.95) return value.toFixed(0);
  return value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
}

/** @param {Entry} entry */
const agrees = (entry) => entry.difference === undefined || entry.difference <= TOLERANCE;

/** Adds the ratios and their summary to a suite. Peers that disagree have no ratio. @param {SuiteResult} suite */
export function finish(suite) {
  /** @type {Record<string, number[]>} */
  const all = {};
  for (const row of suite.rows) {
    const ours = row.entries[OURS].ms ?? Number.NaN;
    const peers = Object.entries(row.entries).filter(
      ([name, entry]) => name !== OURS && entry.ms !== undefined && agrees(entry),
    );
    row.ratios = Object.fromEntries(peers.map(([name, { ms }]) => [name, (ms ?? 0) / ours]));
    if (peers.length > 0) row.ratios[FASTEST] = Math.min(...Object.values(row.ratios));
    if (row.aside) continue;
    for (const [name, ratio] of Object.entries(row.ratios)) all[name] = [...(all[name] ?? []), ratio];
  }
  suite.summary = Object.fromEntries(
    Object.entries(all).map(([name, ratios]) => {
      const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
      return [name, { mean, worst: Math.min(...ratios), cases: ratios.length }];
    }),
  );
  return suite;
}

/** Sentences about results that differ by more than rounding. @param {Results} results */
export const disagreements = ({ suites }) =>
  suites.flatMap(({ title, rows }) =>
    rows.flatMap((row) =>
      Object.entries(row.entries)
        .filter(([, entry]) => !agrees(entry))
        .map(
          ([name, { difference }]) => `${title}, ${row.name}: ${name} differs from deconv by ${difference}`,
        ),
    ),
  );

/** Markdown with the columns aligned. @param {string[][]} rows the first is the head */
function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(3, ...rows.map((row) => row[column].length)));
  const line = (/** @type {string[]} */ cells) =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(rows[0]), rule, ...rows.slice(1).map(line)].join('\n');
}

/** @param {number} ms @param {Row} row @param {string} unit */
function figure(ms, { flops }, unit) {
  if (unit === 'GF/s') return digits((flops ?? 0) / ms / 1e6);
  return digits(unit === 'µs' ? ms * 1000 : ms);
}

/** @param {Entry | undefined} entry @param {Row} row @param {string} unit */
function cell(entry, row, unit) {
  if (entry?.ms === undefined) return 'n/a';
  return agrees(entry) ? figure(entry.ms, row, unit) : 'wrong';
}

/** @param {SuiteResult} suite */
export function showSuite({ title, unit, rows, summary = {} }) {
  // Who can run none of the cases gets a remark, not a column.
  const names = Object.keys(rows[0].entries).filter((name) => rows.some(({ entries }) => entries[name].ms));
  const hasAlone = rows.some((row) => row.entries[OURS].alone !== undefined);
  const head = ['', OURS, ...(hasAlone ? ['(unread)'] : []), ...names.slice(1), '÷ fastest'];
  const body = rows.map((row) => {
    const { alone } = row.entries[OURS];
    return [
      row.name,
      cell(row.entries[OURS], row, unit),
      ...(hasAlone ? [alone === undefined ? '' : figure(alone, row, unit)] : []),
      ...names.slice(1).map((name) => cell(row.entries[name], row, unit)),
      row.ratios?.[FASTEST] === undefined ? '–' : digits(row.ratios[FASTEST]),
    ];
  });
  const foot = (/** @type {string} */ label, /** @type {'mean' | 'worst'} */ key) => [
    label,
    '',
    ...(hasAlone ? [''] : []),
    ...[...names.slice(1), FASTEST].map((name) => (summary[name] ? `${digits(summary[name][key])}×` : '–')),
  ];
  const lines = [`#### ${title}, ${unit}`, ''];
  const feet =
    rows.length > 2 ? [foot('deconv ÷ peer, geometric mean', 'mean'), foot('worst case', 'worst')] : [];
  lines.push(table([head, ...body, ...feet]), '', ...remarks(rows));
  return lines.join('\n');
}

/** What a reader of a table must know besides. @param {Row[]} rows */
function remarks(rows) {
  const entries = rows.flatMap((row) =>
    Object.entries(row.entries).map(([name, entry]) => ({ name, row: row.name, entry })),
  );
  const lines = [];
  const apart = entries.flatMap(({ name, entry }) => (name === OURS ? [] : [entry.difference ?? 0]));
  if (entries.some(({ entry }) => entry.difference !== undefined) && apart.length > 0) {
    lines.push(
      `Largest difference between results, relative to the largest magnitude: ${Math.max(...apart).toExponential(0)}.`,
    );
  }
  const most = Math.max(...entries.map(({ entry }) => entry.runs ?? 0));
  const fewer = entries.filter(({ entry }) => entry.runs !== undefined && entry.runs < most);
  if (fewer.length > 0) {
    const listed = grouped(rows, fewer, ({ name, entry }) => `${name} ${entry.runs}`);
    lines.push(`Slow calls had fewer turns than ${most}: ${listed}.`);
  }
  const missing = entries.filter(({ entry }) => entry.note !== undefined);
  if (missing.length > 0) {
    lines.push(`n/a: ${grouped(rows, missing, ({ name, entry }) => `${name} ${entry.note}`)}.`);
  }
  return lines.length > 0 ? [lines.join(' '), ''] : [];
}

/**
 * "a (x, y); b", the cases left out where it is all of them.
 *
 * @typedef {{ name: string, row: string, entry: Entry }} Remark
 * @param {Row[]} rows
 * @param {Remark[]} remarks
 * @param {(remark: Remark) => string} keyOf
 */
function grouped(rows, remarks, keyOf) {
  /** @type {Map<string, string[]>} */
  const groups = new Map();
  for (const remark of remarks) {
    const short = remark.row.split(' ').slice(0, 2).join(' ');
    groups.set(keyOf(remark), [...(groups.get(keyOf(remark)) ?? []), short]);
  }
  return [...groups]
    .map(([key, names]) => (names.length === rows.length ? key : `${key} (${names.join(', ')})`))
    .join('; ');
}

/** Machine and contenders. @param {Results} results */
export function showHead({ engine, machine, protocol, contenders }) {
  const { cpu, cores, memory, system, load, date } = machine;
  const versions = contenders.map(
    ({ name, version, detail }) => `- ${name} ${version ?? ''}${detail ? `: ${detail}` : ''}`,
  );
  return [
    `${engine} on ${cpu}, ${cores} cores, ${memory}, ${system}; load ${load} when it began; ${date}.`,
    `Medians of ${protocol.runs} turns after ${protocol.warmups} warm-ups.`,
    '',
    ...versions,
    '',
  ].join('\n');
}

/** Engine and width of vectors, of a run. @param {Results} results */
function labelOf({ engine, contenders }) {
  const wide = contenders[0].detail?.includes('256-bit');
  return `${engine.replace(/ \(.*/, '')}, ${wide ? 256 : 128}-bit vectors`;
}

/** One line per suite and run: how deconv stands against each peer. @param {Results[]} runs */
function overview(runs) {
  const peers = [...new Set(runs.flatMap(({ contenders }) => contenders.map(({ name }) => name)))].slice(1);
  const head = ['', ...[...peers, FASTEST].map((name) => `÷ ${name}`)];
  const body = runs.flatMap((results) =>
    results.suites.map(({ title, summary = {} }) => [
      `${labelOf(results)}: ${title}`,
      ...[...peers, FASTEST].map((name) =>
        summary[name] ? `${digits(summary[name].mean)} (${digits(summary[name].worst)})` : '–',
      ),
    ]),
  );
  return [
    '### In short',
    '',
    'How many times as fast as each peer: geometric mean over the cases both can run, and (worst case).',
    '',
    table([head, ...body]),
    '',
  ].join('\n');
}

/** @param {any[]} all results of the suites, and of networks */
function document(all) {
  const networks = all.filter((results) => 'networks' in results);
  const runs = all.filter((results) => 'suites' in results);
  const sections = runs.map((results) =>
    [`### ${labelOf(results)}`, '', showHead(results), ...results.suites.map(showSuite)].join('\n'),
  );
  return [overview(runs), ...networks.map(showNetworks), ...sections].join('\n');
}

/**
 * Whole networks, from `npm run bench:models` or `bench:train`: one row per network and contender.
 *
 * @typedef {{ ms: number, peak: number, loaded?: number, first?: number }} NetworkEntry
 * @typedef {{ title: string, entries: Record<string, NetworkEntry> }} Network
 * @param {{ engine: string, wide?: boolean, machine: Results['machine'], networks: Network[] }} results
 */
function showNetworks({ engine, wide, machine, networks }) {
  const mebibytes = (/** @type {number} */ bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  const training = networks.every(({ entries }) => entries[OURS].loaded === undefined);
  const columns = training ? ['step, ms'] : ['run, ms', 'load, ms', 'first result, ms'];
  const rows = networks.flatMap(({ title, entries }) =>
    Object.entries(entries).map(([name, { ms, loaded = 0, first = 0, peak }], i) => [
      i === 0 ? title : '',
      name,
      ...(training ? [ms] : [ms, loaded, first]).map(digits),
      mebibytes(peak),
      name === OURS ? '' : `${digits(ms / entries[OURS].ms)}×`,
    ]),
  );
  const vectors = wide === false ? ', without 256-bit vectors' : '';
  return [
    `### ${training ? 'Training steps' : 'Whole networks'}, ${engine}${vectors}`,
    '',
    `${machine.cpu}, ${machine.cores} cores; load ${machine.load} when it began; ${machine.date}. Each contender in a process of its own.`,
    '',
    table([['', '', ...columns, 'peak memory', 'deconv is']].concat(rows)),
    '',
  ].join('\n');
}

const BEGIN = '<!-- figures: node bench/report.mjs --into docs/speed.md FILES -->';
const END = '<!-- /figures -->';

/** @param {string[]} args */
function main(args) {
  const into = args[0] === '--into' ? args[1] : undefined;
  const files = into === undefined ? args : args.slice(2);
  if (files.length === 0) {
    console.error('node bench/report.mjs [--into DOCUMENT.md] RESULTS.json …');
    process.exit(2);
  }
  const text = document(files.map((file) => JSON.parse(readFileSync(file, 'utf8'))));
  if (into === undefined) {
    console.log(text);
    return;
  }
  const old = readFileSync(into, 'utf8');
  const [from, to] = [old.indexOf(BEGIN), old.indexOf(END)];
  if (from < 0 || to < from) {
    console.error(`bench: ${into} lacks the marks ${BEGIN} and ${END}`);
    process.exit(1);
  }
  writeFileSync(into, `${old.slice(0, from + BEGIN.length)}\n\n${text}\n${old.slice(to)}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
