/**
 * Which way imports point; `npm run check` holds the code to it. A file imports only from floors below its own, type
 * imports included; rooms on one floor do not know each other; there are no cycles. Tests may import anything.
 */
const src = '^packages/deconv/src/';

/** The floors of the library, lowest first. */
const floors = [
  ['errors'],
  ['shape'],
  ['geometry'],
  ['tensor'],
  ['backend'],
  ['trace'],
  ['kernels/reference', 'kernels/wasm', 'kernels/webgpu'],
  ['operations', 'functions', 'updates'],
  ['backends'],
  ['autograd'],
  ['ops'],
  ['checks'],
  ['tiling'],
  ['io', 'optim'],
  ['nn'],
  ['onnx', 'vis'],
  ['index'],
];

/** The families inside `ops/`, lowest first: a family imports only from those before it. */
const families = [
  'input',
  'layout',
  'arithmetic',
  'elementwise',
  'activation',
  'reduce',
  'channels',
  'matmul',
  'softmax',
  'window',
  'adaptive',
  'conv',
  'upsample',
  'norm',
  'create',
];

/** The packages that subpaths depend on; the rest of the library depends on none. */
const dependencies = { io: 'fflate', onnx: '@bufbuild/protobuf' };

/** Matches a file `name.ts` or anything in a folder `name/`, under `base`. */
const place = (base, ...names) => `${base}(?:${names.join('|')})(?:\\.ts$|/)`;
const tests = '\\.test\\.ts$';

/** One rule per room: it reaches nothing on its own floor or above, except itself. */
const upward = floors.flatMap((rooms, level) =>
  rooms.map((room) => ({
    name: `${room}-imports-only-from-below`,
    severity: 'error',
    from: { path: place(src, room), pathNot: tests },
    to: { path: place(src, ...floors.slice(level).flat()), pathNot: place(src, room) },
  })),
);

const familyOrder = families.map((family, level) => ({
  name: `ops-${family}-imports-only-earlier-families`,
  severity: 'error',
  from: { path: place(`${src}ops/`, family), pathNot: tests },
  to: {
    path: place(`${src}ops/`, ...families.slice(level), 'index'),
    pathNot: place(`${src}ops/`, family),
  },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...upward,
    ...familyOrder,
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'every-file-has-a-floor',
      comment:
        'A new file or folder of the library belongs on one of the floors listed in .dependency-cruiser.cjs.',
      severity: 'error',
      from: {},
      to: { path: src, pathNot: [place(src, ...floors.flat()), tests] },
    },
    {
      name: 'every-family-has-a-place',
      comment: 'A new family of operations belongs in the list in .dependency-cruiser.cjs.',
      severity: 'error',
      from: {},
      to: { path: `${src}ops/`, pathNot: [place(`${src}ops/`, ...families, 'index'), tests] },
    },
    {
      name: 'only-operations-and-backends-import-kernels',
      severity: 'error',
      from: {
        path: src,
        pathNot: [`${src}kernels/`, place(src, 'operations', 'functions', 'updates', 'backends'), tests],
      },
      to: { path: `${src}kernels/` },
    },
    {
      name: 'library-has-no-dependencies',
      severity: 'error',
      from: { path: src, pathNot: [tests, place(src, ...Object.keys(dependencies))] },
      to: { pathNot: '^packages/deconv/', dependencyTypesNot: ['core'] },
    },
    ...Object.entries(dependencies).map(([room, name]) => ({
      name: `${room}-depends-on-one-package`,
      comment: `deconv/${room} may import ${name} and no other package.`,
      severity: 'error',
      from: { path: place(src, room), pathNot: tests },
      to: { pathNot: ['^packages/deconv/', `(?:^|/)node_modules/${name}/`], dependencyTypesNot: ['core'] },
    })),
    {
      name: 'library-loads-node-modules-only-on-demand',
      comment: 'A page has no node: modules: import them dynamically, where Node is known to run.',
      severity: 'error',
      from: { path: src, pathNot: tests },
      to: { dependencyTypes: ['core'], dynamic: false },
    },
    {
      name: 'others-use-the-public-surface',
      comment: 'The command line, the page and the examples import deconv and its subpaths by name.',
      severity: 'error',
      from: { path: '^(?:packages/(?!deconv/)|apps/|examples/)' },
      // An import by name from a folder of the workspace that is no package, as the examples are, counts as local too.
      to: {
        path: '^packages/deconv/',
        dependencyTypes: ['local'],
        dependencyTypesNot: ['aliased-workspace'],
      },
    },
    { name: 'not-found', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: ['node_modules', '/dist/'] },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['types', 'import', 'node', 'default'],
    },
  },
};
