import { describe, expect, it } from 'vitest';
import {
  inputOf,
  layerFromFlags,
  outputOf,
  parseInput,
  parseLayer,
  parseValue,
  placeLayer,
  placePool,
} from './layers.js';

describe('parseInput', () => {
  it('reads sizes with and without channels', () => {
    expect(parseInput('4')).toEqual({ channels: undefined, size: [4] });
    expect(parseInput('55x40')).toEqual({ channels: undefined, size: [55, 40] });
    expect(parseInput('3@227x227')).toEqual({ channels: 3, size: [227, 227] });
    expect(parseInput('8@4×5×6')).toEqual({ channels: 8, size: [4, 5, 6] });
  });

  it.each(['', 'x', '4x', '0', '4x0', '0@4', '1x2x3x4', '-4', '4.5', '3@'])('refuses %j', (text) => {
    expect(() => parseInput(text)).toThrow(`cannot read the input '${text}'`);
  });
});

describe('parseValue', () => {
  it('reads numbers, axes, pairs, JSON, truth and words', () => {
    expect(parseValue('5')).toBe(5);
    expect(parseValue('-1')).toBe(-1);
    expect(parseValue('3x5')).toEqual([3, 5]);
    expect(parseValue('0/1')).toEqual([[0, 1]]);
    expect(parseValue('0/1x2/3')).toEqual([
      [0, 1],
      [2, 3],
    ]);
    expect(parseValue('[[0,1],[0,1]]')).toEqual([
      [0, 1],
      [0, 1],
    ]);
    expect(parseValue('true')).toBe(true);
    expect(parseValue('SAME_UPPER')).toBe('SAME_UPPER');
    expect(() => parseValue('[1,')).toThrow("'[1,' begins like JSON but is not");
  });
});

describe('parseLayer', () => {
  it('reads kinds, long and short names', () => {
    expect(parseLayer('conv:out=96,k=11,s=4')).toMatchObject({
      kind: 'conv',
      values: { out: 96, kernel: 11, stride: 4 },
    });
    expect(parseLayer('deconv:k=4').kind).toBe('convTranspose');
    expect(parseLayer('convTranspose2d:k=4').kind).toBe('convTranspose');
    expect(parseLayer('maxPool2d').kind).toBe('maxPool');
    expect(parseLayer('conv:pads=[0,1,2,3],k=3').values).toEqual({ pads: [0, 1, 2, 3], kernel: 3 });
  });

  it('refuses what it cannot read', () => {
    expect(() => parseLayer('cnov:k=3')).toThrow("cannot read the layer 'cnov:k=3'");
    expect(() => parseLayer('conv:k')).toThrow("cannot read 'k' of the layer 'conv:k'");
    expect(() => parseLayer('conv k=3')).toThrow('cannot read the layer');
    expect(() => parseLayer('constructor:k=3')).toThrow('cannot read the layer');
  });
});

describe('placeLayer', () => {
  const place = (input: string, layer: string, dialect?: 'keras' | 'torch' | 'onnx') =>
    placeLayer(parseLayer(layer), parseInput(input), dialect);

  it('gives both directions their sizes', () => {
    expect(outputOf(place('3@227x227', 'conv:o=96,k=11,s=4'))).toEqual([55, 55]);
    const back = place('96@55x55', 'deconv:o=3,k=11,s=4');
    expect([inputOf(back), outputOf(back)]).toEqual([
      [55, 55],
      [227, 227],
    ]);
    expect([back.geometry.yChannels, back.geometry.xChannels]).toEqual([96, 3]);
  });

  it('repeats one pair of paddings for every axis', () => {
    expect(outputOf(place('5x5', 'deconv:k=3,s=2,p=0/1'))).toEqual([10, 10]);
  });

  it('translates names and values of a dialect', () => {
    const keras = place('5x5', 'deconv:k=3,s=2,p=same', 'keras');
    expect(outputOf(keras)).toEqual([10, 10]);
    expect(keras.geometry.padAfter).toEqual([1, 1]);
    expect(keras.notes.length).toBeGreaterThan(0);
    expect(outputOf(place('5x5', 'deconv:kernel_size=3,stride=2,output_padding=1', 'torch'))).toEqual([
      12, 12,
    ]);
    expect(outputOf(place('5x5', 'deconv:k=3,strides=2x2,pads=[0,0,1,1]', 'onnx'))).toEqual([10, 10]);
    expect(() => place('5x5', 'deconv:k=3,auto_pda=SAME_UPPER', 'onnx')).toThrow("unknown option 'auto_pda'");
  });

  it('refuses a layer without a kernel, and groups that do not divide', () => {
    expect(() => place('5', 'deconv:s=2')).toThrow('needs a kernel size');
    expect(() => place('4@5', 'conv:k=2,g=2,o=3')).toThrow('out 3 must divide by groups 2');
    expect(() => place('5', 'conv:k=3,stirde=2')).not.toThrow(TypeError);
  });

  it('refuses names that are neither ours nor near', () => {
    expect(() => place('5', 'conv:k=3,stirde=2')).toThrow("unknown option 'stirde'");
  });

  it('places a maxPool with its kernel as the default stride', () => {
    expect(outputOf(placePool(parseLayer('maxPool:k=2'), parseInput('8@9x9')))).toEqual([4, 4]);
    expect(outputOf(placePool(parseLayer('maxPool:k=3,s=2'), parseInput('55x55')))).toEqual([27, 27]);
    expect(() => placePool(parseLayer('maxPool:k=3,o=2'), parseInput('9'))).toThrow(
      "unknown option 'out' of maxPool",
    );
  });
});

describe('layerFromFlags', () => {
  it('is undefined without flags and reads them otherwise', () => {
    expect(layerFromFlags({})).toBeUndefined();
    expect(layerFromFlags({ kernel: '3x5', padding: 'same', conv: true })).toMatchObject({
      kind: 'conv',
      text: 'conv:kernel=3x5,padding=same',
      values: { kernel: [3, 5], padding: 'same' },
    });
    expect(layerFromFlags({ kernel: '3' })?.kind).toBe('convTranspose');
  });
});
