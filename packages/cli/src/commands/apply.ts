/**
 * apply: a trained model used on pictures: enlarged, without noise, packed and unpacked, or as classes. `upscale` is the
 * same for models that enlarge. Pictures of any size go through in parts (tiles.ts) and PNG files are written as they come,
 * so that the memory stays within a bound; one picture that cannot be read does not keep the others from it.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { type Command, Option } from 'commander';
import { DeconvError } from 'deconv';
import { type AnyPictureModel, loadModel } from 'deconv/nn';
import { type EngineOptions, engineInWords, startEngine, withEngineOptions } from '../engine.js';
import { checkTarget, readBytes, STANDARD } from '../files.js';
import { encoderFor, loadPicture, type Picture } from '../pictures.js';
import { startProgress } from '../progress.js';
import {
  type CommonOptions,
  duration,
  exitCodes,
  Failure,
  misuse,
  paintFor,
  plural,
  print,
  printJson,
  say,
  sizes,
  table,
} from '../terminal.js';
import { inMiB, readBytesOption } from '../training/folder.js';
import { classColours } from '../training/index-png.js';
import { isStreamed, writeBands } from '../using/bands.js';
import { planParts, useModel } from '../using/tiles.js';

interface ApplyOptions extends CommonOptions, EngineOptions {
  readonly model: string;
  readonly output?: string;
  readonly maxMemory: string;
  readonly format: 'png' | 'jpg' | 'webp' | 'avif';
}

/** What the result's name ends in. */
const suffixOf = ({ task, scale }: AnyPictureModel): string =>
  ({ upscale: `-x${scale}`, denoise: '-denoised', autoencode: '-decoded', segment: '-classes' })[task];

/** Adds `deconv apply` and `deconv upscale` to the program. */
export function addApply(program: Command): void {
  const common = (command: Command, examples: string) =>
    withEngineOptions(
      command
        .argument(
          '<pictures...>',
          'JPEG, PNG, WebP, AVIF, GIF or TIFF files, patterns such as "photos/*.jpg"; - reads stdin',
        )
        .requiredOption('-m, --model <file>', 'model written by deconv train')
        .option('-o, --output <path>', 'file to write, or a folder; - writes PNG to stdout')
        .addOption(
          new Option('--format <kind>', 'kind of the files in a folder')
            .choices(['png', 'jpg', 'webp', 'avif'])
            .default('png'),
        )
        .option('--max-memory <size>', 'for the picture and the work on it, about', '512M'),
    )
      .option('--json', 'print facts for programs instead of the summary')
      .option('-q, --quiet', 'print nothing but errors (and --json)')
      .addHelpText(
        'after',
        `
Pictures of any size go through in parts that fit into --max-memory; the result is that of the whole. PNG files are
written as they come; other kinds need the memory for the whole result. Transparency is laid on white.
Without -o the files are written to the current folder.

Examples:
${examples}`,
      );
  common(
    program
      .command('apply')
      .summary('use a trained model on pictures')
      .description(
        'Sends pictures through a model that deconv train has written: enlarged, without noise, packed and unpacked, or\nthe class of each pixel as a palette PNG.',
      ),
    `  $ deconv apply photo.jpg --model clean.safetensors -o photo-clean.png
  $ deconv apply "photos/*.jpg" --model shapes.safetensors -o classes/
  $ deconv apply - --model clean.safetensors -o - < photo.jpg > clean.png`,
  ).action((pictures: string[], options: ApplyOptions) => apply('apply', pictures, options));
  common(
    program
      .command('upscale')
      .summary('enlarge pictures with a trained model')
      .description('Enlarges pictures with a model that deconv train upscale has written.'),
    `  $ deconv upscale photo.jpg --model up.safetensors
  $ deconv upscale photo.jpg --model up.safetensors -o large.webp --max-memory 2G
  $ deconv upscale "photos/*.jpg" --model up.safetensors -o large/ --format jpg`,
  ).action((pictures: string[], options: ApplyOptions) => apply('upscale', pictures, options));
}

/** Files that a pattern with * and ? in its last part names; anything else names itself. */
export async function expand(pattern: string): Promise<string[]> {
  if (!/[*?]/.test(basename(pattern)) || pattern === STANDARD) return [pattern];
  if (await stat(pattern).catch(() => undefined)) return [pattern];
  const source = basename(pattern)
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  const matches = new RegExp(`^${source}$`, 'i');
  const names = await readdir(dirname(pattern)).catch(() => []);
  const found = names.filter((name) => matches.test(name) && !name.startsWith('.')).sort();
  if (found.length === 0) throw new Failure(`no file is named like ${pattern}`);
  return found.map((name) => join(dirname(pattern), name));
}

async function readModel(command: string, path: string): Promise<AnyPictureModel> {
  const bytes = await readBytes(path);
  try {
    const model = loadModel(bytes);
    if (command === 'upscale' && model.task !== 'upscale')
      misuse(`${path} is a model for '${model.task}'`, 'deconv apply uses models of every kind');
    return model;
  } catch (error) {
    if (error instanceof DeconvError)
      throw new Failure(`${path} cannot be used: ${error.rule}`, exitCodes.failed, error.hint);
    throw error;
  }
}

const isFolder = async (path: string) =>
  /[/\\]$/.test(path) || ((await stat(path).catch(() => undefined))?.isDirectory() ?? false);

