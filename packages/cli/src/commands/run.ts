/**
 * run: an ONNX network on files. Everything that can be known before the first run is checked before it: operators, names,
 * inputs without files, two results under one name. A file that cannot be used does not keep the others from their results;
 * the exit code tells. What the options leave open is chosen, and said (pixels-in.ts).
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { DeconvError } from 'deconv';
import { loadOnnx, type OnnxModel } from 'deconv/onnx';
import { engineInWords, startEngine, withEngineOptions } from '../engine.js';
import { readBytes } from '../files.js';
import { startProgress } from '../progress.js';
import { type Item, readItems } from '../running/items.js';
import { readLabels } from '../running/labels.js';
import { numberList, rangeText, readRange, readSize } from '../running/pixels-in.js';
import {
  conclude,
  type Done,
  describeRuns,
  factsOf,
  type Refused,
  type RunOptions,
  type RunReport,
} from '../running/report.js';
import { Runner } from '../running/runner.js';
import { FORMATS, planTargets } from '../running/targets.js';
import { exitCodes, Failure, grouped, misuse, print, printJson, say, wholeNumber } from '../terminal.js';
import { readBytesOption } from '../training/folder.js';

/** Adds `deconv run` to the program. */
export function addRun(program: Command): void {
  const command = program
    .command('run')
    .summary('run an ONNX network on pictures or arrays')
    .description('Runs an ONNX network on pictures, .npy or .npz files, and writes what comes out.')
    .argument('<model>', 'an .onnx file')
    .requiredOption(
      '-i, --input <file...>',
      'files, folders or patterns such as "photos/*.jpg"; NAME=FILE for one input of several; - reads stdin',
    )
    .option(
      '-o, --output <path>',
      'file, folder/, or pattern with {name}, {index}, {output}; - is stdout; without it, values are summed up',
    )
    .addOption(new Option('--format <kind>', 'kind of the files in a folder').choices(FORMATS))
    .option('--outputs <names>', 'values to return instead of the outputs: a,b', names)
    .option('--tap <name...>', 'intermediate values to return as well')
    .option('--range <a..b>', 'what 0…255 become: 0..1, -1..1, 0..255 (default: 0..1)', readRange)
    .option(
      '--mean <list>',
      'subtracted after that, per channel: 0.485,0.456,0.406 (default: nothing)',
      numberList,
    )
    .option('--std <list>', 'divided by, per channel: 0.229,0.224,0.225 (default: 1)', numberList)
    .addOption(
      new Option('--channels <order>', 'channels of pictures (default: rgb; grey where there is 1)').choices([
        'rgb',
        'bgr',
        'grey',
      ]),
    )
    .addOption(
      new Option('--layout <order>', 'order of axes (default: as the shape tells, else nchw)').choices([
        'nchw',
        'nhwc',
      ]),
    )
    .option(
      '--size <wxh>',
      'bring pictures to this size (default: the size of the network, if it has one)',
      readSize,
    )
    .addOption(
      new Option(
        '--fit <how>',
        'how: cut in the middle, black around, or out of proportion (default: crop)',
      ).choices(['crop', 'pad', 'stretch']),
    )
    .addOption(
      new Option('--resample <how>', 'how pixels between pixels are made (default: lanczos3)').choices([
        'lanczos3',
        'cubic',
        'linear',
        'nearest',
      ]),
    )
    .option(
      '--output-range <a..b>',
      'values that become black and white in pictures; each: the least and the most',
      (text) => (text === 'each' ? text : readRange(text)),
    )
    .option(
      '--tile <n>',
      'pixels by which tiles advance, or auto: as large as memory allows (default: auto for large pictures)',
      (text) => (text === 'auto' ? text : wholeNumber(text)),
    )
    .option('--max-memory <size>', 'for a picture and the work on it, about (default: 512M)', readBytesOption)
    .option('--top <n>', 'print the likeliest classes', wholeNumber)
    .option('--labels <file>', 'their names: one to a line, or JSON');
  withEngineOptions(command)
    .option('--json', 'print facts for programs instead of the summary')
    .option('-q, --quiet', 'print nothing but errors (and --json, --top)')
    .addHelpText(
      'after',
      `
Pictures are JPEG, PNG, WebP, AVIF, GIF or TIFF; transparency is laid on white.
What the options leave open is chosen and printed. Without --format, a folder
gets pictures where pictures went in and come out, else .npy, or .npz for
several outputs. A file that fails does not stop the others; the exit code is
then 1.

Examples:
  $ deconv run upscaler.onnx --input "photos/*.jpg" --output large/
  $ deconv run net.onnx -i cat.jpg --mean 0.5 --std 0.5 --top 5 --labels n.txt
  $ deconv run gan.onnx -i z=z.npy -o "{name}-face.png" --output-range -1..1`,
    )
    .action(run);
}

