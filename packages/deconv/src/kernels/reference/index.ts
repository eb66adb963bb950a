/**
 * The reference backend: every operation by its textbook definition, summed in float64 and rounded once to the number
 * type of the output. It is the yardstick of every faster backend and is never optimised.
 */
import type { Backend } from '../../backend.js';
import { convert, HostStorage } from '../../tensor.js';

/** The reference backend. Synchronous; values are ordinary typed arrays. */
export const reference: Backend = {
  name: 'reference',
  upload: (values) => new HostStorage('make' in values ? values.make() : values),
  run({ reference: define, type }, inputs, attributes) {
    const values = define(
      inputs.map((storage) => storage.host()),
      attributes,
    );
    return new HostStorage(convert(type?.(inputs, attributes) ?? inputs[0].dtype, values));
  },
};
