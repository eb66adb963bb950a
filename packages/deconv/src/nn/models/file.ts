/**
 * file: a ready model as one safetensors file: its weights, and in the texts beside them what it is: format, task,
 * architecture and options, scale, classes, what it computes with, notes. Any reader of safetensors gets the weights.
 *
 * Refuses files that are no models, of a later format, damaged, or that do not hold what they promise. The network is made
 * without weights and gets those of the file, so that nothing is allocated that is not there.
 */
import { DeconvError, refuse, show } from '../../errors.js';
import { readSafetensors, safetensorsMetadata, writeSafetensors } from '../../io/safetensors.js';
import { zeros } from '../../ops/create.js';
import { Autoencoder } from './autoencoder.js';
import { Denoiser } from './denoiser.js';
import { NORMALISATION, PictureModel, type Task } from './picture-model.js';
import { Segmenter } from './segmenter.js';
import { Upscaler } from './upscaler.js';

const FORMAT = 'deconv model';
const VERSION = 1;
const INPUT = 'RGB, 0 … 1, (N, 3, H, W)';

/** Any model of this folder. */
export type AnyPictureModel = Upscaler | Denoiser | Autoencoder | Segmenter;

/** How a model is made from options that a file claims; each constructor checks them. */
const makers: Readonly<Record<Task, (options: never) => AnyPictureModel>> = {
  upscale: (options) => new Upscaler(options),
  denoise: (options) => new Denoiser(options),
  autoencode: (options) => new Autoencoder(options),
  segment: (options) => new Segmenter(options),
};

/**
 * The bytes of a model, for a file: weights, options and notes.
 *
 * @param model made by `upscaler`, `denoiser`, `autoencoder` or `segmenter`
 * @returns a safetensors file
 * @throws DeconvError for anything else, and for notes that JSON cannot hold
 * @example
 * ```ts
 * import { allClose, rand } from 'deconv';
 * import { loadModel, saveModel, upscaler } from 'deconv/nn';
 * const model = upscaler({ scale: 2, channels: 8, blocks: 1 });
 * model.notes = { trainedOn: 'nothing yet' };
 * const again = loadModel(saveModel(model));
 * const x = rand([1, 3, 8, 8]);
 * console.log(again.task, again.notes.trainedOn, allClose(again.apply(x), model.apply(x))); // upscale nothing yet true
 * ```
 */
export function saveModel(model: PictureModel): Uint8Array<ArrayBuffer> {
  const op = 'saveModel';
  if (!(model instanceof PictureModel)) {
    refuse(
      op,
      'model',
      `model must be one of deconv/nn's ready models, got ${show(model)}`,
      'of other modules save the state: writeSafetensors(model.stateDict())',
    );
  }
  const { task, type, options, scale, notes } = model;
  let text: string | undefined;
  try {
    text = JSON.stringify(notes);
  } catch {
    text = undefined;
  }
  if (text === undefined || notes === null || typeof notes !== 'object' || Array.isArray(notes))
    refuse(op, 'notes', `model.notes must be an object that JSON can hold, got ${show(notes)}`);
  return writeSafetensors(model.stateDict(), {
    metadata: {
      format: `${FORMAT} ${VERSION}`,
      task,
      architecture: type,
      options: JSON.stringify(options),
      scale: String(scale),
      ...('classes' in options ? { classes: String(options.classes) } : {}),
      input: INPUT,
      normalisation: JSON.stringify(NORMALISATION),
      notes: text,
    },
  });
}

function readJson(op: string, name: string, text: string | undefined): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text ?? '');
  } catch {
    value = undefined;
  }
  if (value !== null && typeof value === 'object' && !Array.isArray(value))
    return value as Record<string, unknown>;
  return refuse(op, 'bytes', `the model's ${name} must be a JSON object, got ${show(text)}`);
}

function checkFormat(op: string, format: string | undefined): void {
  if (format === `${FORMAT} ${VERSION}`) return;
  const [, version] = format?.match(/^deconv model (\d{1,9})$/) ?? [];
  if (version !== undefined) {
    refuse(
      op,
      'bytes',
      `the model is of format ${version}, this version of deconv reads format ${VERSION}`,
      'a newer deconv may read it',
    );
  }
  refuse(
    op,
    'bytes',
    `this safetensors file is no model of deconv: its format is ${format === undefined ? 'not stated' : show(format)}, not '${FORMAT} ${VERSION}'`,
    format?.startsWith('deconv checkpoint')
      ? 'it is a checkpoint of a training, which goes on from it; the model is written beside it'
      : 'weights alone are loaded by readSafetensors and loadStateDict',
  );
}

/** Says of a refusal from within that the file is to blame. */
function blameFile<T>(op: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof DeconvError)) throw error;
    return refuse(op, 'bytes', `the file does not hold the model it promises: ${error.rule}`);
  }
}

/**
 * The model in a file that {@link saveModel} or the command `deconv train` has written.
 *
 * @param bytes the whole file
 * @returns the model, in evaluation mode: `task` says which kind, `apply(x)` uses it
 * @throws DeconvError for other files, later formats, damaged files
 */
export function loadModel(bytes: Uint8Array | ArrayBuffer): AnyPictureModel {
  const op = 'loadModel';
  const { format, task = '', options, normalisation, notes, scale } = safetensorsMetadata(bytes);
  checkFormat(op, format);
  if (!Object.hasOwn(makers, task))
    refuse(op, 'bytes', `the model's task is ${show(task)}, known are ${Object.keys(makers).join(', ')}`);
  if (normalisation !== JSON.stringify(NORMALISATION))
    refuse(
      op,
      'bytes',
      `the model computes with ${show(normalisation)}, not ${JSON.stringify(NORMALISATION)}`,
    );
  const claimed = readJson(op, 'options', options);
  const texts = readJson(op, 'notes', notes);
  const weights = readSafetensors(bytes);
  return blameFile(op, () => {
    // No seed is drawn: loading changes nothing for the layers that are made next.
    const model = makers[task as Task]({ ...claimed, seed: 0 } as never);
    if (String(model.scale) !== scale) refuse(op, 'bytes', `scale ${show(scale)} must be ${model.scale}`);
    model.loadStateDict(weights);
    for (const [name, values] of Object.entries(weights)) {
      const wrong = values.data.findIndex((value) => !Number.isFinite(value));
      if (wrong >= 0) refuse(op, 'bytes', `'${name}' is ${values.data[wrong]} at element ${wrong}`);
    }
    // Layers took the input channels that the file has; whether they go together shows in a call.
    model.apply(zeros([1, 3, model.multiple, model.multiple]));
    model.notes = texts;
    model.eval();
    return model;
  });
}
