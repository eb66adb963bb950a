#!/usr/bin/env node
/**
 * main: the command `deconv`. Wires the commands to commander and nothing else: each lives in its own file under
 * commands/ and is added by one line here.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addApply } from './commands/apply.js';
import { addBench } from './commands/bench.js';
import { addConvert } from './commands/convert.js';
import { addExplain } from './commands/explain.js';
import { addInspect } from './commands/inspect.js';
import { addLint } from './commands/lint.js';
import { addProject } from './commands/project.js';
import { addRun } from './commands/run.js';
import { addShape } from './commands/shape.js';
import { addSolve } from './commands/solve.js';
import { addTrain } from './commands/train.js';
import { addVerify } from './commands/verify.js';
import { listenForSignals } from './interrupt.js';
import { exitCodeHelp, exitCodes, paintFor, report } from './terminal.js';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const program = new Command('deconv')
  .description(
    'Convolution and transposed convolution: see what they do, work out their sizes, and train networks of them.',
  )
  .version(version, '-V, --version', 'print the version')
  .helpOption('-h, --help', 'show this help')
  .addHelpText(
    'after',
    `
Examples:
  $ deconv project photo.jpg
  $ deconv shape 3@227x227 conv:out=96,kernel=11,stride=4
  $ deconv explain 3 --kernel 3 --stride 2
  $ deconv train upscale photos -o up.safetensors
  $ deconv upscale photo.jpg --model up.safetensors

deconv COMMAND --help says more about each.`,
  )
  .addHelpText('afterAll', exitCodeHelp)
  .showHelpAfterError('(--help shows how it is used)')
  .exitOverride()
  .configureOutput({
    outputError: (text, write) => write(text.replace(/^error:/, paintFor(process.stderr).red('error:'))),
  });

addProject(program);
addShape(program);
addSolve(program);
addExplain(program);
addBench(program);
addVerify(program);
addRun(program);
addTrain(program);
addApply(program);
addInspect(program);
addLint(program);
addConvert(program);

// Options of the program hold for its commands, which were added after them.
for (const command of program.commands)
  command.copyInheritedSettings(program).helpOption('-h, --help', 'show this help');

listenForSignals();
// A reader that goes away early (| head) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.ok);
  throw error;
});

try {
  if (process.argv.length <= 2) {
    program.outputHelp({ error: true });
    process.exitCode = exitCodes.usage;
  } else await program.parseAsync();
} catch (error) {
  // Commander has printed its own complaints; help and --version end with code 0.
  process.exitCode =
    error instanceof CommanderError ? (error.exitCode === 0 ? exitCodes.ok : exitCodes.usage) : report(error);
}
