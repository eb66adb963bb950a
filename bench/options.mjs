/** options: what `npm run bench` and `npm run bench:browser` take after `--`. */
import { parseArgs } from 'node:util';
import { full, quick } from './protocol.mjs';

/**
 * @param {string} usage printed by --help
 * @param {string[]} peers that there are
 * @param {string[]} suites that there are
 * @param {string[]} [usual] suites when none are named; all by default
 */
export function readOptions(usage, peers, suites, usual = suites) {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      peers: { type: 'string' },
      runs: { type: 'string' },
      'no-wide': { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    process.exit(0);
  }
  /** @param {string} option @param {string | undefined} text @param {string[]} known @returns {string[]} */
  const list = (option, text, known) => {
    const names = text?.split(',') ?? known;
    const unknown = names.find((name) => !known.includes(name));
    if (unknown === undefined) return names;
    console.error(`bench: --${option} knows ${known.join(', ')}; got ${unknown}`);
    process.exit(2);
  };
  const runs = values.runs === undefined ? undefined : Number(values.runs);
  if (runs !== undefined && !(Number.isInteger(runs) && runs >= 1)) {
    console.error(`bench: --runs must be an integer ≥ 1, got ${values.runs}`);
    process.exit(2);
  }
  const protocol = values.quick ? quick : full;
  return {
    suites: values.only === undefined ? usual : list('only', values.only, suites),
    peers: list('peers', values.peers, peers),
    protocol: runs === undefined ? protocol : { ...protocol, runs },
    wide: !values['no-wide'],
    json: values.json,
  };
}