const names = (text: string): string[] => text.split(',').filter((name) => name !== '');

/** Loads the network; missing operators are named here, before anything else is done. */
async function readModel(path: string): Promise<OnnxModel> {
  try {
    return await loadOnnx(path);
  } catch (error) {
    if (!(error instanceof DeconvError)) throw error;
    const hint = isSafetensors(path) ? 'models written by deconv train are used by deconv apply' : error.hint;
    throw new Failure(`${path} cannot be run: ${error.rule}`, exitCodes.failed, hint);
  }
}

/** Eight bytes of length, then JSON. */
function isSafetensors(path: string): boolean {
  try {
    const file = openSync(path, 'r');
    const head = Buffer.alloc(9);
    const length = readSync(file, head, 0, 9, 0);
    closeSync(file);
    return length === 9 && head[8] === 0x7b && head.readUInt32LE(4) === 0;
  } catch {
    return false;
  }
}

/** The values to return: those chosen, or the outputs; and what is tapped. */
function wantedOf(model: OnnxModel, { outputs, tap = [] }: RunOptions): string[] {
  const wanted = [...new Set([...(outputs ?? model.outputs.map(({ name }) => name)), ...tap])];
  if (outputs?.length === 0) misuse('--outputs names nothing');
  // The library knows the names, and which is nearest to a wrong one.
  for (const name of wanted) model.tap(name).untap(name);
  return wanted;
}

/** What a file's failure is called; anything unforeseen is thrown on. */
function refusalOf(item: Item, error: unknown): Refused {
  const about = (reason: string, hint?: string) => ({ item, reason, hint });
  if (error instanceof Failure && error.exitCode === exitCodes.failed) {
    const named = error.message.includes(item.name) ? error.message : `${item.name}: ${error.message}`;
    return about(named, error.hint);
  }
  if (error instanceof DeconvError)
    return about(`${item.name}: ${error.op === 'run' ? '' : `${error.op}: `}${error.rule}`, error.hint);
  if (error instanceof RangeError && /alloc|memory|array length/i.test(error.message))
    return about(`${item.name}: there is not enough memory (${error.message})`);
  throw error;
}

async function run(path: string, options: RunOptions): Promise<void> {
  if (options.labels !== undefined && options.top === undefined) misuse('--labels needs --top');
  const model = await readModel(path);
  const wanted = wantedOf(model, options);
  const items = await readItems(options.input, model.inputs);
  const others = [path, ...(options.labels === undefined ? [] : [options.labels])];
  const targets = await planTargets(options.output, options.format, items, wanted, others);
  const toStdout = options.output === '-';
  if (toStdout && options.json) misuse('--json and -o - would both write to stdout');
  const labels =
    options.labels === undefined
      ? undefined
      : readLabels(Buffer.from(await readBytes(options.labels)).toString('utf8'), options.labels);

  const configuration = await startEngine(options);
  const runner = new Runner(model, options, wanted, targets, labels);
  const progress = startProgress(1000, options);
  const done: Done[] = [];
  const refused: Refused[] = [];
  const began = performance.now();
  try {
    for (const [index, item] of items.entries()) {
      const failed = refused.length === 0 ? '' : `, ${grouped(refused.length)} failed`;
      const count = items.length === 1 ? '' : `${grouped(index + 1)} of ${grouped(items.length)}${failed}  `;
      await progress.at(index / items.length, `${count}${item.name}`);
      try {
        const at = (share: number, label: string) =>
          progress.at((index + share) / items.length, `${count}${item.name}: ${label}`);
        done.push(await runner.do(item, index, at));
      } catch (error) {
        refused.push(refusalOf(item, error));
      }
    }
  } finally {
    progress.stop();
  }
  const report: RunReport = {
    file: path,
    model,
    wanted,
    plans: [...runner.plans.values()],
    ranges: [...runner.ranges].map(([output, { range, why }]) => ({
      output,
      words: `pixels from ${range === 'each' ? 'the least value to the most of each' : rangeText(range)} (${why})`,
    })),
    notes: [...runner.notes],
    done,
    refused,
    milliseconds: performance.now() - began,
    engine: engineInWords(configuration),
  };
  if (options.json) printJson(factsOf(report));
  else if (done.length > 0 && (!options.quiet || options.top !== undefined))
    (toStdout ? say : print)(describeRuns(report, options, toStdout));
  conclude(report);
}