/** Where the result of each picture goes. */
async function targetsOf(
  pictures: readonly string[],
  model: AnyPictureModel,
  options: ApplyOptions,
): Promise<string[]> {
  const { output, format } = options;
  const named = (folder: string) => {
    const targets = pictures.map((picture) => {
      const stem = picture === STANDARD ? 'picture' : basename(picture, extname(picture));
      return join(folder, `${stem}${suffixOf(model)}.${format}`);
    });
    const twice = targets.find((target, i) => targets.indexOf(target) !== i);
    if (twice !== undefined) misuse(`two pictures would both be written to ${twice}`);
    return targets;
  };
  if (output === undefined) return named('.');
  if (await isFolder(output)) return named(output);
  if (pictures.length > 1)
    misuse(
      `${plural(pictures.length, 'picture')} need a folder: ${output} is none`,
      `-o ${output}/ makes one`,
    );
  return [output];
}

/** What became of one picture. */
interface Result {
  readonly picture: string;
  readonly output: string;
  readonly input: readonly number[];
  readonly size: readonly number[];
  readonly parts: number;
  readonly milliseconds: number;
}

async function apply(command: string, patterns: readonly string[], options: ApplyOptions): Promise<void> {
  const memory = readBytesOption(options.maxMemory);
  const model = await readModel(command, options.model);
  const pictures = (await Promise.all(patterns.map(expand))).flat();
  const targets = await targetsOf(pictures, model, options);
  if (options.json && targets.includes(STANDARD)) misuse('--json and -o - would both write to stdout');
  for (const [i, target] of targets.entries()) {
    if (model.task === 'segment' && target !== STANDARD && extname(target).toLowerCase() !== '.png')
      misuse(`classes are written as PNG files, got '${target}'`);
    encoderFor(target);
    await checkTarget(target, pictures[i]);
  }
  const configuration = await startEngine(options);
  const progress = startProgress(1000, options);
  const results: Result[] = [];
  const failed: { readonly picture: string; readonly reason: string }[] = [];
  try {
    for (const [i, picture] of pictures.entries()) {
      const at = (share: number, label: string) => progress.at((i + share) / pictures.length, label);
      try {
        results.push(await applyTo(model, picture, targets[i], memory, at));
      } catch (error) {
        if (!(error instanceof Failure) || pictures.length === 1) throw error;
        failed.push({ picture, reason: error.message });
      }
    }
  } finally {
    progress.stop();
  }
  if (options.json) {
    printJson({
      command,
      model: { file: options.model, task: model.task, options: model.options },
      results,
      failed,
    });
  } else if (!options.quiet) {
    (targets.includes(STANDARD) ? say : print)(
      summary(results, model, engineInWords(configuration), targets.includes(STANDARD)),
    );
  }
  for (const { picture, reason } of failed)
    say(`${paintFor(process.stderr).red('error:')} ${picture}: ${reason}`);
  if (failed.length > 0) process.exitCode = exitCodes.failed;
}

/** One picture through the model, to its file. */
async function applyTo(
  model: AnyPictureModel,
  path: string,
  target: string,
  memory: number,
  at: (share: number, label: string) => Promise<void>,
): Promise<Result> {
  const began = performance.now();
  const name = path === STANDARD ? 'stdin' : basename(path);
  await at(0, `${name}: reading`);
  const picture = await loadPicture(path);
  const [width, height] = [picture.width * model.scale, picture.height * model.scale];
  const streamed = isStreamed(target);
  const room = memory - held(picture, model, streamed);
  if (room < memory / 4) {
    throw new Failure(
      `${name} needs ${inMiB(held(picture, model, streamed))} for its pixels${streamed ? '' : ' and the whole result'}, which leaves too little of --max-memory ${inMiB(memory)}`,
      exitCodes.failed,
      streamed ? 'raise --max-memory' : 'raise --max-memory, or write a .png',
    );
  }
  // A band of the result is made beside the work on it, and packed.
  const plan = planParts(model, picture.width, picture.height, room / 2);
  const parts = plan.tiles.length;
  let done = 0;
  const palette = model.task === 'segment' ? { palette: classColours(Number(model.options['classes'])) } : {};
  await writeBands(target, { width, height, ...palette }, (onBand) =>
    useModel(model, picture, plan, onBand, () => at(++done / parts, `${name}: part ${done} of ${parts}`)),
  );
  return {
    picture: picture.name,
    output: target,
    input: [picture.width, picture.height],
    size: [width, height],
    parts,
    milliseconds: Math.round(performance.now() - began),
  };
}

/** Bytes that are held whatever the parts are: the picture, twice for a moment; and the result if it cannot be streamed. */
function held({ width, height }: Picture, { scale }: AnyPictureModel, streamed: boolean): number {
  const pixels = width * height;
  return 3 * pixels + (streamed ? 0 : 2 * 3 * pixels * scale ** 2);
}

function summary(
  results: readonly Result[],
  model: AnyPictureModel,
  engine: string,
  toStdout: boolean,
): string {
  const paint = paintFor(toStdout ? process.stderr : process.stdout);
  const rows = results.map(({ picture, input, output, size, parts, milliseconds }) => [
    picture === STANDARD ? 'stdin' : basename(picture),
    sizes(input),
    '→',
    output === STANDARD ? 'stdout' : output,
    sizes(size),
    plural(parts, 'part'),
    paint.dim(duration(milliseconds)),
  ]);
  return [
    `${paint.bold(model.task)}  ${plural(results.length, 'picture')}  ${paint.dim(engine)}`,
    table(rows, 'lrllrrr'),
  ].join('\n');
}
