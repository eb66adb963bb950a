/**
 * A variational autoencoder (Kingma & Welling 2013, arXiv:1312.6114) of small silhouettes. For each latent number the
 * encoder gives a mean μ and ln σ². A code z = μ + σ·ε is drawn with normal ε, so that chance stays outside of what is
 * differentiated, and the decoder makes a picture of it. The loss is the cross-entropy of the pixels plus how far
 * N(μ, σ²) is from N(0, 1): KL = ½·Σ(μ² + σ² − ln σ² − 1). Once trained, the decoder draws new figures from noise.
 *
 * Run it: `npm run example -- vae`
 */
import { add, div, exp, mul, noGrad, randn, sigmoid, slice, square, sub, sum, type Tensor } from 'deconv';
import {
  bceWithLogits,
  Conv2d,
  ConvTranspose2d,
  Flatten,
  fit,
  Linear,
  Module,
  manualSeed,
  ReLU,
  Sequential,
  tensorDataset,
  Unflatten,
} from 'deconv/nn';
import { Adam } from 'deconv/optim';
import { silhouettes } from './support/shapes.mjs';
import { showPictures } from './support/show.mjs';

const LATENT = 8;
const half = { kernelSize: 4, stride: 2, padding: 1 };

class Vae extends Module<{ loss: Tensor; kl: Tensor }, [Tensor, number?]> {
  // (1, 16, 16) → (16, 8, 8) → (32, 4, 4) → μ and ln σ².
  encoder = new Sequential(
    new Conv2d(1, 16, { ...half, activation: 'relu' }),
    new Conv2d(16, 32, { ...half, activation: 'relu' }),
    new Flatten(),
    new Linear(512, 2 * LATENT),
  );
  // z → (32, 4, 4) → (16, 8, 8) → (1, 16, 16), before the sigmoid.
  decoder = new Sequential(
    new Linear(LATENT, 512),
    new ReLU(),
    new Unflatten(1, [32, 4, 4]),
    new ConvTranspose2d(32, 16, { ...half, activation: 'relu' }),
    new ConvTranspose2d(16, 1, half),
  );

  encode(x: Tensor) {
    const both = this.encoder.forward(x);
    const part = (from: number) => slice(both, { start: [0, from], end: [x.shape[0], from + LATENT] });
    return { mu: part(0), logVariance: part(LATENT) };
  }

  /** The loss, and the divergence that is in it: means over the pictures. The noise goes by the seed. */
  forward(x: Tensor, seed = 0) {
    const { mu, logVariance } = this.encode(x);
    const z = add(mu, mul(exp(mul(logVariance, 0.5)), randn(mu.shape, { seed })));
    const pixels = bceWithLogits(this.decoder.forward(z), x, { reduction: 'sum' });
    const kl = mul(sum(sub(add(square(mu), exp(logVariance)), add(logVariance, 1))), 0.5);
    return { loss: div(add(pixels, kl), x.shape[0]), kl: div(kl, x.shape[0]) };
  }

  decode = (z: Tensor) => sigmoid(this.decoder.forward(z));
}

const seen = await silhouettes(512, 1);
const unseen = await silhouettes(128, 2);

manualSeed(1);
const model = new Vae();
const training = fit(model, {
  data: tensorDataset(seen),
  batch: { batchSize: 32, shuffle: true },
  loss: (net, [x], { step }) => net.forward(x, step).loss,
  optimizer: new Adam(model.parameters(), { lr: 4e-3 }),
  epochs: 12,
  evaluate: (net) => {
    const { loss, kl } = noGrad(() => net.forward(unseen));
    return { bound: loss.item(), kl: kl.item() };
  },
});

/** Nats per picture not seen, epoch by epoch: an upper bound of −ln p(x), and KL as a part of it. */
export const bounds: number[] = [];
export const kls: number[] = [];
for await (const { epoch, metrics } of training) {
  if (metrics === undefined) continue;
  const { bound, kl } = metrics;
  bounds.push(bound);
  kls.push(kl);
  console.log(`epoch ${epoch}: ${bound.toFixed(1)} nats a picture, ${kl.toFixed(1)} of them KL`);
}

// As the codes' means give them back; and figures that nobody drew.
const few = slice(unseen, { end: [6] });
showPictures('pictures not seen', few, 6);
showPictures('through the code', model.decode(model.encode(few).mu), 6);
export const drawn = model.decode(randn([6, LATENT], { seed: 7 }));
showPictures('from noise', drawn, 6);
